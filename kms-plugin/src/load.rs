//! From a configuration file to a keyring that is not in use yet.

use std::path::Path;

use kms_proto::KeyId;
use sha2::{Digest, Sha256};

use crate::{
    chain::chain,
    config::{self, Config, ConfigError, KekConfig, KekSource},
    keyring::{Keyring, KeyringError, Member},
    local_kek::UnderRoots,
    root::local::{KeyFileError, Local},
    roots::RootsError,
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

/// Settings and the keys of the files they name.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The KEKs in key files, in the order of `config.keks`; a gap for the one under roots.
    keks: Vec<Option<Local>>,
}

impl Loaded {
    /// The keyring of these settings; not tried yet. `under_roots` is the KEK whose local KEKs roots wrap, where
    /// the settings have one.
    ///
    /// # Errors
    /// The KEKs make no keyring.
    pub fn keyring(self, under_roots: Option<&UnderRoots>) -> Result<Keyring, KeyringError> {
        let Self { config, keks } = self;
        let members = config
            .keks
            .into_iter()
            .zip(keks)
            .filter_map(|(kek, local)| {
                let (name, epoch) = (kek.name, kek.epoch);
                match (local, under_roots) {
                    (Some(local), _) => Some(Member::local(name, epoch, Box::new(local))),
                    (None, Some(under_roots)) => {
                        Some(Member::under_roots(name, epoch, under_roots))
                    }
                    (None, None) => None,
                }
            });
        Keyring::new(members.collect())
    }
}

impl Reading {
    /// Reads the file at `path` and the files it names.
    pub fn of(path: &Path) -> Self {
        let (config, outcome) = match config::read_text(path) {
            Ok(text) => (Some(Sha256::digest(&text).into()), load(&text)),
            Err(error) => (None, Err(error.into())),
        };
        let keys = match &outcome {
            Ok(Loaded { keks, .. }) => Ok(keks
                .iter()
                .flatten()
                .map(|local| local.current_id().clone())
                .collect()),
            Err(error) => Err(chain(error)),
        };
        Self {
            seen: Seen { config, keys },
            outcome,
        }
    }
}

fn load(text: &str) -> Result<Loaded, LoadError> {
    let config: Config = text.parse()?;
    let open = |kek: &KekConfig| {
        let KekSource::Local(source) = &kek.source else {
            return Ok(None);
        };
        let local = Local::open(source, &config.fixed.context, kek.epoch).map_err(|source| {
            LoadError::Open {
                name: kek.name.clone(),
                source,
            }
        })?;
        match &kek.pinned {
            Some(pinned) if pinned != local.current_id() => Err(LoadError::Pin {
                name: kek.name.clone(),
                pinned: pinned.clone(),
                found: local.current_id().clone(),
            }),
            _ => Ok(Some(local)),
        }
    };
    let keks = config.keks.iter().map(open).collect::<Result<_, _>>()?;
    Ok(Loaded { keks, config })
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
    /// Its roots cannot be used.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// The key file of a KEK did not give it.
    #[error("cannot open the KEK {name:?}")]
    Open {
        /// The name of the KEK.
        name: String,
        /// What happened.
        source: KeyFileError,
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
