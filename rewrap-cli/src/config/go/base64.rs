//! `encoding/base64`'s `StdEncoding`.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

const STANDARD: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes as Go does: padding is needed, line breaks are ignored wherever they stand, and the
/// unused bits of the last character may be set. None for anything else.
pub(crate) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut joined = Zeroizing::new(Vec::with_capacity(text.len()));
    joined.extend(text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')));
    let mut bytes = Zeroizing::new(vec![0; joined.len() / 4 * 3 + 3]);
    let len = STANDARD.decode_slice(&*joined, &mut bytes).ok()?;
    bytes.truncate(len);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn go_is_lenient_about_line_breaks_and_spare_bits_only() {
        for (text, bytes) in [
            ("", Some(&b""[..])),
            ("\n", Some(b"")),
            ("TQ==", Some(b"M")),
            ("TR==", Some(b"M")),
            ("T\r\nQ=\n=\n", Some(b"M")),
            ("TWE=", Some(b"Ma")),
            ("TWFu", Some(b"Man")),
            ("TQ", None),
            ("TQ=", None),
            ("TQ===", None),
            ("TQ==TQ==", None),
            ("T Q==", None),
            ("T\tQ==", None),
            ("TQ== ", None),
            ("-_-_", None),
            ("Té==", None),
        ] {
            assert_eq!(
                super::decode(text).as_ref().map(|bytes| &bytes[..]),
                bytes,
                "{text:?}"
            );
        }
    }
}
