//! Bytes to text.

use zeroize::Zeroizing;

use super::SyntaxError;

/// Whether the first character that is no white space is `{` (`utilyaml.IsJSONBuffer`): then the
/// file is JSON or nothing.
pub(super) fn is_json(bytes: &[u8]) -> bool {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let (valid, _) = bytes.split_at(error.valid_up_to());
            std::str::from_utf8(valid).unwrap_or_default()
        }
    };
    valid
        .trim_start_matches(char::is_whitespace)
        .starts_with('{')
}

pub(super) const NOT_UTF8: &str = "the text is not UTF-8";
pub(super) const CONTROL: &str = "control characters are not allowed";
pub(super) const SECOND_MARK: &str = "the text begins with a second byte order mark";

/// The text of a YAML stream: UTF-8, or UTF-16 with a byte order mark; without the mark.
pub(super) fn decode(bytes: &[u8]) -> Result<Zeroizing<String>, SyntaxError> {
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest)?,
        _ => utf8(bytes)?,
    };
    if text.starts_with('\u{feff}') {
        return Err(SyntaxError::new(SECOND_MARK, 1));
    }
    match text.find(|char| !is_allowed(char)) {
        Some(at) => Err(SyntaxError::new(CONTROL, line(&text[..at]))),
        None => Ok(text),
    }
}

/// What libyaml's reader lets pass.
fn is_allowed(char: char) -> bool {
    matches!(
        char,
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..
    )
}

/// The number of the line that follows a text.
fn line(before: &str) -> u32 {
    u32::try_from(before.matches('\n').count() + 1).unwrap_or(0)
}

fn utf8(bytes: &[u8]) -> Result<Zeroizing<String>, SyntaxError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(error) => {
            let valid = str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
            Err(SyntaxError::new(NOT_UTF8, line(valid)))
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Zeroizing<String>, SyntaxError> {
    let broken = || SyntaxError::new("the text is not UTF-16", 0);
    let (units, []) = bytes.as_chunks::<2>() else {
        return Err(broken());
    };
    // No unit becomes more than three bytes: the buffer never grows and leaves no copy behind.
    let mut text = Zeroizing::new(String::with_capacity(units.len() * 3));
    for char in char::decode_utf16(units.iter().map(|pair| unit(*pair))) {
        text.push(char.map_err(|_| broken())?);
    }
    Ok(text)
}
