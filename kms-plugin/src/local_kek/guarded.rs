//! A root and what is known of it: asked one call at a time, within a limit, not again and again while it fails.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::time::{self, timeout};
use tracing::debug;

use super::outage::{Outage, Standing};
use crate::{
    chain::chain,
    root::{
        local::KeyMaterial,
        remote::{Binding, RemoteRoot, RootError, RootVersion, WrappedKek},
    },
};

/// How long one call may take: an answer that is later is no answer.
pub const CALL_LIMIT: Duration = Duration::from_secs(5);
/// After the first failure a root is left alone for this long, after each further one for twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// And never for longer than this.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Nor than this while it may turn out to be a revocation, which ends within a minute: a look and these come to less.
const LONGEST_PAUSE_REFUSED: Duration = Duration::from_secs(5);

/// A root by the name it has in the configuration.
pub struct Guarded {
    name: String,
    root: Arc<dyn RemoteRoot>,
    turn: tokio::sync::Mutex<()>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    outage: Outage,
    version: Option<RootVersion>,
    failures: u32,
    not_before: Option<Instant>,
    calls: Calls,
}

/// How many calls were made, and how many came to nothing for the root's sake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// Calls of `version`.
    pub version: u64,
    /// Calls of `wrap`.
    pub wrap: u64,
    /// Calls of `unwrap`.
    pub unwrap: u64,
    /// Those of all of them that ended as unreachable or refused.
    pub failed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Version,
    Wrap,
    Unwrap { is_past: bool },
}

impl Calls {
    fn count(&mut self, which: Call) {
        *match which {
            Call::Version => &mut self.version,
            Call::Wrap => &mut self.wrap,
            Call::Unwrap { .. } => &mut self.unwrap,
        } += 1;
    }
}

/// Whether a call waits for the end of a root's pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// The keeper's: it chose the time.
    Asked,
    /// Somebody waits for the answer: a root that has just failed is not asked.
    Caller,
}

impl Guarded {
    /// Nothing is known of it but how long ago it last answered, if that was kept.
    pub fn new(name: String, root: Box<dyn RemoteRoot>, contact: Option<Duration>) -> Self {
        Self::of(name, Arc::from(root), contact)
    }

    /// The same root from the beginning, but for what it remembers itself: which PIN or login was refused.
    pub(crate) fn anew(&self, contact: Option<Duration>) -> Self {
        Self::of(self.name.clone(), Arc::clone(&self.root), contact)
    }

    fn of(name: String, root: Arc<dyn RemoteRoot>, contact: Option<Duration>) -> Self {
        let outage = contact.map_or_else(Outage::default, |age| Outage::remembered(age, now()));
        Self {
            name,
            root,
            turn: tokio::sync::Mutex::default(),
            known: Mutex::new(Known {
                outage,
                ..Known::default()
            }),
        }
    }

    /// Whether they ask the same root.
    #[cfg(all(test, feature = "vault", feature = "age"))]
    pub(crate) fn shares_root(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.root, &other.root)
    }

    /// What the configuration calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands before the `:` in the versions of its key.
    pub fn kind(&self) -> &'static str {
        self.root.kind()
    }

    /// Whether it wraps only, its key being kept where no daemon reaches it.
    pub fn is_offline(&self) -> bool {
        self.root.is_offline()
    }

    /// Where it stands.
    pub fn standing(&self, grace: Duration) -> Standing {
        self.known().outage.standing(now(), grace)
    }

    /// How long ago its last good answer came.
    pub fn since_contact(&self) -> Option<Duration> {
        self.known().outage.since_contact(now())
    }

    /// The version of its key that it named last.
    pub fn last_version(&self) -> Option<RootVersion> {
        self.known().version.clone()
    }

    /// How often it was asked.
    pub fn calls(&self) -> Calls {
        self.known().calls
    }

    /// When it may be asked again, if it is in trouble.
    pub(super) fn pause(&self) -> Option<Duration> {
        let not_before = self.known().not_before?;
        Some(not_before.saturating_duration_since(now()))
    }

    /// See [`RemoteRoot::version`].
    pub(crate) async fn version(&self, patience: Patience) -> Result<RootVersion, RootError> {
        let version = self
            .call(patience, Call::Version, self.root.version())
            .await?;
        self.known().version = Some(version.clone());
        Ok(version)
    }

    /// See [`RemoteRoot::wrap`].
    async fn wrap(
        &self,
        patience: Patience,
        kek: &KeyMaterial,
        binding: &Binding,
    ) -> Result<WrappedKek, RootError> {
        let call = self.root.wrap(kek, binding);
        let wrapped = self.call(patience, Call::Wrap, call).await?;
        self.known().version = Some(wrapped.version.clone());
        Ok(wrapped)
    }

    /// See [`RemoteRoot::unwrap`]. That what a version of before wrapped is refused says nothing of the key.
    pub(super) async fn unwrap(
        &self,
        patience: Patience,
        wrapped: &WrappedKek,
        binding: &Binding,
    ) -> Result<KeyMaterial, RootError> {
        let call = self.root.unwrap(wrapped, binding);
        let which = Call::Unwrap {
            is_past: self.is_past(&wrapped.version),
        };
        self.call(patience, which, call).await
    }

    /// Whether its last good answer is of just now, with nothing held against it since.
    pub(super) fn is_well(&self) -> bool {
        self.standing(Duration::ZERO) == Standing::Good
    }

    /// Whether it is known to be another version than the key has now: an operator may have forbidden or destroyed
    /// it, once nothing was left under it.
    pub(super) fn is_past(&self, version: &RootVersion) -> bool {
        self.known()
            .version
            .as_ref()
            .is_some_and(|now| now != version)
    }

    /// Wraps, and sees that what was wrapped opens, unless the root is offline. The keeper's, and that of `check`.
    pub(crate) async fn wrap_and_try(
        &self,
        kek: &KeyMaterial,
        binding: &Binding,
    ) -> Result<WrappedKek, RootError> {
        let wrapped = self.wrap(Patience::Asked, kek, binding).await?;
        if !self.is_offline() {
            let opened = self.unwrap(Patience::Asked, &wrapped, binding).await?;
            if !opened.is(kek) {
                return Err(RootError::Corrupt {
                    what: "it unwrapped another key than it wrapped".to_owned(),
                });
            }
        }
        Ok(wrapped)
    }

    /// See [`RemoteRoot::review`].
    ///
    /// # Errors
    /// See [`RootError`].
    pub async fn review(&self) -> Result<Vec<String>, RootError> {
        within_limit(self.root.review()).await
    }

    async fn call<T>(
        &self,
        patience: Patience,
        which: Call,
        call: impl Future<Output = Result<T, RootError>>,
    ) -> Result<T, RootError> {
        self.may_be_asked(patience)?;
        let _turn = self.turn.lock().await;
        // Whoever had the turn before may have found it gone.
        self.may_be_asked(patience)?;
        self.known().calls.count(which);
        let outcome = within_limit(call).await;
        self.learn(which, outcome.as_ref().err());
        outcome
    }

    fn may_be_asked(&self, patience: Patience) -> Result<(), RootError> {
        if patience == Patience::Asked || self.pause().is_none_or(|pause| pause.is_zero()) {
            return Ok(());
        }
        match self.standing(Duration::ZERO) {
            Standing::Refused(what) => Err(RootError::Refused { what }),
            Standing::Over(what) | Standing::Unknown(Some(what)) => {
                Err(RootError::unreachable(format!("{what} (a moment ago)")))
            }
            Standing::Good | Standing::Unknown(None) | Standing::Borne { .. } => Ok(()),
        }
    }

    fn learn(&self, which: Call, error: Option<&RootError>) {
        let now = now();
        let mut known = self.known();
        match error {
            None => {
                // Who may read of a key, or wrap with it, may not be let to unwrap, without which all is lost. Whatever
                // is wrapped is unwrapped at once, where that can be.
                if self.is_offline() || matches!(which, Call::Unwrap { .. }) {
                    known.outage.answered(now);
                    known.failures = 0;
                    known.not_before = None;
                }
                return;
            }
            // Not its own bytes, as some roots find out without asking anybody: it did not fail, and that is all.
            Some(RootError::Corrupt { .. }) => {
                known.failures = 0;
                known.not_before = None;
                return;
            }
            Some(RootError::Refused { .. }) if which == (Call::Unwrap { is_past: true }) => return,
            Some(error @ RootError::Unreachable { .. }) => known.outage.silent(now, chain(error)),
            Some(RootError::Refused { what }) => known.outage.refused(now, what.clone()),
        }
        known.calls.failed += 1;
        let doubled = FIRST_PAUSE.saturating_mul(1 << known.failures.min(16));
        let may_be_revoked = known.outage.may_be_revoked();
        let longest = if may_be_revoked {
            LONGEST_PAUSE_REFUSED
        } else {
            LONGEST_PAUSE
        };
        let pause = jittered(doubled.min(longest));
        known.failures = known.failures.saturating_add(1);
        known.not_before = Some(now + pause);
        debug!(root = self.name, ?pause, "left alone for a while");
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded")
            .field("name", &self.name)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

async fn within_limit<T>(call: impl Future<Output = Result<T, RootError>>) -> Result<T, RootError> {
    timeout(CALL_LIMIT, call).await.unwrap_or_else(|_| {
        Err(RootError::unreachable(format!(
            "no answer within {CALL_LIMIT:?}"
        )))
    })
}

/// The clock that sleeping goes by, so that a test may stop both.
pub(super) fn now() -> Instant {
    time::Instant::now().into_std()
}

/// A tenth more or less, so that the nodes of a cluster do not ask in step.
pub(super) fn jittered(duration: Duration) -> Duration {
    let mut byte = [128];
    // Without randomness there is no jitter, and nothing worse.
    let _ = getrandom::fill(&mut byte);
    duration.mul_f64(0.9 + 0.2 * f64::from(byte[0]) / 255.0)
}
