//! Plain text.

use kms_proto::ENCRYPTED_PREFIX;

use super::{OpenCause, Plaintext};

/// The value itself, unless it is encrypted.
pub(in crate::stored) fn open(value: &[u8]) -> Result<Plaintext, OpenCause> {
    if value.starts_with(ENCRYPTED_PREFIX) {
        return Err(OpenCause::Encrypted);
    }
    Ok(Plaintext::new(value.to_vec()))
}
