//! Brings every stale object to the current key, one compare-and-swap each, next to whoever else
//! writes.
//!
//! Killed at any instant and started again, it loses nothing and does nothing twice: an object is
//! either still the old value or already the new one, and only a value that was proved stale is
//! ever replaced.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use crate::{
    area::{Areas, Content},
    pace::{Permit, Stop},
    progress::RunProgress,
    session::Session,
    store::{Kind, Record},
    stored::{OpenError, Opened, Provider, Rule, WriteDek},
};

mod canary;
mod error;
mod failures;
mod front;
pub mod growth;
mod one;
mod only;
mod options;
mod order;
mod pages;
mod ramp;
mod recent;
mod revisit;
mod room;
mod standing;
mod state;
mod together;
mod trail;

pub use canary::CanaryError;
pub use error::RunError;
pub use front::Cut;
pub use one::{Fate, ObjectError};
pub use only::{MOST_KEYS, OnlyKeys, OnlyKeysError};
pub use options::Options;
use revisit::Deferred;
pub use room::{NoRoom, Room};
pub use standing::{Counters, Standing};
pub use state::RunState;
pub use trail::{Trail, UndoEntry, UndoHeader};

/// How often one object may lose against other writers before it is left to the next pass.
const TRIES: u32 = 8;

/// What was read in one go, with what each value opens to.
type OpenedPage = Vec<(Record, Result<Opened, OpenError>)>;

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

    fn ended(&self) -> PassEnd {
        if self.stop.is_requested() {
            PassEnd::Stopped
        } else if self.limit_reached() {
            PassEnd::Limit
        } else {
            PassEnd::Finished
        }
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

    /// Waits until so many bytes may be written; nothing where the run is ending instead.
    async fn permit(&self, bytes: usize) -> Option<Permit<'_>> {
        let permit = self.options.pace.permit(bytes);
        let permit = self.stop.unless_requested(permit).await;
        // Some time has gone.
        permit.filter(|_| !self.failed.get() && !self.stop.is_requested())
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

    /// Asked again and again: a run that went on under a key that is not current any more would do its
    /// work in vain.
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
