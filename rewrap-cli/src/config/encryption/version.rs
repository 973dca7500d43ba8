use std::{fmt, str::FromStr};

/// A minor release of Kubernetes, 1.28 to 1.37.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KubernetesVersion {
    minor: u8,
}

impl KubernetesVersion {
    /// The oldest release whose rules are known.
    pub const OLDEST: Self = Self { minor: 28 };
    /// The newest.
    pub const NEWEST: Self = Self { minor: 37 };

    /// The minor version: 31 of 1.31.
    pub fn minor(self) -> u8 {
        self.minor
    }

    /// Unknown fields and duplicate keys are errors since 1.31.
    pub(super) fn is_strict(self) -> bool {
        self.minor >= 31
    }

    /// The feature gate `KMSv1` is off by default since 1.29.
    pub(super) fn has_kms_v1(self) -> bool {
        self.minor <= 28
    }
}

impl Default for KubernetesVersion {
    fn default() -> Self {
        Self::NEWEST
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.minor)
    }
}

impl FromStr for KubernetesVersion {
    type Err = VersionError;

    /// Takes `1.31`, `v1.31` and with a patch release behind: `v1.31.4`, `1.31.0-rc.1`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let minor = text
            .strip_prefix('v')
            .unwrap_or(text)
            .strip_prefix("1.")
            .and_then(|rest| rest.split('.').next())
            .and_then(|minor| minor.parse().ok())
            .ok_or(VersionError::Malformed)?;
        let version = Self { minor };
        match (Self::OLDEST..=Self::NEWEST).contains(&version) {
            true => Ok(version),
            false => Err(VersionError::Unsupported),
        }
    }
}

/// Why a text is no release that can be chosen.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// Not of the form `1.31`.
    #[error("not a Kubernetes version; write it as 1.31")]
    Malformed,
    /// A release whose rules are not known.
    #[error(
        "the rules of this Kubernetes version are not known; choose {} to {}",
        KubernetesVersion::OLDEST,
        KubernetesVersion::NEWEST
    )]
    Unsupported,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_with_and_without_patch_release() {
        for text in ["1.31", "v1.31", "v1.31.4", "1.31.0-rc.1"] {
            assert_eq!(text.parse(), Ok(KubernetesVersion { minor: 31 }), "{text}");
        }
        for text in ["1.27", "1.38", "v1.99.0"] {
            assert_eq!(
                text.parse::<KubernetesVersion>(),
                Err(VersionError::Unsupported),
                "{text}"
            );
        }
        for text in ["", "1", "31", "2.31", "1.x", "1.-1", "1.300"] {
            assert_eq!(
                text.parse::<KubernetesVersion>(),
                Err(VersionError::Malformed),
                "{text}"
            );
        }
        assert_eq!(KubernetesVersion::default().to_string(), "1.37");
    }
}
