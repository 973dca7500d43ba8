//! The roots in use: made from the settings, kept over a reload as far as these are the same.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::time::timeout;
use tracing::info;

use crate::{
    config::{Config, RootConfig, UnderRootsConfig},
    local_kek::{
        Phase, SealedCopies, Settings, UnderRoots,
        guarded::Guarded,
        state_dir::{StateDir, StateDirError},
    },
    root::{
        OpenError,
        local::{KeyFileError, KeyMaterial},
    },
};

/// How long changed roots may take to wrap before the old ones stay in use.
const READY: Duration = Duration::from_secs(15);

/// The roots in use.
#[derive(Debug, Default)]
pub struct Roots {
    /// The file of a recovery root's identity, in a recovery.
    identity: Option<PathBuf>,
    state: Option<Arc<StateDir>>,
    in_use: Option<InUse>,
    /// Those of the last attempt, which may be made again and again: a token or a server that counts wrong PINs or
    /// logins must not see another one each time.
    tried: Vec<(RootConfig, Arc<Guarded>)>,
}

#[derive(Debug)]
struct InUse {
    config: UnderRootsConfig,
    under_roots: UnderRoots,
}

impl Roots {
    /// None yet. With the file of its identity, a recovery root opens too.
    pub fn new(identity: Option<PathBuf>) -> Self {
        Self {
            identity,
            ..Self::default()
        }
    }

    /// The KEK under roots that is in use.
    pub fn in_use(&self) -> Option<&UnderRoots> {
        self.in_use.as_ref().map(|in_use| &in_use.under_roots)
    }

    /// The KEK under roots that `config` asks for, without its being in use: the one in use if nothing about it
    /// changed, else another, which has begun to make itself ready. Must be called within a runtime.
    ///
    /// # Errors
    /// The state directory or a file cannot be used.
    pub fn prepare(&mut self, config: &Config) -> Result<Option<UnderRoots>, RootsError> {
        let Some(wanted) = &config.under_roots else {
            self.tried.clear();
            return Ok(None);
        };
        if self.identity.is_some() && !wanted.roots.iter().any(|root| root.settings.is_offline()) {
            return Err(RootsError::NothingToRecover);
        }
        if let Some(in_use) = self
            .in_use
            .as_ref()
            .filter(|in_use| in_use.config == *wanted)
        {
            self.tried.clear();
            return Ok(Some(in_use.under_roots.clone()));
        }
        let state = self.state(&config.fixed.state_directory)?;
        let contacts = state.contacts();
        let mut roots = Vec::new();
        let mut not_found = None;
        for root in &wanted.roots {
            let same = self.in_use.as_ref().and_then(|in_use| {
                let place = in_use.config.roots.iter().position(|other| other == root)?;
                in_use.under_roots.roots().get(place).cloned()
            });
            let contact = contacts.get(&root.name).copied();
            let tried = || self.tried.iter().find(|(other, _)| other == root);
            roots.push(match (same, tried()) {
                (Some(guarded), _) => guarded,
                (None, Some((_, guarded))) => Arc::new(guarded.anew(contact)),
                (None, None) => {
                    let failed = |source| RootsError::Open {
                        name: root.name.clone(),
                        source,
                    };
                    let opened = match root.settings.open(self.identity.as_deref()) {
                        Ok(opened) => opened,
                        // One of several recipients is enough: the others wrap only, as ever.
                        Err(error) if error.is_identity_of_another() => {
                            not_found.get_or_insert_with(|| failed(error));
                            root.settings.open(None).map_err(failed)?
                        }
                        Err(error) => return Err(failed(error)),
                    };
                    Arc::new(Guarded::new(root.name.clone(), opened, contact))
                }
            });
        }
        let recovers = |(settings, root): (&RootConfig, &Arc<Guarded>)| {
            settings.settings.is_offline() && !root.is_offline()
        };
        if self.identity.is_some() && !wanted.roots.iter().zip(&roots).any(recovers) {
            return Err(not_found.unwrap_or(RootsError::NothingToRecover));
        }
        let settings = wanted.roots.iter().cloned();
        self.tried = settings.zip(roots.iter().cloned()).collect();
        let copies = match &wanted.sealed_copies {
            // A recovery has the identity, and the key may be a credential that systemd shows to its unit only.
            Some(file) if self.identity.is_none() => {
                let material = KeyMaterial::read(file)?;
                Some(SealedCopies::new(&material, &config.fixed.context))
            }
            _ => None,
        };
        let settings = Settings {
            context: config.fixed.context.clone(),
            epoch: wanted.epoch,
            roots,
            wrap_with: wanted.wrap_with.clone(),
            // In a recovery the others are gone, and an apiserver that starts needs something to write with.
            write_quorum: match self.identity {
                Some(_) => 1,
                None => wanted.write_quorum,
            },
            grace: wanted.offline_grace,
            state,
            copies,
        };
        Ok(Some(UnderRoots::start(settings, self.in_use())))
    }

    /// Waits until what [`Self::prepare`] gave can wrap.
    ///
    /// # Errors
    /// It still cannot, after a time.
    pub async fn ready(under_roots: &UnderRoots) -> Result<(), RootsError> {
        if timeout(READY, under_roots.ready()).await.is_ok() {
            return Ok(());
        }
        Err(match under_roots.phase() {
            Phase::Starting(what) | Phase::Refused(what) | Phase::GraceOver(what) => {
                RootsError::NotReady(what)
            }
            Phase::Serving | Phase::Degraded { .. } => return Ok(()),
        })
    }

    /// Says that what [`Self::prepare`] gave for this `config` is in use.
    pub fn use_from_now(&mut self, config: &Config, under_roots: Option<UnderRoots>) {
        let changed =
            self.in_use.as_ref().map(|in_use| &in_use.config) != config.under_roots.as_ref();
        if changed && let Some(under_roots) = &under_roots {
            let names: Vec<_> = under_roots.roots().iter().map(|root| root.name()).collect();
            info!(roots = names.join(", "), "using the roots of the files");
        }
        self.in_use = config
            .under_roots
            .clone()
            .zip(under_roots)
            .map(|(config, under_roots)| InUse {
                config,
                under_roots,
            });
    }

    fn state(&mut self, path: &Path) -> Result<Arc<StateDir>, StateDirError> {
        if let Some(state) = &self.state {
            return Ok(Arc::clone(state));
        }
        let state = Arc::new(StateDir::open(path)?);
        self.state = Some(Arc::clone(&state));
        Ok(state)
    }
}

/// Why roots are not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootsError {
    /// An identity was given, and no root is one that it opens.
    #[error(
        "`roots` lists no recovery root; add `age: {{recipient: ...}}`, as it was when the data was written"
    )]
    NothingToRecover,
    /// They do not wrap.
    #[error("the roots do not wrap a local KEK: {0}")]
    NotReady(String),
    /// One of them cannot be opened.
    #[error("cannot open the root {name:?}")]
    Open {
        /// Its name.
        name: String,
        /// What happened.
        source: OpenError,
    },
    /// The key that seals copies.
    #[error("cannot seal copies of local KEKs")]
    SealedCopies(#[from] KeyFileError),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateDirError),
}

#[cfg(test)]
#[cfg(all(feature = "vault", feature = "age"))]
mod tests;
