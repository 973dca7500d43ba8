//! JSON as Go's decoder reads it: whole, every duplicate kept, numbers as written.

use super::{Document, MAX_DEPTH, Node, SyntaxError, TOO_DEEP, Text, Value};

/// Parses a file that holds one JSON value and nothing else.
pub(super) fn parse(bytes: &[u8]) -> Result<Document, SyntaxError> {
    let mut parser = Parser {
        rest: bytes,
        line: 1,
        duplicates: Vec::new(),
    };
    let root = parser.value(0)?;
    parser.blanks();
    if !parser.rest.is_empty() {
        return Err(parser.error("there is more behind the top-level value"));
    }
    Ok(Document {
        root,
        is_yaml: false,
        duplicates: parser.duplicates,
    })
}

struct Parser<'b> {
    rest: &'b [u8],
    line: u32,
    duplicates: Vec<u32>,
}

impl Parser<'_> {
    fn value(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        self.blanks();
        let line = self.line;
        if depth > MAX_DEPTH {
            return Err(self.error(TOO_DEEP));
        }
        let value = match self.rest {
            [b'{', ..] => self.mapping(depth)?,
            [b'[', ..] => self.sequence(depth)?,
            [b'"', ..] => Value::String(self.string()?),
            [b'-' | b'0'..=b'9', ..] => Value::Number(self.number()?),
            _ => self.word()?,
        };
        Ok(Node { line, value })
    }

    fn word(&mut self) -> Result<Value, SyntaxError> {
        if self.take("null") {
            Ok(Value::Null)
        } else if self.take("true") || self.take("false") {
            Ok(Value::Bool)
        } else {
            Err(self.error("a JSON value is expected"))
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let mut entries = Vec::new();
        let mut names = std::collections::HashSet::new();
        self.items(b'}', |parser| {
            let line = parser.line;
            if !parser.rest.starts_with(b"\"") {
                return Err(parser.error("a key in double quotes is expected"));
            }
            let name = parser.string()?;
            if !names.insert(name.clone()) {
                parser.duplicates.push(line);
            }
            parser.blanks();
            if !parser.take(":") {
                return Err(parser.error("a colon is expected behind a key"));
            }
            entries.push((name, parser.value(depth + 1)?));
            Ok(())
        })?;
        Ok(Value::Mapping(entries))
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let mut nodes = Vec::new();
        self.items(b']', |parser| {
            nodes.push(parser.value(depth + 1)?);
            Ok(())
        })?;
        Ok(Value::Sequence(nodes))
    }

    /// Items between commas, from the opening bracket to the closing one.
    fn items(
        &mut self,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), SyntaxError>,
    ) -> Result<(), SyntaxError> {
        self.skip(1);
        self.blanks();
        if self.rest.first() == Some(&close) {
            self.skip(1);
            return Ok(());
        }
        loop {
            self.blanks();
            item(self)?;
            self.blanks();
            match self.rest.first() {
                Some(b',') => self.skip(1),
                Some(byte) if *byte == close => {
                    self.skip(1);
                    return Ok(());
                }
                _ => return Err(self.error("a comma or a closing bracket is expected")),
            }
        }
    }

    fn string(&mut self) -> Result<Text, SyntaxError> {
        self.skip(1);
        let mut end = 0;
        loop {
            match self.rest.get(end) {
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(byte) if *byte >= 0x20 => end += 1,
                _ => return Err(self.error("a string is not closed or holds a control character")),
            }
        }
        let raw = &self.rest[..end];
        let text = unescape(raw).ok_or_else(|| self.error("a string holds an unknown escape"))?;
        self.skip(end + 1);
        Ok(text)
    }

    fn number(&mut self) -> Result<Text, SyntaxError> {
        let rest = self.rest;
        let digits = |from: usize| {
            rest[from..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count()
        };
        let mut end = usize::from(rest[0] == b'-');
        let whole = digits(end);
        let mut valid = whole > 0 && (whole == 1 || rest[end] != b'0');
        end += whole;
        if rest.get(end) == Some(&b'.') {
            let fraction = digits(end + 1);
            valid &= fraction > 0;
            end += 1 + fraction;
        }
        if let Some(b'e' | b'E') = rest.get(end) {
            let sign = usize::from(matches!(rest.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            valid &= exponent > 0;
            end += 1 + sign + exponent;
        }
        if !valid {
            return Err(self.error("a number is not written as JSON wants it"));
        }
        let text = String::from_utf8_lossy(&rest[..end]).into_owned();
        self.skip(end);
        Ok(text.into())
    }

    fn blanks(&mut self) {
        while let [byte @ (b' ' | b'\t' | b'\r' | b'\n'), rest @ ..] = self.rest {
            self.line += u32::from(*byte == b'\n');
            self.rest = rest;
        }
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.rest.starts_with(word.as_bytes());
        if found {
            self.skip(word.len());
        }
        found
    }

    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    fn error(&self, problem: &'static str) -> SyntaxError {
        SyntaxError::new(problem, self.line)
    }
}

/// The text of a string; what is no character becomes U+FFFD, as in Go. None for an unknown escape.
fn unescape(raw: &[u8]) -> Option<Text> {
    // No escape is shorter than its character, and U+FFFD for a stray byte is three: never outgrown.
    let mut text = zeroize::Zeroizing::new(String::with_capacity(raw.len() * 3));
    for chunk in raw.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some((before, escape)) = rest.split_once('\\') {
            text.push_str(before);
            rest = unescape_one(escape, &mut text)?;
        }
        text.push_str(rest);
        for _ in chunk.invalid() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    Some(Text::from(std::mem::take(&mut *text)))
}

/// One escape, without its backslash; returns what follows.
fn unescape_one<'e>(escape: &'e str, text: &mut String) -> Option<&'e str> {
    let mut chars = escape.chars();
    text.push(match chars.next()? {
        char @ ('"' | '\\' | '/') => char,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let (first, rest) = unit(chars.as_str())?;
            let pair = rest.strip_prefix("\\u").and_then(unit);
            let (char, rest) = match (char::from_u32(first.into()), pair) {
                (Some(char), _) => (char, rest),
                (None, Some((second, behind))) => {
                    match char::decode_utf16([first, second]).next() {
                        Some(Ok(char)) => (char, behind),
                        _ => (char::REPLACEMENT_CHARACTER, rest),
                    }
                }
                (None, None) => (char::REPLACEMENT_CHARACTER, rest),
            };
            text.push(char);
            return Some(rest);
        }
        _ => return None,
    });
    Some(chars.as_str())
}

fn unit(text: &str) -> Option<(u16, &str)> {
    let digits = text
        .get(..4)
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    Some((u16::from_str_radix(digits, 16).ok()?, &text[4..]))
}
