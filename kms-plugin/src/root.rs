//! Roots: where KEKs live. One file each; this one is the list of them.

use crate::{kek::Kek, root::local::Local};

pub mod local;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
pub mod remote;

/// Where one KEK lives.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Root {
    /// A key file on this machine.
    Local(local::Config),
}

impl Root {
    /// The name of its kind, as it stands in the configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Local(_) => "local",
        }
    }

    /// The KEK that lives there, bound to `context`.
    ///
    /// # Errors
    /// The root cannot give it.
    pub fn open(&self, context: &str, epoch: u32) -> Result<Box<dyn Kek>, OpenError> {
        match self {
            Self::Local(config) => Ok(Box::new(Local::open(config, context, epoch)?)),
        }
    }
}

/// Why a root gave no KEK.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
#[non_exhaustive]
pub enum OpenError {
    /// A local key file.
    Local(#[from] local::KeyFileError),
}
