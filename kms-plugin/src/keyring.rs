//! The KEKs in use: an immutable [`Keyring`], and the one place where it is replaced.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use kms_proto::{DekSource, EncryptedDekSource, KeyId};
use tokio::sync::watch;

use crate::{
    kek::{Kek, KekError},
    local_kek::{Phase, UnderRoots},
};

/// The KEKs of one moment: the first wraps, all unwrap. Never changed, only replaced as a whole.
#[derive(Debug)]
pub struct Keyring {
    primary: Arc<Member>,
    members: Vec<Arc<Member>>,
    by_id: HashMap<KeyId, Arc<Member>>,
}

/// A KEK in a keyring.
#[derive(Debug)]
pub struct Member {
    /// What people call it; not part of the key id.
    pub name: String,
    /// The kind of its root, such as `local`, or the names of the roots that wrap its local KEKs.
    pub root: String,
    /// The epoch it wraps under.
    pub epoch: u32,
    /// The key itself.
    pub kek: Box<dyn Kek>,
    /// It once more, if roots wrap its local KEKs: there is more to say of it then.
    pub under_roots: Option<UnderRoots>,
}

impl Member {
    /// A KEK in a key file.
    pub fn local(name: String, epoch: u32, kek: Box<dyn Kek>) -> Self {
        Self {
            name,
            root: "local".to_owned(),
            epoch,
            kek,
            under_roots: None,
        }
    }

    /// A KEK whose local KEKs roots wrap.
    pub fn under_roots(name: String, epoch: u32, kek: &UnderRoots) -> Self {
        Self {
            name,
            root: kek.wrapping_names(),
            epoch,
            kek: Box::new(kek.clone()),
            under_roots: Some(kek.clone()),
        }
    }
}

impl Keyring {
    /// A keyring that wraps with the first of `members`.
    ///
    /// # Errors
    /// No member, or two that are the same key.
    pub fn new(members: Vec<Member>) -> Result<Self, KeyringError> {
        let members: Vec<_> = members.into_iter().map(Arc::new).collect();
        let primary = Arc::clone(members.first().ok_or(KeyringError::Empty)?);
        let mut by_id = HashMap::new();
        for member in &members {
            for id in member.kek.key_ids() {
                if let Some(other) = by_id.insert(id.clone(), Arc::clone(member)) {
                    return Err(KeyringError::SameKey {
                        first: other.name.clone(),
                        second: member.name.clone(),
                    });
                }
            }
        }
        Ok(Self {
            primary,
            members,
            by_id,
        })
    }

    /// The KEK that wraps.
    pub fn primary(&self) -> &Member {
        &self.primary
    }

    /// The KEK that this is from: the one an epoch of which has its key id, else the first that may
    /// have made it.
    pub fn find(&self, wrapped: &EncryptedDekSource) -> Option<&Member> {
        let known = self.by_id.get(&wrapped.key_id).map(AsRef::as_ref);
        known.or_else(|| self.members().find(|member| member.kek.may_open(wrapped)))
    }

    /// The KEK whose local KEKs roots wrap, if there is one.
    pub fn under_roots(&self) -> Option<&UnderRoots> {
        self.members()
            .find_map(|member| member.under_roots.as_ref())
    }

    /// The state of the KEK that wraps: one in a key file always serves.
    pub fn phase(&self) -> Phase {
        let under_roots = self.primary().under_roots.as_ref();
        under_roots.map_or(Phase::Serving, UnderRoots::phase)
    }

    /// All KEKs, the primary first.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.members.iter().map(AsRef::as_ref)
    }

    /// Wraps and unwraps a value with every KEK that is ready to, so that a keyring is known to work before it is
    /// used.
    ///
    /// # Errors
    /// The first KEK that fails.
    pub async fn probe(&self) -> Result<(), ProbeError> {
        const CANARY: [u8; DekSource::SEED_LEN] = [0x5a; DekSource::SEED_LEN];
        for member in self.members() {
            let failed = |source| ProbeError::Failed {
                name: member.name.clone(),
                source,
            };
            let wrapped = match member.kek.wrap(DekSource::new(CANARY.to_vec())).await {
                // One that cannot wrap yet is waited for by whoever needs it.
                Err(KekError::Unavailable(_)) => continue,
                wrapped => wrapped.map_err(failed)?,
            };
            let unwrapped = member.kek.unwrap(&wrapped).await.map_err(failed)?;
            if unwrapped.expose() != CANARY {
                return Err(ProbeError::Different(member.name.clone()));
            }
        }
        Ok(())
    }
}

/// The keyring in use. A call takes one snapshot with [`Self::load`] and works with that to its
/// end.
#[derive(Debug)]
pub struct SharedKeyring {
    current: watch::Sender<Arc<Keyring>>,
    demoted: Mutex<HashSet<KeyId>>,
}

impl SharedKeyring {
    /// Begins with `keyring`.
    pub fn new(keyring: Keyring) -> Self {
        Self {
            current: watch::Sender::new(Arc::new(keyring)),
            demoted: Mutex::default(),
        }
    }

    /// The keyring of this moment.
    pub fn load(&self) -> Arc<Keyring> {
        Arc::clone(&self.current.borrow())
    }

    /// Puts `next` in its place, in one step.
    ///
    /// # Errors
    /// The primary of `next` was demoted before: to the apiserver it would be a key that comes back
    /// under an id it already left (KEP-3299: a key id is never used again). The old keyring stays.
    pub fn replace(&self, next: Keyring) -> Result<(), ReplaceError> {
        let mut demoted = self.demoted.lock().unwrap_or_else(PoisonError::into_inner);
        let member = next.primary();
        let next_id = member.kek.key_id().ok();
        if let Some(key_id) = next_id.clone().filter(|id| demoted.contains(id)) {
            return Err(ReplaceError {
                name: member.name.clone(),
                key_id,
                next_epoch: member.epoch + 1,
            });
        }
        let old = self.current.send_replace(Arc::new(next));
        let old_id = old.primary().kek.key_id().ok();
        if old_id != next_id {
            demoted.extend(old_id);
        }
        Ok(())
    }
}

/// Why KEKs make no keyring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// Nothing could wrap.
    #[error("a keyring needs a KEK; give at least one under `keks`")]
    Empty,
    /// Two members have a key id in common.
    #[error(
        "the KEKs {first:?} and {second:?} are the same key; remove one of them, or give {second:?} its own key file"
    )]
    SameKey {
        /// The name of the one that comes first.
        first: String,
        /// The name of the other.
        second: String,
    },
}

/// Why a keyring does not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// What a KEK unwrapped is not what it wrapped.
    #[error("the KEK {0:?} did not unwrap what it wrapped")]
    Different(String),
    /// A KEK did not wrap, or did not unwrap.
    #[error("the KEK {name:?} failed its trial")]
    Failed {
        /// The name of the KEK.
        name: String,
        /// What happened.
        source: KekError,
    },
}

/// Why a keyring does not replace another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the KEK {name:?} was the first one before, with the key id {key_id}, and a key id is never used again; set its `epoch` to {next_epoch} or higher to bring it back"
)]
pub struct ReplaceError {
    /// The name of the KEK.
    pub name: String,
    /// The key id that was used before.
    pub key_id: KeyId,
    /// The lowest epoch worth trying.
    pub next_epoch: u32,
}

#[cfg(test)]
mod tests;
