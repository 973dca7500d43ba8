//! What calls and the keeper share: the settings, the local KEK that wraps, those that are open, and the state of
//! the whole.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use kms_proto::KeyId;
use tokio::sync::{mpsc, watch};

use super::{
    Envelope, LocalKek, SealedCopies, binding,
    guarded::{Guarded, Patience},
    held::{Held, OpenError, Opened},
    key_id,
    outage::Standing,
    state_dir::StateDir,
};
use crate::{
    kek::Unavailable,
    root::remote::{RootError, WrappedKek},
};

/// What [`UnderRoots`](super::UnderRoots) is made of.
#[expect(missing_debug_implementations, reason = "it may hold a key")]
pub struct Settings {
    /// Bound into every ciphertext.
    pub context: String,
    /// Part of the key id.
    pub epoch: u32,
    /// All roots of the configuration: any of them opens.
    pub roots: Vec<Arc<Guarded>>,
    /// Those that wrap, by their place in `roots`. Not empty.
    pub wrap_with: Vec<usize>,
    /// How many of those must have wrapped a local KEK before it is used: 1 to their number.
    pub write_quorum: usize,
    /// How long the silence of all roots that wrap is borne.
    pub grace: Duration,
    /// What outlives the process.
    pub state: Arc<StateDir>,
    /// Seals copies of local KEKs into the state directory, for a start while no root answers.
    pub copies: Option<SealedCopies>,
}

/// The state of the whole, which is that of the best of the roots that wrap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// No local KEK yet.
    Starting(String),
    /// A root answers.
    Serving,
    /// None answers; that is borne for so long still.
    Degraded {
        /// What is wrong.
        what: String,
        /// How long it is borne from now on.
        left: Duration,
    },
    /// Every one refuses the key.
    Refused(String),
    /// None has answered for too long.
    GraceOver(String),
}

impl Phase {
    /// All names of phases.
    pub const NAMES: [&str; 4] = ["starting", "serving", "degraded", "refused"];

    /// Its name in `kms-plugin status` and in the metrics. What may not be used for too long a silence is refused
    /// as well.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Starting(_) => "starting",
            Self::Serving => "serving",
            Self::Degraded { .. } => "degraded",
            Self::Refused(_) | Self::GraceOver(_) => "refused",
        }
    }
}

/// What calls and the keeper share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) held: Arc<Held>,
    pub(super) current: Mutex<Option<Arc<LocalKek>>>,
    /// Whether the keeper has looked at what outlived the last process.
    pub(super) looked: AtomicBool,
    /// The key id of before, which Status goes on answering within the grace though nothing can be
    /// unwrapped yet: an apiserver that has its seed in memory needs no more to go on writing.
    pub(super) remembered: Mutex<Option<KeyId>>,
    pub(super) seen: mpsc::Sender<Envelope>,
    /// Told at the end of every round of the keeper.
    pub(super) turns: watch::Sender<()>,
}

impl Shared {
    /// The roots that wrap.
    pub(super) fn wrapping(&self) -> impl Iterator<Item = &Arc<Guarded>> {
        let Settings {
            roots, wrap_with, ..
        } = &self.settings;
        wrap_with.iter().map(|index| &roots[*index])
    }

    pub(super) fn current(&self) -> Option<Arc<LocalKek>> {
        self.current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Wraps with this one from now on.
    pub(super) fn set_current(&self, kek: Option<Arc<LocalKek>>) {
        if let Some(kek) = &kek {
            self.held.insert(Arc::clone(kek));
            *self.lock_remembered() = Some(key_id(kek.envelope(), self.settings.epoch));
        }
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = kek;
    }

    /// The key id that was answered last.
    pub(super) fn remembered(&self) -> Option<KeyId> {
        self.lock_remembered().clone()
    }

    fn lock_remembered(&self) -> MutexGuard<'_, Option<KeyId>> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// From memory, at the time of asking: that nothing is served beyond its time hangs on no task.
    pub(super) fn phase(&self) -> Phase {
        let mut borne: Option<(String, Duration)> = None;
        let (mut refused, mut over, mut unknown) = (None, None, None);
        let mut is_good = false;
        for root in self.wrapping().filter(|root| !root.is_offline()) {
            let told = |what: String| format!("the root {:?} {what}", root.name());
            match root.standing(self.settings.grace) {
                Standing::Good => is_good = true,
                Standing::Borne { what, left } => {
                    if borne.as_ref().is_none_or(|(_, other)| *other < left) {
                        borne = Some((told(what), left));
                    }
                }
                Standing::Refused(what) => refused = Some(told(format!("refuses the key: {what}"))),
                Standing::Over(what) => over = Some(told(what)),
                Standing::Unknown(what) => {
                    unknown = Some(told(
                        what.unwrap_or_else(|| "has not answered yet".to_owned()),
                    ));
                }
            }
        }
        let has_key = self.current().is_some();
        match (borne, over, refused, unknown) {
            _ if is_good && has_key => Phase::Serving,
            _ if is_good => Phase::Starting("no local KEK is wrapped yet".to_owned()),
            (Some((what, left)), ..) if has_key => Phase::Degraded { what, left },
            (Some((what, _)), ..) => Phase::Starting(what),
            (None, Some(what), ..) => Phase::GraceOver(what),
            (None, None, Some(what), _) => Phase::Refused(what),
            (None, None, None, unknown) => {
                Phase::Starting(unknown.unwrap_or_else(|| "no root wraps".to_owned()))
            }
        }
    }

    /// Whether a root that wraps answers, or its silence is borne.
    pub(super) fn is_borne(&self) -> bool {
        self.wrapping()
            .filter(|root| !root.is_offline())
            .any(|root| {
                let standing = root.standing(self.settings.grace);
                matches!(standing, Standing::Good | Standing::Borne { .. })
            })
    }

    pub(super) fn unavailable(&self) -> Option<Unavailable> {
        match self.phase() {
            Phase::Serving | Phase::Degraded { .. } => None,
            Phase::Starting(what) => Some(Unavailable::Starting(what)),
            Phase::Refused(what) => Some(Unavailable::Refused(what)),
            Phase::GraceOver(what) => Some(Unavailable::GraceOver(what)),
        }
    }

    pub(super) fn usable(&self) -> Result<Arc<LocalKek>, Unavailable> {
        if let Some(unavailable) = self.unavailable() {
            return Err(unavailable);
        }
        self.current()
            .ok_or_else(|| Unavailable::Starting("no local KEK is wrapped yet".to_owned()))
    }

    /// Opens a local KEK with any root that wrapped it.
    pub(super) async fn open(self: &Arc<Self>, envelope: Envelope, patience: Patience) -> Opened {
        let this = Arc::clone(self);
        let id = envelope.id();
        let open = async move { this.ask(envelope, patience).await };
        self.held.open(id, open).await
    }

    async fn ask(&self, envelope: Envelope, patience: Patience) -> Opened {
        let binding = binding(envelope.id(), &self.settings.context);
        let mut worst = None;
        for (root, wrapped) in self.candidates(&envelope) {
            match root.unwrap(patience, wrapped, &binding).await {
                Ok(material) => {
                    let context = &self.settings.context;
                    return Ok(Arc::new(LocalKek::new(envelope, material, context)));
                }
                Err(RootError::Corrupt { .. }) => {
                    worst.get_or_insert(OpenError::Unauthentic);
                }
                Err(error) => {
                    let what = format!("the root {:?} {error}", root.name());
                    // One that is not well was perhaps not asked at all.
                    let is_final = matches!(error, RootError::Refused { .. })
                        && root.is_past(&wrapped.version)
                        && root.is_well();
                    match worst {
                        Some(OpenError::Root(_)) if is_final => {}
                        _ if is_final => worst = Some(OpenError::Version(what)),
                        _ => worst = Some(OpenError::Root(what)),
                    }
                }
            }
        }
        Err(worst.unwrap_or_else(|| {
            let keys: Vec<_> = envelope.versions().map(|version| version.key()).collect();
            OpenError::NoRoot(keys.join(", "))
        }))
    }

    /// Which root is asked to unwrap what: first those that name the key as their own and are well, then any
    /// of the same kind, for a key may have moved to another address or path.
    fn candidates<'a>(&'a self, envelope: &'a Envelope) -> Vec<(&'a Arc<Guarded>, &'a WrappedKek)> {
        let mut found = Vec::new();
        for root in self.settings.roots.iter().filter(|root| !root.is_offline()) {
            for wrapped in envelope.wrapped() {
                let theirs = match root.last_version() {
                    Some(version) => version.key() == wrapped.version.key(),
                    None => false,
                };
                let same_kind = root.kind() == wrapped.version.kind();
                if theirs || same_kind {
                    let is_well = root.standing(self.settings.grace) == Standing::Good;
                    found.push(((!theirs, !is_well), root, wrapped));
                }
            }
        }
        found.sort_by_key(|(rank, ..)| *rank);
        found
            .into_iter()
            .map(|(_, root, wrapped)| (root, wrapped))
            .collect()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("roots", &self.settings.roots)
            .field("current", &self.current())
            .field("looked", &self.looked.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}
