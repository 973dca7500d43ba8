//! Roots: where KEKs live. One file each; this one is the list of them.

use remote::RemoteRoot;

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
    /// A module of PKCS#11.
    #[cfg(feature = "pkcs11")]
    Pkcs11(pkcs11::Config),
}

impl RemoteConfig {
    /// Whether it wraps only.
    pub fn is_offline(&self) -> bool {
        false
    }

    /// The root, not asked yet.
    ///
    /// # Errors
    /// A file that it names cannot be used.
    pub fn open(&self) -> Result<Box<dyn RemoteRoot>, OpenError> {
        Ok(match *self {
            #[cfg(feature = "pkcs11")]
            Self::Pkcs11(ref config) => Box::new(pkcs11::Pkcs11::open(config)),
        })
    }
}

/// Why a root is not even asked.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
#[non_exhaustive]
pub enum OpenError {}
