//! The opened local KEKs: bounded, each opened once however many wait for it, all wiped at once.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::{KekId, LocalKek};

/// As many as a daemon keeps open. A cluster has about one for each node and version of its roots' keys.
pub(super) const MAX_HELD: usize = 1000;

/// What came of opening one.
pub(super) type Opened = Result<Arc<LocalKek>, OpenError>;

/// Why a local KEK was not opened: whoever waited for it is told the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OpenError {
    /// All roots asked say that it is not theirs.
    Unauthentic,
    /// No root of the configuration is of a kind that wrapped it.
    NoRoot(String),
    /// A root that may open it did not answer, or refused.
    Root(String),
    /// A root that is well refuses the version that wrapped it.
    Version(String),
}

/// The opened local KEKs.
#[derive(Debug, Default)]
pub(super) struct Held {
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    opened: HashMap<KekId, Slot>,
    opening: HashMap<KekId, watch::Receiver<Option<Opened>>>,
    clock: u64,
    /// Moved by every wipe: what was being opened then is not kept.
    wipes: u64,
}

#[derive(Debug, Clone)]
struct Slot {
    kek: Arc<LocalKek>,
    used: u64,
}

impl Held {
    /// Others that are the same now: a wipe of the one wipes nothing of the other.
    pub(super) fn copy(&self) -> Self {
        let slots = self.slots();
        Self {
            slots: Mutex::new(Slots {
                opened: slots.opened.clone(),
                clock: slots.clock,
                ..Slots::default()
            }),
        }
    }

    /// One that is open.
    pub(super) fn get(&self, id: KekId) -> Option<Arc<LocalKek>> {
        let mut slots = self.slots();
        slots.clock += 1;
        let now = slots.clock;
        let slot = slots.opened.get_mut(&id)?;
        slot.used = now;
        Some(Arc::clone(&slot.kek))
    }

    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.slots().opened.len()
    }

    /// Keeps one; the one that was not used for longest makes room.
    pub(super) fn insert(&self, kek: Arc<LocalKek>) {
        self.slots().insert(kek);
    }

    /// Wipes all, but for what is in the hands of calls that have begun.
    pub(super) fn wipe(&self) {
        let mut slots = self.slots();
        slots.opened.clear();
        slots.wipes += 1;
    }

    /// Opens one with `open`, unless it is open or being opened: then `open` is dropped.
    pub(super) async fn open<F>(self: &Arc<Self>, id: KekId, open: F) -> Opened
    where
        F: Future<Output = Opened> + Send + 'static,
    {
        let mut done = match self.begin(id, open) {
            Ok(kek) => return Ok(kek),
            Err(done) => done,
        };
        match done.wait_for(Option::is_some).await {
            Ok(opened) => opened.clone().unwrap_or_else(|| Err(gone())),
            Err(_) => Err(gone()),
        }
    }

    /// The work goes on in a task of its own: a caller who gives up does not end it for the others.
    fn begin<F>(
        self: &Arc<Self>,
        id: KekId,
        open: F,
    ) -> Result<Arc<LocalKek>, watch::Receiver<Option<Opened>>>
    where
        F: Future<Output = Opened> + Send + 'static,
    {
        let mut slots = self.slots();
        if let Some(slot) = slots.opened.get(&id) {
            return Ok(Arc::clone(&slot.kek));
        }
        // One whose task panicked never ends, and is begun anew.
        let ends = |done: &&watch::Receiver<_>| done.has_changed().is_ok();
        if let Some(done) = slots.opening.get(&id).filter(ends) {
            return Err(done.clone());
        }
        let (tell, done) = watch::channel(None);
        slots.opening.insert(id, done.clone());
        let wipes = slots.wipes;
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let opened = open.await;
            let mut slots = this.slots();
            slots.opening.remove(&id);
            if let Ok(kek) = &opened
                && slots.wipes == wipes
            {
                slots.insert(Arc::clone(kek));
            }
            drop(slots);
            tell.send_replace(Some(opened));
        });
        Err(done)
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    fn insert(&mut self, kek: Arc<LocalKek>) {
        self.clock += 1;
        let used = self.clock;
        self.opened.insert(kek.id(), Slot { kek, used });
        if self.opened.len() > MAX_HELD {
            let oldest = self.opened.iter().min_by_key(|(_, slot)| slot.used);
            if let Some(id) = oldest.map(|(id, _)| *id) {
                self.opened.remove(&id);
            }
        }
    }
}

/// Only if the task that opened it panicked.
fn gone() -> OpenError {
    OpenError::Root("opening it ended half-way".to_owned())
}
