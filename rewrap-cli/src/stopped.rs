//! Proof that every apiserver is stopped, and a watch that they stay so.

use std::{cell::RefCell, collections::HashMap, fmt, pin::Pin, rc::Rc, time::Duration};

use futures_util::{Stream, StreamExt as _};
use prost::bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use crate::{
    printable::OneLine,
    session::Session,
    store::{Change, Key, Kind, Live, StoreError},
    watch,
};

/// How long nobody may write before a run begins. A live apiserver writes every 10 s: its identity
/// lease (1.26 and newer; `k8s.io/kubernetes/pkg/controlplane/apiserver/server.go`), and its address
/// below `masterleases`.
///
/// Only what moves counts. The time in a lease is that of another machine's clock: by it a dead
/// apiserver may look alive for hours, and a live one dead.
pub const QUIET: Duration = Duration::from_secs(45);

/// How long it is waited for a [`QUIET`] in which etcd told everything.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long the writes of a run take to come back in the watch, at most.
const SETTLES: Duration = Duration::from_secs(60);

type Writes = Pin<Box<dyn Stream<Item = Result<Vec<Change>, StoreError>>>>;

/// The values that a run is writing: a put of anything else is somebody else's. Sealing is randomised,
/// so nobody else can come upon the same bytes.
#[derive(Debug, Default)]
pub struct Ours(RefCell<HashMap<Bytes, Bytes>>);

impl Ours {
    /// This value is about to be written.
    pub fn expect(&self, key: &Bytes, value: &Bytes) {
        self.0.borrow_mut().insert(key.clone(), value.clone());
    }

    /// It was not written.
    pub fn forget(&self, key: &[u8]) {
        self.0.borrow_mut().remove(key);
    }

    /// Whether this is a write of ours, which is seen but once.
    fn take(&self, key: &[u8], value: &[u8]) -> bool {
        let mut expected = self.0.borrow_mut();
        let ours = expected.get(key).is_some_and(|expected| *expected == value);
        if ours {
            expected.remove(key);
        }
        ours
    }

    fn all_seen(&self) -> bool {
        self.0.borrow().is_empty()
    }
}

/// Nobody but this run writes to the stores, as far as it was watched.
pub struct Silence {
    writes: Writes,
    ours: Rc<Ours>,
}

impl fmt::Debug for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Silence").finish_non_exhaustive()
    }
}

impl Silence {
    /// Watches for [`QUIET`], without a break.
    ///
    /// # Errors
    /// Somebody writes, kine, and what any call can meet.
    pub async fn prove(session: &Session) -> Result<Self, StoppedError> {
        for named in &session.stores {
            if named.store.kind() == Kind::Kine {
                return Err(StoppedError::Kine(named.name.clone()));
            }
        }
        let (writes, live) = watch::writes(session).await?;
        let mut silence = Self {
            writes: Box::pin(writes),
            ours: Rc::default(),
        };
        // Whoever does not listen hears nothing: only what all watches are open for counts.
        let open_since = || {
            let since = live.iter().map(Live::since);
            since.reduce(|one, other| one.zip(other).map(|(one, other)| one.max(other)))?
        };
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let end = match open_since() {
                Some(since) if since.elapsed() >= QUIET => return Ok(silence),
                Some(since) => since + QUIET,
                None => Instant::now() + Duration::from_secs(1),
            };
            if let Ok(error) = timeout_at(end, silence.broken()).await {
                return Err(error);
            }
        }
        Err(StoppedError::Unseen)
    }

    /// Where a run says what it writes.
    pub fn ours(&self) -> Rc<Ours> {
        Rc::clone(&self.ours)
    }

    /// Waits until somebody else writes, or until that cannot be seen any more.
    ///
    /// Deletions do not count: etcd itself deletes what is under a lease that ends.
    pub async fn broken(&mut self) -> StoppedError {
        loop {
            if let Err(error) = self.next().await {
                return error;
            }
        }
    }

    /// Waits until all writes of ours were seen, and with them whatever came between.
    ///
    /// # Errors
    /// Somebody else wrote, or that cannot be seen.
    pub async fn settle(&mut self) -> Result<(), StoppedError> {
        let deadline = Instant::now() + SETTLES;
        while !self.ours.all_seen() {
            let seen = timeout_at(deadline, self.next()).await;
            seen.map_err(|_| StoppedError::Unseen)??;
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<(), StoppedError> {
        let changes = self.writes.next().await.ok_or(StoppedError::Unseen)??;
        for change in changes {
            match change {
                Change::Put(record) if !self.ours.take(&record.key, &record.value) => {
                    return Err(StoppedError::Written(record.key[..].into()));
                }
                Change::Put(_) | Change::Deleted { .. } => {}
            }
        }
        Ok(())
    }
}

/// Why the apiservers are not known to be stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoppedError {
    /// kine takes one object in a transaction, and compacts by itself.
    #[error(
        "the store {} is kine, which takes one object in a transaction and compacts by itself; run \
         without --apiservers-stopped",
        OneLine(.0)
    )]
    Kine(String),
    /// The watch does not tell what is written.
    #[error(
        "etcd does not tell what is written, so that nobody knows whether the apiservers are stopped; \
         what is written is safe"
    )]
    Unseen,
    /// Somebody else writes.
    #[error(
        "somebody else wrote {0}, so an apiserver lives; what this run has written is safe; stop \
         every apiserver and run this again, or run without --apiservers-stopped"
    )]
    Written(Key),
    /// etcd.
    #[error(transparent)]
    Store(#[from] StoreError),
}
