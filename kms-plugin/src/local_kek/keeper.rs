//! The keeper: a task that asks the roots how they are, and sees that there is a local KEK to wrap with that all
//! of them wrapped, under the versions of now.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc,
    task::{JoinSet, spawn_blocking},
    time::sleep,
};
use tracing::{error, info, warn};

mod keeping;
mod making;

use super::{
    Envelope, LocalKek, binding,
    guarded::{Guarded, LONGEST_PAUSE, Patience, jittered},
    held::OpenError,
    shared::{Phase, Shared},
};
use crate::root::remote::{RootError, RootVersion, WrappedKek};

/// How often a root that is well is asked how it is. Refusals over thirty seconds, five apart at most, then end within
/// a minute after a revocation.
const PERIOD: Duration = Duration::from_secs(20);

/// The keeper of one [`UnderRoots`](super::UnderRoots).
pub(super) struct Keeper {
    shared: Arc<Shared>,
    /// Beside another one, which is in use, as long as it has no local KEK of its own.
    on_trial: bool,
    /// When the local KEK that wraps was made, as Unix time, and how often it was used before it was opened here.
    made_at: u64,
    uses_before: u64,
    uses_written: u64,
    contacts_written: Option<Instant>,
    told: Told,
}

/// The state that was logged last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Starting,
    Serving,
    Degraded,
    Stopped,
}

/// What one root answered in one round.
struct Probed {
    index: usize,
    version: Option<RootVersion>,
    /// Whether it opened the local KEK in use, or said that this is not its own.
    opened: Option<bool>,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>, on_trial: bool) -> Self {
        Self {
            shared,
            on_trial,
            made_at: 0,
            uses_before: 0,
            uses_written: 0,
            contacts_written: None,
            told: Told::Nothing,
        }
    }

    /// Works until it is aborted.
    pub(super) async fn run(mut self, mut arrivals: mpsc::Receiver<Envelope>) {
        self.unseal().await;
        loop {
            self.round().await;
            self.shared.turns.send_replace(());
            let wake = sleep(self.until_next());
            tokio::pin!(wake);
            loop {
                tokio::select! {
                    () = &mut wake => break,
                    Some(envelope) = arrivals.recv() => self.keep(envelope).await,
                }
            }
        }
    }

    async fn round(&mut self) {
        let had_one = self.shared.current().is_some();
        self.probe_and_settle().await;
        // One that was held open already was asked of no root yet.
        let opens = |root: &Arc<Guarded>| !root.is_offline() && root.is_well();
        if !had_one && self.shared.current().is_some() && !self.shared.wrapping().any(opens) {
            self.probe_and_settle().await;
        }
        self.stop_or_go_on().await;
        self.open_all_seen().await;
        self.write_down().await;
    }

    async fn probe_and_settle(&mut self) {
        let probed = self.probe().await;
        if let Err(error) = self.settle(&probed).await {
            warn!(error, "no new local KEK could be made");
        }
    }

    /// Asks every root that wraps for its version, and to unwrap the local KEK in use: all at once.
    async fn probe(&self) -> Vec<Probed> {
        let current = self.shared.current();
        let mut asked = JoinSet::new();
        for (index, root) in self.shared.wrapping().enumerate() {
            let (root, current) = (Arc::clone(root), current.clone());
            let context = self.shared.settings.context.clone();
            asked.spawn(async move {
                let answer = ask(&root, current.as_deref(), &context).await;
                let answer = answer.inspect_err(|error| {
                    tracing::debug!(root = root.name(), %error, "a root did not answer well");
                });
                let (version, opened) =
                    answer.map_or((None, None), |(version, opened)| (Some(version), opened));
                Probed {
                    index,
                    version,
                    opened,
                }
            });
        }
        asked.join_all().await
    }

    /// Opens whatever was seen before, so that a later outage finds it open.
    async fn open_all_seen(&self) {
        if self
            .shared
            .looked
            .load(std::sync::atomic::Ordering::Relaxed)
            || !self.shared.wrapping().any(|root| root.is_well())
        {
            return;
        }
        let state = Arc::clone(&self.shared.settings.state);
        for envelope in blocking(move || state.envelopes()).await {
            let id = envelope.id();
            if self.shared.held.get(id).is_some() {
                continue;
            }
            match self.shared.open(envelope.clone(), Patience::Caller).await {
                Ok(kek) => self.seal(kek.material(), &envelope).await,
                Err(OpenError::Root(_)) => return,
                Err(error) => warn!(local_kek = %id, ?error, "a local KEK of before does not open"),
            }
        }
        self.shared
            .looked
            .store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Logs a change of state, and wipes what may not be used any more.
    async fn stop_or_go_on(&mut self) {
        let phase = self.shared.phase();
        let told = match &phase {
            Phase::Starting(_) => Told::Starting,
            Phase::Serving => Told::Serving,
            Phase::Degraded { .. } => Told::Degraded,
            Phase::Refused(_) | Phase::GraceOver(_) => Told::Stopped,
        };
        let changed = told != self.told;
        self.told = told;
        match phase {
            Phase::Starting(what) if changed => warn!(what, "starting: no local KEK yet"),
            Phase::Starting(_) => {}
            Phase::Serving if changed => info!("serving: a root answers"),
            Phase::Serving => {}
            Phase::Degraded { what, left } if changed => {
                warn!(what, ?left, "degraded: no root answers; served from memory");
            }
            Phase::Degraded { .. } => {}
            Phase::Refused(what) => {
                if changed {
                    error!(what, "stopped: the key is refused");
                }
                self.wipe(true).await;
            }
            Phase::GraceOver(what) => {
                if changed {
                    error!(what, "stopped: no root answered within offlineGrace");
                }
                self.wipe(false).await;
            }
        }
    }

    async fn wipe(&self, with_copies: bool) {
        self.shared.set_current(None);
        self.shared.held.wipe();
        self.shared
            .looked
            .store(false, std::sync::atomic::Ordering::Relaxed);
        // Those of the state directory are of the one in use.
        if with_copies && !self.on_trial {
            let state = Arc::clone(&self.shared.settings.state);
            if let Err(error) = blocking(move || state.unlink_sealed()).await {
                error!(%error, "cannot delete the sealed copies");
            }
        }
    }

    fn until_next(&self) -> Duration {
        let mut next = jittered(PERIOD);
        for root in self.shared.wrapping() {
            if let Some(pause) = root.pause() {
                next = next.min(pause).min(LONGEST_PAUSE);
            }
        }
        match self.shared.phase() {
            // To wipe when it is over.
            Phase::Degraded { left, .. } => next.min(left + Duration::from_millis(1)),
            Phase::Starting(_) => next.min(LONGEST_PAUSE),
            _ => next,
        }
        .max(Duration::from_millis(50))
    }

    fn root(&self, probed: &Probed) -> Option<&Arc<Guarded>> {
        self.shared.wrapping().nth(probed.index)
    }
}

/// The version of a root's key, and whether it still unwraps what it wrapped, where that is tried.
async fn ask(
    root: &Guarded,
    current: Option<&LocalKek>,
    context: &str,
) -> Result<(RootVersion, Option<bool>), RootError> {
    let version = root.version(Patience::Asked).await?;
    let Some(kek) = current.filter(|_| !root.is_offline()) else {
        return Ok((version, None));
    };
    let mut opened = None;
    let same_key = |one: &&WrappedKek| one.version.key() == version.key();
    if let Some(wrapped) = kek.envelope().wrapped().iter().find(same_key) {
        let binding = binding(kek.id(), context);
        match root.unwrap(Patience::Asked, wrapped, &binding).await {
            Ok(_) => opened = Some(true),
            // A new local KEK shows whether it lets us use the version of now.
            Err(RootError::Refused { what }) if wrapped.version != version => {
                warn!(
                    root = root.name(),
                    what, "it refuses the version that wrapped the local KEK in use"
                );
            }
            // Another key under the old name. Not every kind of root has another version then.
            Err(RootError::Corrupt { what }) => {
                opened = Some(false);
                warn!(
                    root = root.name(),
                    what, "it does not unwrap what it wrapped"
                );
            }
            Err(error) => return Err(error),
        }
    }
    Ok((version, opened))
}

/// A file system may hang; the daemon may not.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}
