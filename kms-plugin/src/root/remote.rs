//! What roots outside of this process have in common: they wrap and unwrap local KEKs.

use std::{error::Error as StdError, fmt};

use async_trait::async_trait;
pub use kms_proto::{RootVersion, WrappedKek};

use super::local::KeyMaterial;

/// A key that a server or a device holds and never gives away. It wraps and unwraps local KEKs.
///
/// Calls are made one at a time, each within a time limit of the caller's; dropping one half-way must
/// be harmless. A root takes up changed credentials by itself, at its next call.
#[async_trait]
pub trait RemoteRoot: fmt::Debug + Send + Sync {
    /// The kind of root, as in its configuration and in every [`RootVersion`] of it: `vault`.
    fn kind(&self) -> &'static str;

    /// The version of the key that wraps now.
    ///
    /// # Errors
    /// Those of every call of a root: see [`RootError`].
    async fn version(&self) -> Result<RootVersion, RootError>;

    /// Wraps a local KEK under the version that wraps now, and says which that was.
    ///
    /// # Errors
    /// See [`RootError`].
    async fn wrap(&self, kek: &KeyMaterial, binding: &Binding) -> Result<WrappedKek, RootError>;

    /// Unwraps what any version of this key wrapped.
    ///
    /// # Errors
    /// [`RootError::Corrupt`] if it was made by another key, for another binding, or was altered; else
    /// see [`RootError`].
    async fn unwrap(
        &self,
        wrapped: &WrappedKek,
        binding: &Binding,
    ) -> Result<KeyMaterial, RootError>;

    /// Whether its key is kept where no daemon reaches it: it wraps, without anybody being asked, and does
    /// not unwrap.
    fn is_offline(&self) -> bool {
        false
    }

    /// What is granted beyond or short of what a root needs, a sentence each, as
    /// [`kms-plugin check`](crate::check) says it; and whatever else an operator will regret.
    ///
    /// # Errors
    /// See [`RootError`].
    async fn review(&self) -> Result<Vec<String>, RootError>;
}

/// What a root binds into a wrapped local KEK, so that it opens only in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The `context` of the configuration.
    pub context: String,
    /// The id of the local KEK: 128 random bits.
    pub kek: [u8; 16],
}

/// Why a root did not answer as asked. The variants differ in what follows: see the outage policy.
///
/// What they say is for logs and `kms-plugin status`: in our own words or those of the server, never with a credential.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// It cannot be reached, cannot answer now (time-out, 5xx, 429, sealed, standby), or does not let us
    /// log in: an expired token is no revocation.
    #[error("cannot be reached: {what}")]
    Unreachable {
        /// What was tried, and what came of it.
        what: String,
        /// The cause, where there is one that says more.
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// It let us in, and denies this key: forbidden, disabled, pending deletion, destroyed.
    #[error("refuses the key: {what}")]
    Refused {
        /// What the root says.
        what: String,
    },
    /// This ciphertext is none of this key's. Says nothing of the root.
    #[error("does not know the wrapped key: {what}")]
    Corrupt {
        /// What the root says.
        what: String,
    },
}

impl RootError {
    /// [`Self::Unreachable`] without a cause.
    pub fn unreachable(what: impl Into<String>) -> Self {
        Self::Unreachable {
            what: what.into(),
            source: None,
        }
    }

    /// [`Self::Unreachable`] with its cause.
    pub fn unreachable_because(
        what: impl Into<String>,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Self::Unreachable {
            what: what.into(),
            source: Some(Box::new(source)),
        }
    }
}
