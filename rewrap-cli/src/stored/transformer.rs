//! Kubernetes' storage codecs, one file each: the bytes behind a prefix to plaintext and back.
//!
//! None of them knows prefixes, names or order; that is [`Rule`](crate::stored::Rule)'s part.
//! Formats: `k8s.io/apiserver/pkg/storage/value/encrypt/`.

use std::fmt;

use kms_proto::EncryptedObjectError;
use zeroize::Zeroize as _;

use crate::{
    chain::Chain,
    stored::{dek::UnwrapError, object::NotAnObject},
};

pub(in crate::stored) mod aes_cbc;
pub(in crate::stored) mod aes_gcm;
pub(in crate::stored) mod identity;
pub(in crate::stored) mod kms_v1;
pub(in crate::stored) mod kms_v2;
pub(in crate::stored) mod secretbox;

/// The decrypted bytes of a stored value: wiped when dropped, never printed.
pub struct Plaintext(Vec<u8>);

impl Plaintext {
    /// Takes over the bytes; no copy is left behind.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The object as kube-apiserver serialised it.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Plaintext {
    fn drop(&mut self) {
        // As a slice, which is wiped as fast as memory is; a `Vec` is wiped byte by byte. What the
        // transformers cut off behind it, a tag or a padding, is no secret.
        self.0.as_mut_slice().zeroize();
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plaintext([REDACTED])")
    }
}

/// Why one transformer, with one key, cannot open a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenCause {
    /// The identity transformer was given an encrypted value.
    #[error("identity transformer tried to read encrypted data")]
    Encrypted,
    /// The provider's prefix matches, but no name of its keys follows.
    #[error("no matching key was found for the provided {0} transformer")]
    NoMatchingKey(&'static str),
    /// The value ends before its fixed parts do.
    #[error("the stored data has {len} bytes, fewer than the {least} that this format needs")]
    TooShort {
        /// Bytes behind the prefix.
        len: usize,
        /// The fewest this format can have.
        least: usize,
    },
    /// The key or the unwrapped DEK source has a length that the cipher does not take.
    #[error("a key of {0} bytes does not fit this cipher")]
    KeyLength(usize),
    /// The authentication tag is wrong; nobody can say which of the reasons it is.
    #[error(
        "the value is not authentic: another key of the same name wrote it, it was altered, or it was copied from another etcd key"
    )]
    NotAuthentic,
    /// CBC: the length is no multiple of the block size.
    #[error("the stored data is not a multiple of the block size")]
    NotBlocks,
    /// CBC: the padding is wrong.
    #[error(
        "invalid padding on input: another key of the same name wrote the value, or it was altered"
    )]
    Padding,
    /// CBC: the padding fits but the plaintext is no object of this etcd key.
    #[error("the decrypted bytes are no object of this etcd key, so the key is not the right one")]
    NotAnObject(#[source] NotAnObject),
    /// KMS v2: the stored message is malformed or breaks a rule.
    #[error("the KMS v2 envelope is invalid")]
    Envelope(#[source] EncryptedObjectError),
    /// KMS: the DEK source could not be unwrapped.
    #[error("the DEK source cannot be unwrapped")]
    Unwrap(#[source] UnwrapError),
    /// KMS v1: neither as AES-GCM nor as the AES-CBC of Kubernetes up to 1.24.
    #[error("neither as AES-GCM ({}) nor as AES-CBC ({})", Chain(.gcm), Chain(.cbc))]
    Payload {
        /// Why AES-GCM failed.
        gcm: Box<Self>,
        /// Why AES-CBC failed.
        cbc: Box<Self>,
    },
}

#[cfg(test)]
mod tests;
