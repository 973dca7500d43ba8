//! The counts of one resource.

use std::collections::BTreeMap;

use kms_proto::{
    KeyId,
    inventory::{KeyRef, ObjectState, ResourceInventory, WrittenWith},
};

use super::document::writes_with;
use crate::{
    area::Area,
    store::Record,
    stored::{GroupResource, Rule},
};

/// Counts of one resource.
#[derive(Default)]
pub(super) struct Tally {
    rows: BTreeMap<(ObjectState, KeyRef, Option<KeyId>), (u64, u64)>,
}

impl Tally {
    pub(super) fn add(
        &mut self,
        record: &Record,
        key: KeyRef,
        key_id: Option<KeyId>,
        state: ObjectState,
    ) {
        let (objects, bytes) = self.rows.entry((state, key, key_id)).or_default();
        *objects += 1;
        *bytes += record.value.len() as u64;
    }

    pub(super) fn into_row(
        self,
        area: &Area,
        resource: &GroupResource,
        store: &str,
        rule: &Rule,
        revision: i64,
    ) -> ResourceInventory {
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
