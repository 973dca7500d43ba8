//! Roots: where KEKs live. One file each; this one is the list of them.

use std::path::Path;

use remote::RemoteRoot;

#[cfg(feature = "age")]
pub mod age;
#[cfg(feature = "aws-kms")]
pub mod aws_kms;
pub mod local;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
pub mod remote;
#[cfg(feature = "vault")]
pub mod vault;

/// Where the key of a root outside of this process is, and how it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemoteConfig {
    /// Transit of Vault or OpenBao.
    #[cfg(feature = "vault")]
    Vault(vault::Config),
    /// A key of AWS KMS.
    #[cfg(feature = "aws-kms")]
    AwsKms(aws_kms::Config),
    /// A module of PKCS#11.
    #[cfg(feature = "pkcs11")]
    Pkcs11(pkcs11::Config),
    /// The recipient of an age identity that is kept offline.
    #[cfg(feature = "age")]
    Age(age::Config),
}

impl RemoteConfig {
    /// Whether it wraps only.
    pub fn is_offline(&self) -> bool {
        #[cfg(feature = "age")]
        if matches!(self, Self::Age(_)) {
            return true;
        }
        false
    }

    /// The root, not asked yet: what its files say counts from the first call on. `identity` is the file of the
    /// identity that a recovery root opens with.
    ///
    /// # Errors
    /// There is no such identity in the file.
    pub fn open(&self, identity: Option<&Path>) -> Result<Box<dyn RemoteRoot>, OpenError> {
        // With other features, or none, there is nothing to open with it.
        let _ = identity;
        match *self {
            #[cfg(feature = "vault")]
            Self::Vault(ref config) => Ok(Box::new(vault::Vault::open(config))),
            #[cfg(feature = "aws-kms")]
            Self::AwsKms(ref config) => Ok(Box::new(aws_kms::AwsKms::open(config))),
            #[cfg(feature = "pkcs11")]
            Self::Pkcs11(ref config) => Ok(Box::new(pkcs11::Pkcs11::open(config))),
            #[cfg(feature = "age")]
            Self::Age(ref config) => Ok(Box::new(match identity {
                Some(file) => age::Age::with_identity(config, file)?,
                None => age::Age::open(config),
            })),
        }
    }
}

/// Why a root cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
#[non_exhaustive]
pub enum OpenError {
    /// The identity of a recovery root.
    #[cfg(feature = "age")]
    Age(#[from] age::IdentityError),
}

impl OpenError {
    /// Whether the file is sound, and its identity another root's.
    pub(crate) fn is_identity_of_another(&self) -> bool {
        #[cfg(feature = "age")]
        if matches!(self, Self::Age(age::IdentityError::None { .. })) {
            return true;
        }
        false
    }
}
