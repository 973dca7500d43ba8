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

/// The text of a YAML stream: UTF-8, or UTF-16 with a byte order mark; without the mark.
pub(super) fn decode(bytes: &[u8]) -> Result<Zeroizing<String>, SyntaxError> {
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest)?,
        _ => utf8(bytes)?,
    };
    Ok(text)
}

fn utf8(bytes: &[u8]) -> Result<Zeroizing<String>, SyntaxError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(error) => {
            let (valid, _) = bytes.split_at(error.valid_up_to());
            let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
            Err(SyntaxError::new(
                "the text is not UTF-8",
                u32::try_from(line).unwrap_or(0),
            ))
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
