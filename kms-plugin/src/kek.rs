//! What a KEK can do, wherever it lives.

use std::fmt;

use async_trait::async_trait;
use kms_proto::{DekSource, EncryptedDekSource, KeyId};

/// A key encryption key, wherever it lives: it wraps under its current epoch and unwraps what any
/// epoch of it wrapped.
#[async_trait]
pub trait Kek: fmt::Debug + Send + Sync {
    /// The key id that [`Self::wrap`] answers under. Deterministic: every node that is given the
    /// same key computes the same id.
    fn key_id(&self) -> &KeyId;

    /// The key ids of all its epochs, the current one among them.
    fn key_ids(&self) -> &[KeyId];

    /// Wraps a DEK source. The answer carries the key id of the key that was really used.
    ///
    /// # Errors
    /// [`KekError::TooLong`] if the ciphertext would break the limit of kube-apiserver, and
    /// whatever keeps the root from wrapping.
    async fn wrap(&self, dek: DekSource) -> Result<EncryptedDekSource, KekError>;

    /// Unwraps a DEK source.
    ///
    /// # Errors
    /// [`KekError::Unauthentic`] if anything at all was changed: ciphertext, key id, annotations or
    /// the context it was wrapped in.
    async fn unwrap(&self, wrapped: &EncryptedDekSource) -> Result<DekSource, KekError>;
}

/// Why a KEK did not wrap or unwrap. The variants differ in who can do something about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KekError {
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random(#[source] getrandom::Error),
    /// The DEK source is longer than its ciphertext may be.
    #[error("a DEK source of {len} bytes is too long to be wrapped; the limit is {max}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The longest DEK source that can be wrapped, in bytes.
        max: usize,
    },
    /// Not made by this key in this context, or altered since. Deliberately one answer for all
    /// causes.
    #[error("the ciphertext does not authenticate under this key, context and annotations")]
    Unauthentic,
}
