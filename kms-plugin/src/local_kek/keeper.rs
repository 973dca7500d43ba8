//! The keeper: a task that asks the roots how they are, and sees that there is a local KEK to wrap with that all
//! of them wrapped, under the versions of now.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc,
    task::{JoinSet, spawn_blocking},
    time::sleep,
};
use tracing::{error, info, warn};
use zeroize::Zeroizing;

use super::{
    Envelope, KekId, LocalKek, binding,
    guarded::{Guarded, LONGEST_PAUSE, Patience, jittered, now},
    held::OpenError,
    key_id,
    outage::Standing,
    shared::{Phase, Shared},
    state_dir::{Current, unix_now},
};
use crate::root::{
    local::KeyMaterial,
    remote::{RootError, RootVersion, WrappedKek},
};

/// How often a root that is well is asked how it is. Three refusals, ten seconds apart after the first, then
/// end within a minute after a revocation.
const PERIOD: Duration = Duration::from_secs(20);
/// A local KEK wraps for no longer than this, as Kubernetes' own reference had it (`k8s.io/kms`, `pkg/hierarchy`).
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Nor more DEK sources than this (the same).
const MAX_USES: u64 = 1 << 21;
/// Uses that are written down ahead, so that not each one is.
const USES_AHEAD: u64 = 1 << 12;
/// How old the times of contact in the state directory may become while all is well.
const CONTACTS_EVERY: Duration = Duration::from_secs(60);

/// The keeper of one [`UnderRoots`](super::UnderRoots).
pub(super) struct Keeper {
    inner: Arc<Shared>,
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
}

impl Keeper {
    pub(super) fn new(inner: Arc<Shared>) -> Self {
        Self {
            inner,
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
            self.inner.turns.send_replace(());
            let wake = sleep(self.until_next());
            tokio::pin!(wake);
            loop {
                tokio::select! {
                    () = &mut wake => break,
                    Some(envelope) = arrivals.recv() => {
                        self.remember(&envelope).await;
                        if let Some(kek) = self.inner.held.get(envelope.id()) {
                            self.seal(&kek).await;
                        }
                    }
                }
            }
        }
    }

    async fn round(&mut self) {
        let versions = self.probe().await;
        if let Err(error) = self.settle(&versions).await {
            warn!(error, "no new local KEK could be made");
        }
        self.stop_or_go_on().await;
        self.open_all_seen().await;
        self.write_down().await;
    }

    /// Asks every root that wraps for its version, and to unwrap the local KEK in use: all at once.
    async fn probe(&self) -> Vec<Probed> {
        let current = self.inner.current();
        let mut asked = JoinSet::new();
        for (index, root) in self.inner.wrapping().enumerate() {
            let (root, current) = (Arc::clone(root), current.clone());
            let context = self.inner.settings.context.clone();
            asked.spawn(async move {
                let version = ask(&root, current.as_deref(), &context).await;
                let version = version
                    .inspect_err(|error| {
                        tracing::debug!(root = root.name(), %error, "a root did not answer well");
                    })
                    .ok();
                Probed { index, version }
            });
        }
        asked.join_all().await
    }

    /// Sees that there is a local KEK as the configuration wants it, as far as the roots let us.
    async fn settle(&mut self, probed: &[Probed]) -> Result<(), String> {
        if !probed
            .iter()
            .filter(|one| one.version.is_some())
            .any(|one| self.root(one).is_some_and(|root| !root.is_offline()))
        {
            return Ok(());
        }
        if self.inner.current().is_none() {
            self.resume().await;
        }
        let Some(current) = self.inner.current() else {
            return self.make(probed).await;
        };
        if self.is_spent(&current) || self.is_other(&current, probed) {
            return self.make(probed).await;
        }
        let missing: Vec<_> = probed
            .iter()
            .filter(|one| {
                one.version.as_ref().is_some_and(|version| {
                    !current.envelope().versions().any(|other| other == version)
                })
            })
            .filter_map(|one| self.root(one).cloned())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        // The same key, wrapped by one root more: its key id is another, so what it wrapped so far is stale.
        let mut wrapped = current.envelope().wrapped().to_vec();
        let before = wrapped.len();
        for root in missing {
            match self.wrap(&root, current.id(), current.material()).await {
                Ok(one) => wrapped.push(one),
                Err(error) => warn!(root = root.name(), %error, "could not wrap the local KEK"),
            }
        }
        if wrapped.len() == before {
            return Ok(());
        }
        let material = KeyMaterial::new(Box::new(*current.material().expose()));
        self.publish(
            current.id(),
            wrapped,
            material,
            self.made_at,
            self.uses_before.saturating_add(current.uses()),
        )
        .await
    }

    /// Whether a root wraps under another version by now, or one wrapped that is not to any more.
    fn is_other(&self, current: &LocalKek, probed: &[Probed]) -> bool {
        let all_answered = probed.iter().all(|one| one.version.is_some());
        current.envelope().versions().any(|version| {
            let mut answers = probed.iter().filter_map(|one| one.version.as_ref());
            match answers.find(|answer| answer.key() == version.key()) {
                Some(answer) => answer != version,
                None => all_answered,
            }
        })
    }

    fn is_spent(&self, current: &LocalKek) -> bool {
        is_spent(
            Duration::from_secs(unix_now().saturating_sub(self.made_at)),
            self.uses_before.saturating_add(current.uses()),
        )
    }

    /// Makes a local KEK, if as many roots wrap it as the configuration wants.
    async fn make(&mut self, probed: &[Probed]) -> Result<(), String> {
        let mut id = [0; 16];
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut id)
            .and_then(|()| getrandom::fill(&mut *key))
            .map_err(|error| format!("the operating system gave no random bytes: {error}"))?;
        let (id, material) = (KekId(id), KeyMaterial::new(Box::new(*key)));

        let (mut wrapped, mut can_open, mut failures) = (Vec::new(), false, Vec::new());
        for one in probed {
            let Some(root) = self.root(one) else { continue };
            if one.version.is_none() {
                failures.push(format!("the root {:?} does not answer", root.name()));
                continue;
            }
            match self.wrap(root, id, &material).await {
                Ok(one) => {
                    can_open |= !root.is_offline();
                    wrapped.push(one);
                }
                Err(error) => failures.push(format!("the root {:?} {error}", root.name())),
            }
        }
        let quorum = self.inner.settings.write_quorum;
        if wrapped.len() < quorum || !can_open {
            let failures = failures.join("; ");
            return Err(format!(
                "{} of the {quorum} roots that `writeQuorum` wants wrapped it: {failures}",
                wrapped.len()
            ));
        }
        self.publish(id, wrapped, material, unix_now(), 0).await
    }

    /// Wraps, and sees that what was wrapped opens.
    async fn wrap(
        &self,
        root: &Guarded,
        id: KekId,
        material: &KeyMaterial,
    ) -> Result<WrappedKek, RootError> {
        let binding = binding(id, &self.inner.settings.context);
        let wrapped = root.wrap(Patience::Asked, material, &binding).await?;
        if !root.is_offline() {
            let opened = root.unwrap(Patience::Asked, &wrapped, &binding).await?;
            if !opened.is(material) {
                return Err(RootError::Corrupt {
                    what: "it unwrapped another key than it wrapped".to_owned(),
                });
            }
        }
        Ok(wrapped)
    }

    /// Writes it down, then uses it.
    async fn publish(
        &mut self,
        id: KekId,
        wrapped: Vec<WrappedKek>,
        material: KeyMaterial,
        made_at: u64,
        uses: u64,
    ) -> Result<(), String> {
        let envelope = Envelope::new(id, wrapped).map_err(|error| error.to_string())?;
        self.remember(&envelope).await;
        let kek = Arc::new(LocalKek::new(
            envelope,
            material,
            &self.inner.settings.context,
        ));
        self.adopt(kek, made_at, uses).await;
        Ok(())
    }

    /// Wraps with this one from now on.
    async fn adopt(&mut self, kek: Arc<LocalKek>, made_at: u64, uses: u64) {
        (self.made_at, self.uses_before) = (made_at, uses);
        let roots: Vec<_> = kek.envelope().versions().map(ToString::to_string).collect();
        info!(
            key_id = %key_id(kek.envelope(), self.inner.settings.epoch),
            local_kek = %kek.id(),
            wrapped_by = roots.join(", "),
            "wrapping with a local KEK"
        );
        self.write_current(&kek).await;
        self.seal(&kek).await;
        self.inner.set_current(Some(kek));
    }

    /// Goes on with the local KEK of the process before, if a root opens it.
    async fn resume(&mut self) {
        let state = Arc::clone(&self.inner.settings.state);
        let Some((current, envelope)) = blocking(move || state.last()).await else {
            return;
        };
        match self.inner.open(envelope, Patience::Asked).await {
            Ok(kek) => self.adopt(kek, current.made_at, current.uses).await,
            Err(error) => warn!(?error, "the local KEK of before does not open"),
        }
    }

    /// Goes on from sealed copies before any root is asked, if one answered within the time that its silence is
    /// borne.
    async fn unseal(&mut self) {
        let inner = Arc::clone(&self.inner);
        let is_borne = |root: &Arc<Guarded>| {
            matches!(root.standing(inner.settings.grace), Standing::Borne { .. })
        };
        let Some(copies) = &inner.settings.copies else {
            return;
        };
        if !inner.wrapping().any(is_borne) {
            return;
        }
        let state = Arc::clone(&inner.settings.state);
        let found = blocking(move || {
            let current = state.last();
            let all = state.envelopes().into_iter();
            let sealed = all.filter_map(|envelope| Some((state.sealed(envelope.id())?, envelope)));
            (sealed.collect::<Vec<_>>(), current)
        });
        let (sealed, current) = found.await;
        let context = &inner.settings.context;
        for (copy, envelope) in sealed {
            let id = envelope.id();
            match copies.open(&copy, &envelope) {
                Some(material) => inner
                    .held
                    .insert(Arc::new(LocalKek::new(envelope, material, context))),
                None => {
                    warn!(local_kek = %id, "a sealed copy does not open; is `sealedCopies.keyFile` another?")
                }
            }
        }
        if let Some((current, envelope)) = current
            && let Some(kek) = inner.held.get(envelope.id())
        {
            self.adopt(kek, current.made_at, current.uses).await;
        }
    }

    /// Opens whatever was seen before, so that a later outage finds it open.
    async fn open_all_seen(&self) {
        let is_well = |root: &Arc<Guarded>| root.standing(Duration::ZERO) == Standing::Good;
        if self.inner.looked.load(std::sync::atomic::Ordering::Relaxed)
            || !self.inner.wrapping().any(is_well)
        {
            return;
        }
        let state = Arc::clone(&self.inner.settings.state);
        for envelope in blocking(move || state.envelopes()).await {
            let id = envelope.id();
            if self.inner.held.get(id).is_some() {
                continue;
            }
            match self.inner.open(envelope, Patience::Caller).await {
                Ok(kek) => self.seal(&kek).await,
                Err(OpenError::Root(_)) => return,
                Err(error) => warn!(local_kek = %id, ?error, "a local KEK of before does not open"),
            }
        }
        self.inner
            .looked
            .store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Logs a change of state, and wipes what may not be used any more.
    async fn stop_or_go_on(&mut self) {
        let phase = self.inner.phase();
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
        self.inner.set_current(None);
        self.inner.held.wipe();
        self.inner
            .looked
            .store(false, std::sync::atomic::Ordering::Relaxed);
        if with_copies {
            let state = Arc::clone(&self.inner.settings.state);
            if let Err(error) = blocking(move || state.unlink_sealed()).await {
                error!(%error, "cannot delete the sealed copies");
            }
        }
    }

    async fn seal(&self, kek: &LocalKek) {
        let Some(copies) = &self.inner.settings.copies else {
            return;
        };
        let state = Arc::clone(&self.inner.settings.state);
        let (id, sealed) = (kek.id(), copies.seal(kek));
        let written = match sealed {
            Ok(sealed) => blocking(move || state.seal(id, &sealed))
                .await
                .map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = written {
            warn!(error, "cannot keep a sealed copy");
        }
    }

    async fn remember(&self, envelope: &Envelope) {
        let state = Arc::clone(&self.inner.settings.state);
        let envelope = envelope.clone();
        if let Err(error) = blocking(move || state.remember(&envelope)).await {
            warn!(%error, "cannot write to the state directory; a restart asks the root again");
        }
    }

    /// Keeps uses and contacts, if they have changed enough.
    async fn write_down(&mut self) {
        if let Some(kek) = self.inner.current()
            && self.uses_before.saturating_add(kek.uses()) > self.uses_written
        {
            self.write_current(&kek).await;
        }
        let is_due = self
            .contacts_written
            .is_none_or(|at| now().saturating_duration_since(at) >= CONTACTS_EVERY);
        let contacts: BTreeMap<_, _> = self
            .inner
            .settings
            .roots
            .iter()
            .filter_map(|root| Some((root.name().to_owned(), root.since_contact()?)))
            .collect();
        if is_due && !contacts.is_empty() {
            let state = Arc::clone(&self.inner.settings.state);
            match blocking(move || state.set_contacts(&contacts)).await {
                Ok(()) => self.contacts_written = Some(now()),
                Err(error) => warn!(%error, "cannot write to the state directory"),
            }
        }
    }

    async fn write_current(&mut self, kek: &LocalKek) {
        let uses = self.uses_before.saturating_add(kek.uses()) + USES_AHEAD;
        let current = Current {
            kek: kek.id().to_string(),
            made_at: self.made_at,
            uses,
        };
        let state = Arc::clone(&self.inner.settings.state);
        match blocking(move || state.set_current(&current)).await {
            Ok(()) => self.uses_written = uses,
            Err(error) => warn!(%error, "cannot write to the state directory"),
        }
    }

    fn until_next(&self) -> Duration {
        let mut next = jittered(PERIOD);
        for root in self.inner.wrapping() {
            if let Some(pause) = root.pause() {
                next = next.min(pause).min(LONGEST_PAUSE);
            }
        }
        match self.inner.phase() {
            // To wipe when it is over.
            Phase::Degraded { left, .. } => next.min(left + Duration::from_millis(1)),
            Phase::Starting(_) => next.min(LONGEST_PAUSE),
            _ => next,
        }
        .max(Duration::from_millis(50))
    }

    fn root(&self, probed: &Probed) -> Option<&Arc<Guarded>> {
        self.inner.wrapping().nth(probed.index)
    }
}

/// Whether a local KEK of this age and use wraps no more.
fn is_spent(age: Duration, uses: u64) -> bool {
    age >= MAX_AGE || uses >= MAX_USES
}

/// The version of a root's key; that it still unwraps what it wrapped is tried too.
async fn ask(
    root: &Guarded,
    current: Option<&LocalKek>,
    context: &str,
) -> Result<RootVersion, RootError> {
    let version = root.version(Patience::Asked).await?;
    let Some(kek) = current.filter(|_| !root.is_offline()) else {
        return Ok(version);
    };
    let same_key = |one: &&WrappedKek| one.version.key() == version.key();
    if let Some(wrapped) = kek.envelope().wrapped().iter().find(same_key) {
        let binding = binding(kek.id(), context);
        match root.unwrap(Patience::Asked, wrapped, &binding).await {
            Ok(_) => {}
            // Another key under the old name, perhaps: then its version is another too.
            Err(RootError::Corrupt { what }) => {
                warn!(
                    root = root.name(),
                    what, "it does not unwrap what it wrapped"
                );
            }
            Err(error) => return Err(error),
        }
    }
    Ok(version)
}

/// A file system may hang; the daemon may not.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}
