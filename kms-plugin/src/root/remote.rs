//! What roots outside of this process have in common: they wrap and unwrap local KEKs.

use std::{error::Error as StdError, fmt};

use async_trait::async_trait;

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

/// One version of a root's key, in words that are the same on every node and never name another:
/// `KIND:KEY#VERSION`, printable ASCII of at most [`Self::MAX_LEN`] bytes. Stored with every object, in clear.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootVersion(Box<str>);

impl RootVersion {
    /// The longest, in bytes: the ARN of an AWS key and the id of its material.
    pub const MAX_LEN: usize = 192;

    /// Takes `kind`, such as `vault`, what names the key for ever, and what names its version.
    ///
    /// # Errors
    /// Too long, empty, not printable, or a `:` in the kind.
    pub fn new(kind: &str, key: &str, version: &str) -> Result<Self, RootVersionError> {
        if kind.contains(':') || [kind, key, version].iter().any(|part| part.is_empty()) {
            return Err(RootVersionError);
        }
        format!("{kind}:{key}#{version}").parse()
    }

    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The kind of root: what comes before the first `:`.
    pub fn kind(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }

    /// Kind and key: what comes before the last `#`.
    pub fn key(&self) -> &str {
        self.0.rsplit_once('#').map_or(&self.0, |(key, _)| key)
    }
}

impl fmt::Display for RootVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for RootVersion {
    type Err = RootVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let whole = text.split_once(':').is_some_and(|(kind, rest)| {
            !kind.is_empty()
                && rest
                    .rsplit_once('#')
                    .is_some_and(|(key, version)| !key.is_empty() && !version.is_empty())
        });
        if whole && text.len() <= Self::MAX_LEN && text.bytes().all(|byte| byte.is_ascii_graphic())
        {
            Ok(Self(text.into()))
        } else {
            Err(RootVersionError)
        }
    }
}

/// The words are no version of a root's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not KIND:KEY#VERSION in at most {} printable bytes",
    RootVersion::MAX_LEN
)]
pub struct RootVersionError;

/// A local KEK as one root wrapped it. Not secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKek {
    /// The version of the root's key that wrapped it.
    pub version: RootVersion,
    /// What the root answered, in as few bytes as it can be had: it is stored with every object.
    pub ciphertext: Vec<u8>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_kind_key_and_version() {
        let version = RootVersion::new("vault", "transit/k8s", "3@1732471200").unwrap();
        assert_eq!(version.as_str(), "vault:transit/k8s#3@1732471200");
        assert_eq!(version.kind(), "vault");
        assert_eq!(version.key(), "vault:transit/k8s");
        for bad in [
            "",
            "vault",
            "vault:k",
            ":k#1",
            "vault:#1",
            "vault:k#",
            "vault:k #1",
            "vault:k#\u{e9}",
        ] {
            assert_eq!(bad.parse::<RootVersion>(), Err(RootVersionError), "{bad}");
        }
        let long = format!("vault:{}#1", "k".repeat(RootVersion::MAX_LEN));
        assert_eq!(long.parse::<RootVersion>(), Err(RootVersionError));
        assert!(RootVersion::new("va:ult", "k", "1").is_err());
    }
}
