use std::{fmt, str::FromStr};

use serde::Serialize;

/// The public name of one version of a KEK.
///
/// Stored in the clear with every object, compared byte by byte by kube-apiserver, and never used
/// again for another key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct KeyId(Box<str>);

impl KeyId {
    /// The longest key id an apiserver accepts, in bytes (`keyIDMaxSize`,
    /// `k8s.io/apiserver/pkg/storage/value/encrypt/envelope/kmsv2/envelope.go`).
    pub const MAX_LEN: usize = 1024;

    /// The key id as it stands on the wire and in etcd.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a text is a key id.
    pub(crate) fn check(text: &str) -> Result<(), KeyIdError> {
        match text.len() {
            0 => Err(KeyIdError::Empty),
            1..=Self::MAX_LEN => Ok(()),
            len => Err(KeyIdError::TooLong { len }),
        }
    }
}

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::check(s)?;
        Ok(Self(s.into()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no key id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyIdError {
    /// Empty key ids are refused by every apiserver.
    #[error("the key id is empty")]
    Empty,
    /// Longer than [`KeyId::MAX_LEN`].
    #[error("the key id has {len} bytes, more than the {max} that kube-apiserver accepts", max = KeyId::MAX_LEN)]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_the_apiservers() {
        assert_eq!("".parse::<KeyId>(), Err(KeyIdError::Empty));
        assert!("a".parse::<KeyId>().is_ok());
        assert!("a".repeat(1024).parse::<KeyId>().is_ok());
        assert_eq!(
            "a".repeat(1025).parse::<KeyId>(),
            Err(KeyIdError::TooLong { len: 1025 })
        );
    }
}
