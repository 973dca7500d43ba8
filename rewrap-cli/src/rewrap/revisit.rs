//! Objects that somebody else is writing at this moment: they are left, and looked at once more when
//! all others are done.

use futures_util::stream;

use super::{
    Rewrap, RunError,
    one::{Attempt, Fate, ObjectError},
};
use crate::{
    area::{Area, Content},
    progress::RunProgress,
    store::StoreError,
    stored::Rule,
};

/// How many are left at most; there may be any number of keys, and memory is bounded. Any more are
/// written like all others.
const MOST: usize = 10_000;

/// An object that was left.
#[derive(Debug)]
pub(super) struct Deferred {
    /// The index of its area.
    area: usize,
    key: Vec<u8>,
    /// Whether it counts against the limit of objects already.
    begun: bool,
}

impl Rewrap<'_> {
    /// Leaves an object to the end of the pass; says whether there is room for it.
    pub(super) fn defer(&self, area: &Area, key: &[u8], begun: bool) -> bool {
        let index = self
            .areas
            .iter()
            .position(|known| std::ptr::eq(known, area));
        let mut deferred = self.deferred.borrow_mut();
        let Some(area) = index.filter(|_| deferred.len() < MOST) else {
            return false;
        };
        deferred.push(Deferred {
            area,
            key: key.to_vec(),
            begun,
        });
        true
    }

    /// Reads and writes what was left, store by store.
    pub(super) async fn revisit(&self, progress: &RunProgress) -> Result<(), RunError> {
        let deferred = self.deferred.take();
        for (index, area) in self.areas.iter().enumerate() {
            let Content::Objects { resource, rule, .. } = &area.content else {
                continue;
            };
            let ours: Vec<_> = deferred.iter().filter(|left| left.area == index).collect();
            if ours.is_empty() || !self.may_begin() {
                continue;
            }
            progress.at(&resource.to_string());
            self.options.pace.turn_to(area.store);
            let again = async |left| self.count(self.again(area, rule, left).await, progress);
            self.work(rule, stream::iter(ours), again).await?;
        }
        Ok(())
    }

    async fn again(&self, area: &Area, rule: &Rule, left: &Deferred) -> Result<Fate, RunError> {
        if !self.may_begin() {
            return Ok(Fate::NotBegun);
        }
        let store = &self.session.stores[area.store].store;
        let record = match store.get(&left.key).await {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(Fate::Vanished { conflicts: 0 }),
            // Of this object alone.
            Err(error @ StoreError::OtherKey { .. }) => {
                return Ok(Fate::Failed {
                    key: left.key.clone(),
                    error: ObjectError::Store(error),
                });
            }
            Err(error) => return Err(error.into()),
        };
        let keys = &self.session.keys;
        let outcome = keys.open(rule, &record.key, &record.value).await;
        let attempt = Attempt::Last { begun: left.begun };
        self.one(area, rule, record, outcome, attempt).await
    }
}
