//! The KEK whose local KEKs roots wrap, as the keyring sees it.

use std::{
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use async_trait::async_trait;
use kms_proto::{DekSource, EncryptedDekSource, KeyId};
use tokio::{
    sync::{mpsc, watch},
    task::{AbortHandle, JoinHandle},
};

use super::{
    ANNOTATION, Envelope, LocalKek,
    guarded::{Guarded, Patience},
    held::{Held, OpenError},
    keeper::Keeper,
    key_id,
    shared::{Phase, Settings, Shared},
};
use crate::kek::{Kek, KekError, Unavailable};

/// Wrapped local KEKs that wait to be written to the state directory; more are forgotten.
const MAX_WAITING: usize = 256;

/// A KEK of local KEKs that roots wrap. Clones are one and the same.
#[derive(Debug, Clone)]
pub struct UnderRoots {
    shared: Arc<Shared>,
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

impl UnderRoots {
    /// Starts to keep local KEKs with these roots, in a task of its own: it serves as soon as one of them
    /// answers, or at once from a sealed copy. Must be called within a runtime.
    ///
    /// What another one holds open is open here too: a reload asks no root again.
    pub fn start(settings: Settings, before: Option<&Self>) -> Self {
        let (seen, arrivals) = mpsc::channel(MAX_WAITING);
        let remembered = settings
            .state
            .last()
            .map(|(_, envelope)| key_id(&envelope, settings.epoch));
        let shared = Arc::new(Shared {
            settings,
            held: Arc::new(before.map_or_else(Held::default, |before| before.shared.held.copy())),
            current: Mutex::default(),
            remembered: Mutex::new(remembered),
            looked: AtomicBool::new(false),
            seen,
            turns: watch::Sender::new(()),
        });
        let keeper = Keeper::new(Arc::clone(&shared), before.is_some());
        let keeper: JoinHandle<()> = tokio::spawn(keeper.run(arrivals));
        Self {
            shared,
            _keeper: Arc::new(KeeperTask(keeper.abort_handle())),
        }
    }

    /// Whether they are clones of one.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// All roots of the configuration.
    pub fn roots(&self) -> &[Arc<Guarded>] {
        &self.shared.settings.roots
    }

    /// The names of the roots that wrap.
    pub fn wrapping_names(&self) -> String {
        let names: Vec<_> = self.shared.wrapping().map(|root| root.name()).collect();
        names.join(",")
    }

    /// Whether local KEKs are wrapped with this root.
    pub fn wraps_with(&self, root: &Guarded) -> bool {
        self.shared
            .wrapping()
            .any(|other| other.name() == root.name())
    }

    /// How long the silence of the roots is borne.
    pub fn grace(&self) -> Duration {
        self.shared.settings.grace
    }

    /// The state of the whole.
    pub fn phase(&self) -> Phase {
        self.shared.phase()
    }

    /// Waits until it can wrap; forever if it never can.
    pub async fn ready(&self) {
        let mut turns = self.shared.turns.subscribe();
        while self.shared.unavailable().is_some() {
            if turns.changed().await.is_err() {
                return;
            }
        }
    }

    /// How many local KEKs are open.
    pub fn held(&self) -> usize {
        self.shared.held.len()
    }

    /// The local KEK that wraps, as the roots wrapped it.
    pub fn current(&self) -> Option<Envelope> {
        Some(self.shared.current()?.envelope().clone())
    }
}

#[async_trait]
impl Kek for UnderRoots {
    fn key_id(&self) -> Result<KeyId, Unavailable> {
        match self.shared.usable() {
            Ok(kek) => Ok(key_id(kek.envelope(), self.shared.settings.epoch)),
            Err(starting @ Unavailable::Starting(_)) if self.shared.is_borne() => {
                self.shared.remembered().ok_or(starting)
            }
            Err(unavailable) => Err(unavailable),
        }
    }

    fn key_ids(&self) -> &[KeyId] {
        &[]
    }

    fn may_open(&self, wrapped: &EncryptedDekSource) -> bool {
        wrapped.annotations.get(ANNOTATION).is_some()
    }

    async fn wrap(&self, dek: DekSource) -> Result<EncryptedDekSource, KekError> {
        self.shared.usable()?.wrap(&dek, self.shared.settings.epoch)
    }

    async fn unwrap(&self, wrapped: &EncryptedDekSource) -> Result<DekSource, KekError> {
        // While starting, a root may answer for this one before there is one to wrap with.
        if let Some(unavailable) = self.shared.unavailable()
            && !matches!(unavailable, Unavailable::Starting(_))
        {
            return Err(unavailable.into());
        }
        let annotation = wrapped
            .annotations
            .get(ANNOTATION)
            .ok_or(KekError::Unauthentic)?;
        let id = Envelope::id_of(annotation).ok_or(KekError::Unauthentic)?;
        if let Some(kek) = self.shared.held.get(id) {
            return kek.unwrap(wrapped);
        }
        let envelope = Envelope::parse(annotation).map_err(|_| KekError::Unauthentic)?;
        // Rare, and its state is large.
        let kek = Box::pin(self.open(envelope.clone())).await?;
        let dek = kek.unwrap(wrapped)?;
        // Authentic as of now. The keeper writes it down; at worst it is asked for again after a restart.
        let _ = self.shared.seen.try_send(envelope);
        Ok(dek)
    }
}

impl UnderRoots {
    async fn open(&self, envelope: Envelope) -> Result<Arc<LocalKek>, KekError> {
        let kek = self.shared.open(envelope, Patience::Caller).await?;
        // A revocation may have come in between.
        if let Some(unavailable) = self.shared.unavailable()
            && !matches!(unavailable, Unavailable::Starting(_))
        {
            return Err(unavailable.into());
        }
        Ok(kek)
    }
}

impl From<OpenError> for KekError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Unauthentic => Self::Unauthentic,
            OpenError::NoRoot(keys) => Self::NoRoot(keys),
            OpenError::Root(what) | OpenError::Version(what) => Self::Root(what),
        }
    }
}
