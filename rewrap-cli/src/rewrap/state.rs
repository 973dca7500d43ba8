//! What a run remembers from pass to pass.

use std::{
    cell::{Cell, RefCell, RefMut},
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use kms_proto::inventory::{API_VERSION, Inventory, RewrapReport, Unreadable};
use tokio::sync::Mutex;

use super::{
    Fate,
    failures::Failures,
    front::{Cut, Front},
    ramp::Ramp,
    recent::Recent,
    standing::{Counters, Standing},
};
use crate::{
    chain::Chain,
    keys::{Keys, WriteDekError},
    progress::Figures,
    stored::{KmsName, WriteDek},
};

/// A DEK source to write with, or why none could be made. A failure stands for all who waited for it:
/// a plugin that hangs is not asked by one writer after the other.
type MadeDek = Result<Arc<WriteDek>, Arc<WriteDekError>>;

/// The counts of a run and the DEK sources it writes with.
#[derive(Debug)]
pub struct RunState {
    write_deks: Mutex<BTreeMap<KmsName, MadeDek>>,
    report: RefCell<RewrapReport>,
    started: Instant,
    /// The revision of each store when the run began.
    revisions: RefCell<Vec<i64>>,
    /// What of each store was written just now.
    recent: RefCell<Vec<Recent>>,
    /// When the first object was begun, and the newest one written.
    writing: Cell<Option<(Instant, Instant)>>,
    begun: Cell<u64>,
    ramp: Ramp,
    failures: RefCell<Failures>,
    /// How far the pass has come.
    front: RefCell<Front>,
    /// Where the next pass begins, if not at the beginning.
    resume: RefCell<Option<Cut>>,
    /// What the runs took that this one resumes, and how long they wrote.
    before: Cell<[Duration; 2]>,
}

impl RunState {
    /// A run begins; somebody may have vouched for the apiservers.
    pub fn new(assumed_converged: bool) -> Self {
        let report = RewrapReport {
            api_version: API_VERSION,
            kind: "RewrapReport",
            total: 0,
            rewrapped: 0,
            bytes: 0,
            already_current: 0,
            conflicts: 0,
            vanished: 0,
            failed: 0,
            unknowable: 0,
            passes: 0,
            elapsed_seconds: 0.0,
            objects_per_second: 0.0,
            left: 0,
            backed_off: 0,
            assumed_converged,
            snapshots: Vec::new(),
            failures: Vec::new(),
            retry: None,
        };
        Self {
            write_deks: Mutex::default(),
            report: RefCell::new(report),
            started: Instant::now(),
            revisions: RefCell::default(),
            recent: RefCell::default(),
            writing: Cell::new(None),
            begun: Cell::new(0),
            ramp: Ramp::default(),
            failures: RefCell::default(),
            front: RefCell::default(),
            resume: RefCell::default(),
            before: Cell::default(),
        }
    }

    /// What the first look at the store found: all that a run with nothing to do reports.
    pub fn first_look(&self, inventory: &Inventory) {
        let mut report = self.report.borrow_mut();
        report.passes += 1;
        report.total = inventory
            .resources
            .iter()
            .map(|resource| resource.total)
            .sum();
        report.already_current = inventory
            .resources
            .iter()
            .map(|resource| resource.current)
            .sum();
        report.unknowable = inventory
            .resources
            .iter()
            .map(|resource| resource.unknowable)
            .sum();
        let (first, count) = (&inventory.unreadable, inventory.unreadable_count());
        self.failures.replace(Failures::seen(first, count));
        let revisions: Vec<_> = inventory
            .stores
            .iter()
            .map(|store| store.revision)
            .collect();
        let recent = revisions.iter().map(|revision| {
            let mut recent = Recent::default();
            recent.mark(*revision, self.started.into());
            recent
        });
        self.recent.replace(recent.collect());
        self.revisions.replace(revisions);
    }

    /// Whether what has this revision was written in the last minute, as far as the run has seen.
    pub(super) fn is_recent(&self, store: usize, revision: i64) -> bool {
        let recent = self.recent.borrow();
        let recent = recent.get(store);
        recent.is_some_and(|recent| recent.holds(revision, tokio::time::Instant::now()))
    }

    /// A store is at this revision now.
    pub(super) fn mark(&self, store: usize, revision: i64) {
        if let Some(recent) = self.recent.borrow_mut().get_mut(store) {
            recent.mark(revision, tokio::time::Instant::now());
        }
    }

    pub(super) fn ramp(&self) -> &Ramp {
        &self.ramp
    }

    /// The revision of a store when the run began: what is newer was written under the keys of now.
    pub(super) fn first_revision(&self, store: usize) -> i64 {
        self.revisions.borrow().get(store).copied().unwrap_or(0)
    }

    /// The report as of now.
    pub fn report(&self) -> RewrapReport {
        let mut report = self.report.borrow().clone();
        let failures = self.failures.borrow();
        report.failed = failures.count();
        report.failures = failures.first().to_vec();
        let [elapsed, writing] = self.durations().map(|duration| duration.as_secs_f64());
        report.elapsed_seconds = elapsed;
        report.objects_per_second = report.rewrapped as f64 / writing.max(0.001);
        report
    }

    /// The figures that it knows, as of now.
    pub fn figures(&self) -> Figures {
        let report = self.report.borrow();
        Figures {
            rewrapped: report.rewrapped,
            bytes: report.bytes,
            conflicts: report.conflicts,
            vanished: report.vanished,
            failed: self.failures.borrow().count(),
            ..Figures::default()
        }
    }

    /// What was taken so far, and how much of it was spent writing.
    fn durations(&self) -> [Duration; 2] {
        let [elapsed, writing] = self.before.get();
        let write = |(first, last): (Instant, Instant)| last.duration_since(first);
        let now = self.writing.get().map(write).unwrap_or_default();
        [elapsed + self.started.elapsed(), writing + now]
    }

    /// How far the run has come.
    pub fn standing(&self) -> Standing {
        let resume = self.resume.borrow().clone();
        let report = self.report.borrow();
        let [elapsed, writing] = self.durations().map(|duration| duration.as_secs_f64());
        Standing {
            cut: resume.or_else(|| self.front.borrow().cut().cloned()),
            revisions: self.revisions.borrow().clone(),
            counters: Counters {
                total: report.total,
                rewrapped: report.rewrapped,
                bytes: report.bytes,
                already_current: report.already_current,
                conflicts: report.conflicts,
                vanished: report.vanished,
                passes: report.passes,
                elapsed_seconds: elapsed,
                writing_seconds: writing,
            },
        }
    }

    /// Goes on where another run ended, after the [first look](Self::first_look): the next pass begins
    /// at the cut, and what that run wrote counts as written by this one.
    pub fn resume(&self, standing: Standing) {
        let Standing {
            cut,
            revisions,
            counters,
        } = standing;
        self.resume.replace(cut);
        self.revisions.replace(revisions);
        let seconds = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let taken = [counters.elapsed_seconds, counters.writing_seconds];
        self.before.set(taken.map(seconds));
        let mut report = self.report.borrow_mut();
        report.total = counters.total;
        report.already_current = counters.already_current;
        report.rewrapped += counters.rewrapped;
        report.bytes += counters.bytes;
        report.conflicts += counters.conflicts;
        report.vanished += counters.vanished;
        report.passes += counters.passes;
    }

    /// Whether the next pass begins at a cut.
    pub fn resumes(&self) -> bool {
        self.resume.borrow().is_some()
    }

    pub(super) fn take_resume(&self) -> Option<Cut> {
        self.resume.take()
    }

    pub(super) fn front(&self) -> RefMut<'_, Front> {
        self.front.borrow_mut()
    }

    /// The file with all that failed in the newest pass, which nobody else removes; nothing where there
    /// is none, or too much for one.
    pub fn keep_failures(&self) -> Option<PathBuf> {
        self.failures.borrow_mut().keep_file()
    }

    /// Objects written so far.
    pub fn rewrapped(&self) -> u64 {
        self.report.borrow().rewrapped
    }

    /// What the newest look at the store found still to be rewritten. A run that was told to leave
    /// some of it does not answer for it.
    pub fn set_left(&self, left: u64) {
        self.report.borrow_mut().left = left;
    }

    /// The store is read through once more.
    pub fn count_pass(&self) {
        self.report.borrow_mut().passes += 1;
    }

    /// What failed before is tried again, so only the newest failures count.
    pub(super) fn begin_pass(&self) {
        self.count_pass();
        self.front().clear();
        let mut report = self.report.borrow_mut();
        self.failures.take();
        report.unknowable = 0;
    }

    pub(super) fn add(&self, fate: Fate) {
        let mut report = self.report.borrow_mut();
        match fate {
            Fate::AlreadyCurrent { conflicts } | Fate::Deferred { conflicts } => {
                report.conflicts += conflicts;
            }
            Fate::Failed { key, error } => self.failures.borrow_mut().add(Unreadable {
                key: String::from_utf8_lossy(&key).into_owned(),
                error: Chain(&error).to_string(),
            }),
            Fate::NotBegun | Fate::NotChosen => {}
            Fate::Unknowable => report.unknowable += 1,
            Fate::Rewrapped { conflicts, bytes } => {
                report.bytes += bytes;
                report.rewrapped += 1;
                report.conflicts += conflicts;
                let now = Instant::now();
                self.writing.set(Some((
                    self.writing.get().map_or(now, |(first, _)| first),
                    now,
                )));
            }
            Fate::Vanished { conflicts } => {
                report.vanished += 1;
                report.conflicts += conflicts;
            }
        }
    }

    /// A provider that gave no DEK source may be asked again: its key was looked up anew.
    pub async fn forget_failed_deks(&self) {
        self.write_deks.lock().await.retain(|_, made| made.is_ok());
    }

    pub(super) fn count_begun(&self) {
        self.begun.set(self.begun.get() + 1);
        let now = Instant::now();
        self.writing.set(self.writing.get().or(Some((now, now))));
    }

    /// How many objects this run has begun to write, or was about to.
    pub fn begun(&self) -> u64 {
        self.begun.get()
    }

    /// The DEK source of a KMS v2 provider to write with: the one made before, as long as it is of the
    /// current key.
    pub(super) async fn write_dek(&self, provider: &KmsName, keys: &Keys) -> MadeDek {
        let mut deks = self.write_deks.lock().await;
        let current = keys.current().get(provider);
        let fits = |made: &&MadeDek| match made {
            Ok(dek) => current.is_some_and(|current| {
                let dek = dek.reference();
                dek.key_id() == Some(&current.key_id) && dek.kind() == current.dek_type
            }),
            Err(_) => true,
        };
        if let Some(made) = deks.get(provider).filter(fits) {
            return made.clone();
        }
        let made = keys.fresh(provider).await;
        let made = made.map(Arc::new).map_err(Arc::new);
        deks.insert(Arc::clone(provider), made.clone());
        made
    }
}
