//! The KEK whose local KEKs roots wrap, as the keyring sees it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use kms_proto::{DekSource, EncryptedDekSource, KeyId};
use tokio::{
    sync::{mpsc, watch},
    task::{AbortHandle, JoinHandle},
};

use super::{
    ANNOTATION, Envelope, KekId, LocalKek, SealedCopies, binding,
    guarded::{Guarded, Patience},
    held::{Held, OpenError, Opened},
    keeper::Keeper,
    key_id,
    outage::Standing,
    state_dir::StateDir,
};
use crate::{
    kek::{Kek, KekError, Unavailable},
    root::remote::{RootError, WrappedKek},
};

/// Wrapped local KEKs that wait to be written to the state directory; more are forgotten.
const MAX_WAITING: usize = 256;

/// What [`UnderRoots`] is made of.
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

/// A KEK of local KEKs that roots wrap. Clones are one and the same.
#[derive(Debug, Clone)]
pub struct UnderRoots {
    inner: Arc<Inner>,
    _keeper: Arc<KeeperTask>,
}

/// Ends the keeper with the last clone.
#[derive(Debug)]
struct KeeperTask(AbortHandle);

impl Drop for KeeperTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What calls and the keeper share.
pub(super) struct Inner {
    pub(super) settings: Settings,
    pub(super) held: Arc<Held>,
    current: Mutex<Option<Arc<LocalKek>>>,
    /// Whether the keeper has looked at what outlived the last process.
    pub(super) looked: AtomicBool,
    /// The key id of before, which Status goes on answering within the grace though nothing can be
    /// unwrapped yet: an apiserver that has its seed in memory needs no more to go on writing.
    remembered: Option<KeyId>,
    seen: mpsc::Sender<Envelope>,
    /// Told at the end of every round of the keeper.
    pub(super) turns: watch::Sender<()>,
}

impl UnderRoots {
    /// Starts to keep local KEKs with these roots, in a task of its own: it serves as soon as one of them
    /// answers, or at once from a sealed copy. Must be called within a runtime.
    ///
    /// What another one holds open stays open: a reload asks no root again.
    pub fn start(settings: Settings, before: Option<&Self>) -> Self {
        let (seen, arrivals) = mpsc::channel(MAX_WAITING);
        let remembered = settings
            .state
            .last()
            .map(|(_, envelope)| key_id(&envelope, settings.epoch));
        let inner = Arc::new(Inner {
            settings,
            held: before.map_or_else(Arc::default, |before| Arc::clone(&before.inner.held)),
            current: Mutex::default(),
            remembered,
            looked: AtomicBool::new(false),
            seen,
            turns: watch::Sender::new(()),
        });
        let keeper: JoinHandle<()> = tokio::spawn(Keeper::new(Arc::clone(&inner)).run(arrivals));
        Self {
            inner,
            _keeper: Arc::new(KeeperTask(keeper.abort_handle())),
        }
    }

    /// Whether they are clones of one.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// All roots of the configuration.
    pub fn roots(&self) -> &[Arc<Guarded>] {
        &self.inner.settings.roots
    }

    /// The names of the roots that wrap.
    pub fn wrapping_names(&self) -> String {
        let names: Vec<_> = self.inner.wrapping().map(|root| root.name()).collect();
        names.join(",")
    }

    /// Whether local KEKs are wrapped with this root.
    pub fn wraps_with(&self, root: &Guarded) -> bool {
        self.inner
            .wrapping()
            .any(|other| other.name() == root.name())
    }

    /// How long the silence of the roots is borne.
    pub fn grace(&self) -> Duration {
        self.inner.settings.grace
    }

    /// The state of the whole.
    pub fn phase(&self) -> Phase {
        self.inner.phase()
    }

    /// Waits until it can wrap; forever if it never can.
    pub async fn ready(&self) {
        let mut turns = self.inner.turns.subscribe();
        while self.inner.unavailable().is_some() {
            if turns.changed().await.is_err() {
                return;
            }
        }
    }

    /// How many local KEKs are open.
    pub fn held(&self) -> usize {
        self.inner.held.len()
    }

    /// The local KEK that wraps, as the roots wrapped it.
    pub fn current(&self) -> Option<Envelope> {
        Some(self.inner.current()?.envelope().clone())
    }
}

impl Inner {
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
        }
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = kek;
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
    fn is_borne(&self) -> bool {
        self.wrapping()
            .filter(|root| !root.is_offline())
            .any(|root| {
                let standing = root.standing(self.settings.grace);
                matches!(standing, Standing::Good | Standing::Borne { .. })
            })
    }

    fn unavailable(&self) -> Option<Unavailable> {
        match self.phase() {
            Phase::Serving | Phase::Degraded { .. } => None,
            Phase::Starting(what) => Some(Unavailable::Starting(what)),
            Phase::Refused(what) => Some(Unavailable::Refused(what)),
            Phase::GraceOver(what) => Some(Unavailable::GraceOver(what)),
        }
    }

    fn usable(&self) -> Result<Arc<LocalKek>, Unavailable> {
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
                    worst = Some(OpenError::Root(format!(
                        "the root {:?} {error}",
                        root.name()
                    )));
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

#[async_trait]
impl Kek for UnderRoots {
    fn key_id(&self) -> Result<KeyId, Unavailable> {
        match (self.inner.usable(), &self.inner.remembered) {
            (Ok(kek), _) => Ok(key_id(kek.envelope(), self.inner.settings.epoch)),
            (Err(Unavailable::Starting(_)), Some(key_id)) if self.inner.is_borne() => {
                Ok(key_id.clone())
            }
            (Err(unavailable), _) => Err(unavailable),
        }
    }

    fn key_ids(&self) -> &[KeyId] {
        &[]
    }

    fn may_open(&self, wrapped: &EncryptedDekSource) -> bool {
        wrapped.annotations.get(ANNOTATION).is_some()
    }

    fn under_roots(&self) -> Option<&UnderRoots> {
        Some(self)
    }

    async fn wrap(&self, dek: DekSource) -> Result<EncryptedDekSource, KekError> {
        self.inner.usable()?.wrap(&dek, self.inner.settings.epoch)
    }

    async fn unwrap(&self, wrapped: &EncryptedDekSource) -> Result<DekSource, KekError> {
        // While starting, a root may answer for this one before there is one to wrap with.
        if let Some(unavailable) = self.inner.unavailable()
            && !matches!(unavailable, Unavailable::Starting(_))
        {
            return Err(unavailable.into());
        }
        let annotation = wrapped
            .annotations
            .get(ANNOTATION)
            .ok_or(KekError::Unauthentic)?;
        let id = Envelope::id_of(annotation).ok_or(KekError::Unauthentic)?;
        let kek = match self.inner.held.get(id) {
            Some(kek) => kek,
            None => self.open(id, annotation).await?,
        };
        kek.unwrap(wrapped)
    }
}

impl UnderRoots {
    async fn open(&self, id: KekId, annotation: &[u8]) -> Result<Arc<LocalKek>, KekError> {
        let envelope = Envelope::parse(annotation).map_err(|_| KekError::Unauthentic)?;
        debug_assert_eq!(envelope.id(), id);
        let kek = self.inner.open(envelope, Patience::Caller).await?;
        // A revocation may have come in between.
        if let Some(unavailable) = self.inner.unavailable()
            && !matches!(unavailable, Unavailable::Starting(_))
        {
            return Err(unavailable.into());
        }
        // The keeper writes it down; at worst it is asked for again after a restart.
        let _ = self.inner.seen.try_send(kek.envelope().clone());
        Ok(kek)
    }
}

impl From<OpenError> for KekError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Unauthentic => Self::Unauthentic,
            OpenError::NoRoot(keys) => Self::NoRoot(keys),
            OpenError::Root(what) => Self::Root(what),
        }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("roots", &self.settings.roots)
            .field("current", &self.current())
            .field("looked", &self.looked.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}
