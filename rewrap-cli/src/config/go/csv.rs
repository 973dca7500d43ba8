//! `encoding/csv`, as pflag's `StringSlice` uses it.

/// The fields of the first line, without the empty ones; None for what Go refuses: a quote inside of a
/// field without quotes, or text behind a closing quote.
pub(crate) fn read(text: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = text.trim_start_matches('\n');
    loop {
        let (field, behind) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = rest.find([',', '\n']).unwrap_or(rest.len());
                let (field, behind) = rest.split_at(end);
                (field.to_owned(), behind)
            }
        };
        if !rest.starts_with('"') && field.contains('"') {
            return None;
        }
        if !field.is_empty() {
            fields.push(field);
        }
        match behind.chars().next() {
            Some(',') => rest = &behind[1..],
            Some('\n') | None => return Some(fields),
            Some(_) => return None,
        }
    }
}

/// A field behind its opening quote, in which two quotes are one; and what follows the closing one.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (before, behind) = rest.split_once('"')?;
        field.push_str(before);
        match behind.strip_prefix('"') {
            Some(behind) => {
                field.push('"');
                rest = behind;
            }
            None => return Some((field, behind)),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn fields_are_go_s() {
        for (text, fields) in [
            ("", Some(&[][..])),
            ("a", Some(&["a"])),
            ("a,b", Some(&["a", "b"])),
            ("a,,b,", Some(&["a", "b"])),
            (" a , b", Some(&[" a ", " b"])),
            ("\"a,b\",c", Some(&["a,b", "c"])),
            ("\"a\"\"b\"", Some(&["a\"b"])),
            ("a\nb", Some(&["a"])),
            ("a\"b", None),
            ("\"a", None),
            ("\"a\"b", None),
        ] {
            let read = super::read(text);
            assert_eq!(
                read.as_ref()
                    .map(|read| read.iter().map(String::as_str).collect::<Vec<_>>()),
                fields.map(<[&str]>::to_vec),
                "{text:?}"
            );
        }
    }
}
