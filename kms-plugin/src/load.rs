//! From a configuration file to a keyring that is not in use yet.

use std::{error::Error as StdError, path::Path};

use kms_proto::KeyId;
use sha2::{Digest, Sha256};

use crate::{
    config::{self, Config, ConfigError},
    keyring::{Keyring, KeyringError, Member},
    root::OpenError,
};

/// What one look at the configuration and at every file it names came to.
#[derive(Debug)]
pub struct Reading {
    /// What was seen, without any key.
    pub seen: Seen,
    /// The settings and the keyring they ask for, or why there is none.
    pub outcome: Result<Loaded, LoadError>,
}

/// What a look saw: the same text, and the same keys or the same failure, are the same. A key id is
/// a hash of its key, so equal key ids are equal keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    config: Option<[u8; 32]>,
    keys: Result<Vec<KeyId>, String>,
}

/// Settings and the keyring they ask for.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The keyring; not tried yet.
    pub keyring: Keyring,
}

impl Reading {
    /// Reads the file at `path` and the files it names.
    pub fn of(path: &Path) -> Self {
        let (config, outcome) = match config::read_text(path) {
            Ok(text) => (Some(Sha256::digest(&text).into()), load(&text)),
            Err(error) => (None, Err(error.into())),
        };
        let keys = match &outcome {
            Ok(Loaded { keyring, .. }) => Ok(keyring
                .members()
                .map(|member| member.kek.key_id().clone())
                .collect()),
            Err(error) => Err(chain(error)),
        };
        Self {
            seen: Seen { config, keys },
            outcome,
        }
    }
}

/// An error and its causes, in one line.
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn load(text: &str) -> Result<Loaded, LoadError> {
    let config: Config = text.parse()?;
    let members = config
        .keks
        .iter()
        .map(|kek| {
            let opened = kek
                .root
                .open(&config.fixed.context, kek.epoch)
                .map_err(|source| LoadError::Open {
                    name: kek.name.clone(),
                    source,
                })?;
            match &kek.pinned {
                Some(pinned) if pinned != opened.key_id() => Err(LoadError::Pin {
                    name: kek.name.clone(),
                    pinned: pinned.clone(),
                    found: opened.key_id().clone(),
                }),
                _ => Ok(Member {
                    name: kek.name.clone(),
                    root: kek.root.kind(),
                    epoch: kek.epoch,
                    kek: opened,
                }),
            }
        })
        .collect::<Result<_, _>>()?;
    Ok(Loaded {
        keyring: Keyring::new(members)?,
        config,
    })
}

/// Why a configuration gives no keyring.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The configuration itself is refused.
    #[error("the configuration is refused")]
    Config(#[from] ConfigError),
    /// Its KEKs make no keyring.
    #[error("the keyring is refused")]
    Keyring(#[from] KeyringError),
    /// The root of a KEK did not give it.
    #[error("cannot open the KEK {name:?}")]
    Open {
        /// The name of the KEK.
        name: String,
        /// What happened.
        source: OpenError,
    },
    /// A KEK is not the one that the configuration pins.
    #[error(
        "the KEK {name:?} has the key id {found}, but `keyId` says {pinned}; is the right key in place?"
    )]
    Pin {
        /// The name of the KEK.
        name: String,
        /// The key id in the configuration.
        pinned: KeyId,
        /// The key id of the key.
        found: KeyId,
    },
}
