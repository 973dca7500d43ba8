//! The counts of one resource.

use std::collections::BTreeMap;

use kms_proto::{
    KeyId,
    inventory::{KeyRef, ObjectState, ResourceInventory, WrittenWith},
};

use super::document::{guess, key_ref, writes_with};
use crate::{
    area::Area,
    store::Record,
    stored::{self, GroupResource, Rule},
};

/// Counts of one resource.
#[derive(Default)]
pub(super) struct Tally {
    rows: BTreeMap<(ObjectState, KeyRef, Option<KeyId>), (u64, u64)>,
    /// Most values are written with what their neighbour is, and no row is looked up for them.
    like_the_last: Option<(stored::WrittenWith, ObjectState, (u64, u64))>,
}

impl Tally {
    /// Counts a value that is what it should be, or that is at least known to be somebody's.
    pub(super) fn add(
        &mut self,
        record: &Record,
        written_with: &stored::WrittenWith,
        state: ObjectState,
    ) {
        let size = record.value.len() as u64;
        match &mut self.like_the_last {
            Some((last, same, (objects, bytes))) if *same == state && last == written_with => {
                *objects += 1;
                *bytes += size;
            }
            _ => {
                self.settle();
                self.like_the_last = Some((written_with.clone(), state, (1, size)));
            }
        }
    }

    fn settle(&mut self) {
        if let Some((written_with, state, (more, more_bytes))) = self.like_the_last.take() {
            let key_id = written_with.key_id().cloned();
            let row = (state, key_ref(&written_with), key_id);
            let (objects, bytes) = self.rows.entry(row).or_default();
            *objects += more;
            *bytes += more_bytes;
        }
    }

    /// Counts a value that nobody of the rule wrote.
    pub(super) fn add_unmatched(&mut self, record: &Record) {
        let row = (ObjectState::Unreadable, guess(&record.value), None);
        let (objects, bytes) = self.rows.entry(row).or_default();
        *objects += 1;
        *bytes += record.value.len() as u64;
    }

    pub(super) fn into_row(
        mut self,
        area: &Area,
        resource: &GroupResource,
        store: &str,
        rule: &Rule,
        revision: i64,
    ) -> ResourceInventory {
        self.settle();
        let count = |wanted: ObjectState| {
            let rows = self.rows.iter().filter(|((state, ..), _)| *state == wanted);
            rows.map(|(_, (objects, _))| objects).sum()
        };
        ResourceInventory {
            resource: resource.to_string(),
            store: store.to_owned(),
            path: area.display(),
            revision,
            writes_with: writes_with(rule),
            total: self.rows.values().map(|(objects, _)| objects).sum(),
            current: count(ObjectState::Current),
            stale: count(ObjectState::Stale),
            plaintext: count(ObjectState::Plaintext),
            unreadable: count(ObjectState::Unreadable),
            unknowable: count(ObjectState::Unknowable),
            written_with: self
                .rows
                .into_iter()
                .map(|((state, key, key_id), (objects, bytes))| WrittenWith {
                    key,
                    key_id,
                    state,
                    objects,
                    bytes,
                })
                .collect(),
        }
    }
}
