//! The recovery root: an age recipient, whose identity lies in a safe.
//!
//! It wraps with the public half alone, so it is never away, and what it wrapped opens with the identity alone:
//! with nothing of the cluster, of a key server or, at worst, of this program left. Beside other roots it is
//! what a cluster is opened with when all of them are gone.

use std::{fmt, path::Path};

use async_trait::async_trait;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{
    local::KeyMaterial,
    remote::{Binding, RemoteRoot, RootError, RootVersion, WrappedKek},
};
use crate::{
    config::{ConfigError, field},
    fields,
};

mod file;
mod keys;

pub use file::NotAgeFile;
pub use keys::{Identity, IdentityError, Recipient, RecipientError};

use file::{PAYLOAD_LEN, Sealed};

/// The name of its kind, as it stands in the configuration and in a [`RootVersion`].
const KIND: &str = "age";
/// Names this construction in everything wrapped with it.
const LABEL: &[u8] = b"ringfence/age/v1";
/// A recipient has no versions: another one is another root.
const VERSION: &str = "1";

/// The first byte of everything wrapped: the format below. A byte that was ever released is read for ever.
const FORMAT: u8 = 1;
const KEK_LEN: usize = 32;

/// The settings of a recovery root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Whom local KEKs are encrypted to.
    pub recipient: Recipient,
}

/// What may be written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Written {
    recipient: String,
}

impl Written {
    /// What may be relied on; `at` is where this stands in the file.
    pub(crate) fn check(self, at: &str) -> Result<Config, ConfigError> {
        let recipient = self.recipient.parse();
        Ok(Config {
            recipient: recipient.map_err(|error: RecipientError| {
                field(format!("{at}.recipient"), error.to_string())
            })?,
        })
    }
}

/// An age recipient; with its identity only where something is recovered.
///
/// The version is `age:RECIPIENT#1`. What is wrapped is `1` and the parts of an age file (format v1 of
/// <https://c2sp.org/age>, one X25519 stanza) without the characters between them; [`Self::age_file`] puts
/// them together for any age tool. The file's content is the local KEK (32 bytes) and the SHA-256 of what it
/// is bound to.
pub struct Age {
    recipient: Recipient,
    identity: Option<Identity>,
}

impl Age {
    /// A root that only wraps.
    pub fn open(config: &Config) -> Self {
        Self {
            recipient: config.recipient.clone(),
            identity: None,
        }
    }

    /// A root that unwraps as well: for recovery, never in the daemon. `path` is a file as `age-keygen` writes
    /// it, with this recipient's identity in it.
    ///
    /// # Errors
    /// The file may not, or cannot, be read, or does not hold the identity.
    pub fn with_identity(config: &Config, path: &Path) -> Result<Self, IdentityError> {
        Ok(Self {
            recipient: config.recipient.clone(),
            identity: Some(Identity::read(path, &config.recipient)?),
        })
    }

    /// The age file that a local KEK was wrapped into.
    ///
    /// # Errors
    /// It was wrapped by something else.
    pub fn age_file(wrapped: &WrappedKek) -> Result<Vec<u8>, NotAgeFile> {
        match wrapped.ciphertext.split_first() {
            Some((&FORMAT, rest)) => Ok(Sealed::parse(rest)?.to_file()),
            _ => Err(NotAgeFile),
        }
    }

    fn root_version(&self) -> RootVersion {
        RootVersion::new(KIND, &self.recipient.to_string(), VERSION)
            .expect("a recipient has 62 letters and digits")
    }
}

fn hash(binding: &Binding) -> [u8; 32] {
    let fields = fields::encode([LABEL, binding.context.as_bytes(), &binding.kek]);
    Sha256::digest(fields).into()
}

#[async_trait]
impl RemoteRoot for Age {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn is_offline(&self) -> bool {
        self.identity.is_none()
    }

    async fn version(&self) -> Result<RootVersion, RootError> {
        Ok(self.root_version())
    }

    async fn wrap(&self, kek: &KeyMaterial, binding: &Binding) -> Result<WrappedKek, RootError> {
        let mut payload = Zeroizing::new([0; PAYLOAD_LEN]);
        payload[..KEK_LEN].copy_from_slice(kek.expose());
        payload[KEK_LEN..].copy_from_slice(&hash(binding));
        let sealed = Sealed::seal(&self.recipient, &payload).map_err(|error| {
            RootError::unreachable(format!(
                "the operating system gave no random bytes: {error}"
            ))
        })?;
        let mut ciphertext = vec![FORMAT];
        ciphertext.extend_from_slice(sealed.as_bytes());
        Ok(WrappedKek {
            version: self.root_version(),
            ciphertext,
        })
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedKek,
        binding: &Binding,
    ) -> Result<KeyMaterial, RootError> {
        let corrupt = |what: String| Err(RootError::Corrupt { what });
        if wrapped.version != self.root_version() {
            return corrupt(format!("{} is another root", wrapped.version));
        }
        let Some(identity) = &self.identity else {
            return Err(RootError::Refused {
                what: "it opens with the identity alone, which is kept offline; `kms-plugin recover` takes it".to_owned(),
            });
        };
        let sealed = match wrapped.ciphertext.split_first() {
            Some((&FORMAT, rest)) => Sealed::parse(rest).ok(),
            _ => None,
        };
        let Some(payload) = sealed.and_then(|sealed| sealed.open(identity)) else {
            return corrupt("it does not open with the identity".to_owned());
        };
        if !bool::from(payload[KEK_LEN..].ct_eq(&hash(binding))) {
            return corrupt("it was wrapped for another context or another local KEK".to_owned());
        }
        let mut kek = Box::new([0; KEK_LEN]);
        kek.copy_from_slice(&payload[..KEK_LEN]);
        Ok(KeyMaterial::new(kek))
    }

    async fn review(&self) -> Result<Vec<String>, RootError> {
        Ok(Vec::new())
    }
}

impl fmt::Debug for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Age")
            .field("recipient", &self.recipient)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
