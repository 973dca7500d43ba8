use std::{fmt, sync::Arc};

use super::ProviderKind;
use crate::{chain::Chain, stored::transformer::OpenCause};

/// Why no provider of the rule opens a value. Its text holds every cause, and nothing secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// Every provider and key that was tried, in order; never empty.
    Attempts(Vec<Attempt>),
    /// The value is encrypted, but its resource only knows plain text.
    Encrypted,
    /// No provider of the rule has the value's prefix.
    NoMatchingPrefix,
}

impl std::error::Error for OpenError {}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attempts(attempts) => match &attempts[..] {
                [attempt] => write!(f, "{attempt}"),
                attempts => {
                    for (index, attempt) in attempts.iter().enumerate() {
                        f.write_str(if index == 0 { "[" } else { ", " })?;
                        write!(f, "{attempt}")?;
                    }
                    f.write_str("]")
                }
            },
            Self::Encrypted => write!(f, "{}", OpenCause::Encrypted),
            Self::NoMatchingPrefix => f.write_str("no matching prefix found"),
        }
    }
}

/// One provider and key that could not open a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The transformer.
    pub provider: ProviderKind,
    /// The name of the key or of the KMS provider; none where no key has the name in the value.
    pub key: Option<Arc<str>>,
    /// Why it failed.
    pub cause: OpenCause,
}

impl Attempt {
    pub(super) fn no_matching_key(provider: ProviderKind) -> Self {
        let transformer = match provider {
            ProviderKind::Secretbox => "Secretbox",
            _ => "AES",
        };
        Self::new(provider, None, OpenCause::NoMatchingKey(transformer))
    }

    pub(super) fn new(provider: ProviderKind, key: Option<&Arc<str>>, cause: OpenCause) -> Self {
        Self {
            provider,
            key: key.cloned(),
            cause,
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.provider)?;
        if let Some(key) = &self.key {
            write!(f, " {key:?}")?;
        }
        write!(f, ": {}", Chain(&self.cause))
    }
}
