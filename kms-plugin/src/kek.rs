//! What a KEK can do, wherever it lives.

use std::fmt;

use async_trait::async_trait;
use kms_proto::{DekSource, EncryptedDekSource, KeyId};

mod sealer;

pub(crate) use sealer::Sealer;

/// A key encryption key, wherever it lives: it wraps under its current epoch and unwraps what any
/// epoch of it wrapped.
#[async_trait]
pub trait Kek: fmt::Debug + Send + Sync {
    /// The key id that [`Self::wrap`] answers under, from memory. Deterministic: every node that is
    /// given the same key computes the same id.
    ///
    /// # Errors
    /// Nothing may be wrapped now.
    fn key_id(&self) -> Result<KeyId, Unavailable>;

    /// The key ids that are known to be its own and nobody else's: those of all its epochs.
    fn key_ids(&self) -> &[KeyId];

    /// Whether it may be the one that wrapped this, beyond what [`Self::key_ids`] says.
    fn may_open(&self, wrapped: &EncryptedDekSource) -> bool {
        let _ = wrapped;
        false
    }

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
    /// No root of the configuration is of a kind that wrapped its local KEK.
    #[error("no root of this configuration wrapped its local KEK; add the one that did: {0}")]
    NoRoot(String),
    /// The root that wrapped its local KEK does not open it now.
    #[error("{0}")]
    Root(String),
    /// Nothing may be wrapped or unwrapped now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Not made by this key in this context, or altered since. Deliberately one answer for all
    /// causes.
    #[error("the ciphertext does not authenticate under this key, context and annotations")]
    Unauthentic,
}

/// Why a KEK is not used now, whoever asks. kube-apiserver shows the text, so it is short.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// There is no local KEK yet: no root has answered since the start.
    #[error("starting: {0}")]
    Starting(String),
    /// All roots refuse the key: a revocation.
    #[error("the key is refused: {0}; access must be given back at the root")]
    Refused(String),
    /// No root could be reached for longer than `offlineGrace`.
    #[error("offlineGrace is over: {0}; the root must be reachable again")]
    GraceOver(String),
}
