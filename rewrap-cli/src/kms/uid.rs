use std::fmt::Write;

use super::KmsError;

/// A random UUID (version 4, RFC 9562 section 5.4), as kube-apiserver sends with each call for the logs.
pub(super) fn fresh() -> Result<String, KmsError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(KmsError::Random)?;
    Ok(text(bytes))
}

fn text(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        let dash = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
        let _ = write!(text, "{dash}{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_has_the_form_of_version_4() {
        assert_eq!(text([0; 16]), "00000000-0000-4000-8000-000000000000");
        assert_eq!(text([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_ne!(fresh().unwrap(), fresh().unwrap());
    }
}
