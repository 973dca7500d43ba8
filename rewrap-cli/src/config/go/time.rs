//! `time.Parse`, as go-yaml asks it whether a text is a timestamp.

/// Whether a text is a date, or a date and a time, in one of go-yaml's formats: `2026-1-2`,
/// `2026-1-2 15:4:5.9`, `2026-1-2T15:4:5.9Z`, `2026-1-2t15:4:5+01:00`.
pub(crate) fn is_timestamp(text: &str) -> bool {
    parse(text).is_some()
}

fn parse(text: &str) -> Option<()> {
    let (year, rest) = text.split_at_checked(4)?;
    if !year.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (month, rest) = number(rest.strip_prefix('-')?)?;
    let (day, rest) = number(rest.strip_prefix('-')?)?;
    if !(1..=days(year.parse().ok()?, month)?).contains(&day) {
        return None;
    }
    match rest.bytes().next() {
        None => Some(()),
        Some(b' ') => time(rest.trim_start_matches(' '))?.is_empty().then_some(()),
        Some(b'T' | b't') => zone(time(&rest[1..])?),
        Some(_) => None,
    }
}

/// One digit or two, and what follows.
fn number(text: &str) -> Option<(u32, &str)> {
    let digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

fn days(year: u32, month: u32) -> Option<u32> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => Some(28 + u32::from(leap)),
        4 | 6 | 9 | 11 => Some(30),
        1..=12 => Some(31),
        _ => None,
    }
}

/// Hours, minutes, seconds and a fraction; what follows.
fn time(text: &str) -> Option<&str> {
    let (hour, rest) = number(text)?;
    let (minute, rest) = number(rest.strip_prefix(':')?)?;
    let (second, rest) = number(rest.strip_prefix(':')?)?;
    if hour >= 24 || minute >= 60 || second >= 60 {
        return None;
    }
    let fraction = rest.strip_prefix(['.', ',']).unwrap_or_default();
    let behind = fraction.trim_start_matches(|char: char| char.is_ascii_digit());
    Some(match behind.len() < fraction.len() {
        true => behind,
        false => rest,
    })
}

/// `Z`, or hours and minutes of two digits.
fn zone(text: &str) -> Option<()> {
    if text == "Z" {
        return Some(());
    }
    let (hours, minutes) = text.strip_prefix(['+', '-'])?.split_once(':')?;
    // Some people write 24 hours and 60 minutes, says Go.
    let within = |digits: &str, limit| {
        digits.len() == 2
            && number(digits).is_some_and(|(number, rest)| rest.is_empty() && number <= limit)
    };
    (within(hours, 24) && within(minutes, 60)).then_some(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn timestamps_are_go_yaml_s() {
        for (text, expected) in [
            ("2026-11-23", true),
            ("2026-1-2", true),
            ("2024-2-29", true),
            ("2026-2-29", false),
            ("2026-00-1", false),
            ("2026-13-1", false),
            ("26-11-23", false),
            ("2026-11-23 ", false),
            ("2026-11-23  1:2:3", true),
            ("2026-11-23 1:2:3.5", true),
            ("2026-11-23 1:2:3,5", true),
            ("2026-11-23 1:2:3.", false),
            ("2026-11-23 1:2:3Z", false),
            ("2026-11-23T01:02:03Z", true),
            ("2026-11-23t1:2:3.123456789012Z", true),
            ("2026-11-23T1:2:3+24:60", true),
            ("2026-11-23T1:2:3+25:00", false),
            ("2026-11-23T1:2:3+1:00", false),
            ("2026-11-23T1:2:3", false),
            ("2026-11-23T24:0:0Z", false),
            ("", false),
            ("é026-11-23", false),
        ] {
            assert_eq!(super::is_timestamp(text), expected, "{text:?}");
        }
    }
}
