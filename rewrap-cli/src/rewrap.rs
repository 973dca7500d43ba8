//! Brings every stale object to the current key, one compare-and-swap each, next to whoever else
//! writes.
//!
//! Killed at any instant and started again, it loses nothing and does nothing twice: an object is
//! either still the old value or already the new one, and only a value that was proved stale is
//! ever replaced.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
    sync::Arc,
};

use futures_util::{Stream, StreamExt as _, future::join_all, stream};
use kms_proto::KeyId;
use tokio::sync::{Mutex, mpsc};

use crate::{
    area::{Area, AreaError, Areas, Content},
    journal::JournalError,
    keys::{KeyChange, WriteDekError},
    kms::KmsError,
    pace::{Pace, Stop},
    progress::RunProgress,
    scan::Scan,
    scope::Scope,
    session::Session,
    stopped::Ours,
    store::{Kind, Record, StoreError, key_after},
    stored::{KmsName, OpenError, Opened, Provider, Rule, WriteDek},
};

mod canary;
mod failures;
mod front;
pub mod growth;
mod one;
mod only;
mod order;
mod ramp;
mod recent;
mod revisit;
mod room;
mod standing;
mod state;
mod together;
mod trail;

pub use canary::CanaryError;
pub use front::Cut;
use one::Attempt;
pub use one::{Fate, ObjectError};
pub use only::{MOST_KEYS, OnlyKeys, OnlyKeysError};
use order::leaks_most;
use revisit::Deferred;
pub use room::{NoRoom, Room};
pub use standing::{Counters, Standing};
pub use state::RunState;
pub use trail::{Trail, UndoEntry, UndoHeader};

/// How often one object may lose against other writers before it is left to the next pass.
const TRIES: u32 = 8;

/// How many values are opened before the answers to what is in flight are looked at.
const OPENED_AT_ONCE: usize = 64;

/// What was read in one go, with what each value opens to.
type OpenedPage = Vec<(Record, Result<Opened, OpenError>)>;

/// What a run is to rewrite, and how fast.
#[derive(Debug)]
pub struct Options {
    /// Which objects.
    pub scope: Scope,
    /// Only objects stored under this key or KMS provider.
    pub from_key: Option<String>,
    /// Only these objects.
    pub only_keys: Option<OnlyKeys>,
    /// Also what lies under KMS v1 since before the run: nothing tells under which KEK.
    pub force_kms_v1: bool,
    /// Also what is encrypted and current since before the run.
    pub also_current: bool,
    /// Also what is current under these KMS v2 providers since before the run: all of it is to be under
    /// one DEK source.
    pub scattered: BTreeSet<KmsName>,
    /// The files that tell what was done.
    pub trail: Trail,
    /// Stop after so many rewritten objects.
    pub limit: Option<u64>,
    /// How fast.
    pub pace: Pace,
    /// Many objects may share a transaction, for no apiserver lives; whoever watches for one is told
    /// here what is ours.
    pub ours: Option<Rc<Ours>>,
    /// Whether there is room for more.
    pub room: Room,
}

/// One pass of a run; what outlasts it is in the [`RunState`].
#[derive(Debug)]
pub struct Rewrap<'a> {
    session: &'a Session,
    areas: &'a Areas,
    options: &'a Options,
    stop: &'a Stop,
    state: &'a RunState,
    /// Something went wrong that ends the pass; nothing new begins.
    failed: Cell<bool>,
    deferred: RefCell<Vec<Deferred>>,
}

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassEnd {
    /// Everything in scope was looked at.
    Finished,
    /// The limit of objects was reached.
    Limit,
    /// Somebody asked for the end.
    Stopped,
}

impl<'a> Rewrap<'a> {
    /// Prepares a pass; nothing is written yet.
    pub fn new(
        session: &'a Session,
        areas: &'a Areas,
        options: &'a Options,
        stop: &'a Stop,
        state: &'a RunState,
    ) -> Self {
        Self {
            session,
            areas,
            options,
            stop,
            state,
            failed: Cell::new(false),
            deferred: RefCell::default(),
        }
    }

    /// Goes once over everything in scope, in the order of the areas, or from the cut on where the run
    /// [resumes](RunState::resume) another. What somebody else wrote in the last minute, or at the same
    /// moment, is left to the end.
    ///
    /// # Errors
    /// What makes going on pointless or unsafe: etcd is away or full, or the current key changed.
    /// What concerns one object only is counted instead.
    pub async fn pass(&self, progress: &RunProgress) -> Result<PassEnd, RunError> {
        self.state.begin_pass();
        if let Some(only) = &self.options.only_keys {
            self.only(only, progress).await?;
            return Ok(self.ended());
        }
        let mut from = self.state.take_resume();
        // Where the area is gone, all of them are gone through.
        from.take_if(|cut| !self.areas.iter().any(|area| cut.is_in(area)));
        for area in self.areas.iter() {
            let from = match &from {
                Some(cut) if !cut.is_in(area) => continue,
                _ => from.take(),
            };
            let (Content::Objects { resource, rule, .. }, Some(path)) =
                (&area.content, self.options.scope.path(area))
            else {
                continue;
            };
            progress.at(&resource.to_string());
            self.options.pace.turn_to(area.store);
            // kine knows no other ranges than whole ones.
            let is_kine = self.session.stores[area.store].store.kind() == Kind::Kine;
            let from = from.and_then(|cut| cut.key.filter(|_| !is_kine));
            self.state.front().enter(area, from.clone());
            let end = self.area(area, rule, &path, from, progress).await?;
            if !matches!(end, PassEnd::Finished) {
                return Ok(end);
            }
        }
        self.revisit(progress).await?;
        Ok(self.ended())
    }

    /// Reads and opens the next page while the last ones are written: the transactions in flight do
    /// not become fewer between two pages.
    async fn area(
        &self,
        area: &Area,
        rule: &Rule,
        path: &str,
        from: Option<String>,
        progress: &RunProgress,
    ) -> Result<PassEnd, RunError> {
        let (pages, opened) = mpsc::channel(1);
        let (read, written) = tokio::join!(
            self.read(area, rule, path, from, pages),
            self.write(area, rule, opened, progress)
        );
        written?;
        match self.ended() {
            PassEnd::Finished => read?,
            end => return Ok(end),
        }
        Ok(PassEnd::Finished)
    }

    fn ended(&self) -> PassEnd {
        if self.stop.is_requested() {
            PassEnd::Stopped
        } else if self.limit_reached() {
            PassEnd::Limit
        } else {
            PassEnd::Finished
        }
    }

    /// Opens everything of an area, until nobody wants more.
    async fn read(
        &self,
        area: &Area,
        rule: &Rule,
        path: &str,
        from: Option<String>,
        pages: mpsc::Sender<(u64, OpenedPage)>,
    ) -> Result<(), StoreError> {
        let mut scan = Scan::new(&self.session.stores[area.store].store, path);
        if let Some(from) = from {
            scan = scan.starting_at(&key_after(from.as_bytes()));
        }
        while let Some(records) = scan.next().await? {
            let last_key = records.last().map(|last| last.key.clone());
            let number = self
                .state
                .front()
                .read(&last_key.unwrap_or_default(), records.len());
            let mut page = Vec::with_capacity(records.len());
            let mut records = records.into_iter();
            loop {
                let some: Vec<_> = records.by_ref().take(OPENED_AT_ONCE).collect();
                if some.is_empty() {
                    break;
                }
                let values: Vec<_> = some
                    .iter()
                    .map(|record| (&record.key[..], &record.value[..]))
                    .collect();
                let outcomes = self.session.keys.open_all(rule, &values).await;
                page.extend(some.into_iter().zip(outcomes));
                tokio::task::yield_now().await;
                scan.go_on();
            }
            page.sort_by_cached_key(|(_, outcome)| !leaks_most(area, outcome));
            if pages.send((number, page)).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Writes what of the opened pages is stale, until there are no more or nothing may begin.
    async fn write(
        &self,
        area: &Area,
        rule: &Rule,
        pages: mpsc::Receiver<(u64, OpenedPage)>,
        progress: &RunProgress,
    ) -> Result<(), RunError> {
        let pages = stream::unfold(pages, async |mut pages| {
            let page = pages.recv().await.filter(|_| self.may_begin())?;
            let page = self.check_key(rule).await.map(|()| page);
            Some((page, pages))
        });
        let Some(ours) = &self.options.ours else {
            let objects = pages.flat_map(|page| each(page, |page| page));
            let write = async |(page, (record, outcome))| {
                let fate = self.one(area, rule, record, outcome, Attempt::First).await;
                self.done(page, &fate);
                self.count(fate, progress)
            };
            return self.work(objects, write).await;
        };
        let groups = pages.flat_map(|page| each(page, together::cut));
        let write = async |(page, objects)| {
            let fates = self.together(area, rule, ours, objects).await;
            let counted = fates.into_iter().map(|fate| {
                self.done(page, &fate);
                self.count(fate, progress)
            });
            // To the last, whatever fails.
            counted.fold(Ok(()), Result::and)
        };
        self.work(groups, write).await
    }

    /// Moves the cut behind what is done.
    fn done(&self, page: u64, fate: &Result<Fate, RunError>) {
        if fate
            .as_ref()
            .is_ok_and(|fate| !matches!(fate, Fate::NotBegun))
        {
            self.state.front().done(page);
        }
    }

    /// Works through what there is, as many at a time as may be in flight, to the last, whatever
    /// fails: after a failure what was read is only drained, for `one` begins nothing new. Gives the
    /// first failure.
    ///
    /// The hands are as many as work at a time, rather than as many as there is work: the state of a
    /// write is too large to be made, moved and wiped for every object.
    async fn work<T>(
        &self,
        work: impl Stream<Item = Result<T, RunError>>,
        hand: impl AsyncFn(T) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let work = std::pin::pin!(work.fuse());
        let work = Mutex::new(work);
        let failure = RefCell::new(None);
        let hands = (0..self.options.pace.concurrency()).map(async |_| {
            loop {
                let next = work.lock().await.next().await;
                let Some(next) = next else { break };
                let outcome = match next {
                    Ok(object) => hand(object).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = outcome {
                    self.failed.set(true);
                    // Whoever waits for a turn sees that there is none.
                    self.state.ramp().wake_all();
                    failure.borrow_mut().get_or_insert(error);
                }
            }
        });
        join_all(hands).await;
        failure.into_inner().map_or(Ok(()), Err)
    }

    fn count(&self, fate: Result<Fate, RunError>, progress: &RunProgress) -> Result<(), RunError> {
        let fate = fate?;
        progress.advance(u64::from(fate.is_progress()));
        self.state.add(fate);
        Ok(())
    }

    fn may_begin(&self) -> bool {
        !self.failed.get() && !self.stop.is_requested() && !self.limit_reached()
    }

    /// Whether one more object may be written; counts it if so.
    fn begin(&self) -> bool {
        let may = self.may_begin();
        if may {
            self.state.count_begun();
        }
        may
    }

    fn limit_reached(&self) -> bool {
        self.options
            .limit
            .is_some_and(|limit| self.state.begun() >= limit)
    }

    /// Asked before every page: a run that went on under a key that is not current any more would
    /// do its work in vain.
    async fn check_key(&self, rule: &Rule) -> Result<(), RunError> {
        match rule.providers().first() {
            Some(Provider::KmsV2(provider)) => {
                Ok(self.session.keys.still_current(provider).await?)
            }
            _ => Ok(()),
        }
    }

    /// The one DEK source of this run for a KMS v2 provider, made when it is first needed: every
    /// distinct one costs every apiserver start a Decrypt. KMS v1 has one for every object.
    async fn write_dek(&self, rule: &Rule) -> Result<Option<Arc<WriteDek>>, RunError> {
        match rule.providers().first() {
            Some(Provider::KmsV2(provider)) => {
                let made = self.state.write_dek(provider, &self.session.keys).await;
                Ok(Some(made?))
            }
            Some(Provider::KmsV1(provider)) => {
                let made = self.session.keys.fresh(provider).await;
                Ok(Some(Arc::new(made.map_err(Arc::new)?)))
            }
            _ => Ok(None),
        }
    }
}

/// What a page is cut into, with its number, or the error in its place.
fn each<T>(
    page: Result<(u64, OpenedPage), RunError>,
    cut: impl FnOnce(OpenedPage) -> Vec<T>,
) -> impl Stream<Item = Result<(u64, T), RunError>> {
    stream::iter(match page {
        Ok((number, page)) => cut(page)
            .into_iter()
            .map(|part| Ok((number, part)))
            .collect(),
        Err(error) => vec![Err(error)],
    })
}

/// What ends a run early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The areas cannot be listed.
    #[error(transparent)]
    Area(#[from] AreaError),
    /// The current key is not what it was.
    #[error("stopped; what is written is safe")]
    KeyChange(#[from] KeyChange),
    /// A file of the run cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The database is nearly full.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// What was written first is not what etcd holds now.
    #[error(
        "{key} was read back after it was written, and {why}; stopped after the first objects; see that \
         all --endpoints are of one sound cluster, then `rewrap verify`"
    )]
    NotReadBack {
        /// The etcd key.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// etcd.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No DEK source to write with.
    #[error(transparent)]
    WriteDek(#[from] Arc<WriteDekError>),
}

impl RunError {
    /// The key id now, where the only reason is that a KMS provider rotated: what is written is safe,
    /// and a run may go on under the new key.
    pub fn rotated_to(&self) -> Option<&KeyId> {
        match self {
            Self::KeyChange(KeyChange::Rotated { to, .. }) => Some(to),
            Self::WriteDek(error) => match &**error {
                WriteDekError::Kms {
                    source: KmsError::KeyIdChanged { encrypt, .. },
                    ..
                } => Some(encrypt),
                _ => None,
            },
            _ => None,
        }
    }
}
