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

/// How many rows there are before key ids, and keys that no rule has, are not told apart any more: a
/// store may hold anything, and every value may name another.
pub(super) const LIMIT: usize = 1000;

/// Objects, and their bytes.
type Count = (u64, u64);

type Row = (ObjectState, KeyRef, Option<KeyId>);

/// Counts of one resource.
#[derive(Default)]
pub(super) struct Tally {
    rows: BTreeMap<Row, Count>,
    /// What no row is left for, by state and provider.
    others: BTreeMap<(ObjectState, String), Count>,
    /// Most values are written with what their neighbour is, and no row is looked up for them.
    like_the_last: Option<(stored::WrittenWith, ObjectState, Count)>,
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
        if let Some((written_with, state, count)) = self.like_the_last.take() {
            let key = key_ref(&written_with);
            let row = (state, key, written_with.key_id().cloned());
            if self.has_place(&row) {
                self.count(row, count);
            } else {
                // The key is one of the configuration, which are few, and some key needs it.
                let (state, key, _) = row;
                add(self.rows.entry((state, key, None)).or_default(), count);
            }
        }
    }

    /// Counts a value that nobody of the rule wrote.
    pub(super) fn add_unmatched(&mut self, record: &Record) {
        let row = (ObjectState::Unreadable, guess(&record.value), None);
        self.count(row, (1, record.value.len() as u64));
    }

    /// Whether nothing was counted.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.like_the_last.is_none()
    }

    fn has_place(&self, row: &Row) -> bool {
        self.rows.len() < LIMIT || self.rows.contains_key(row)
    }

    fn count(&mut self, row: Row, more: Count) {
        let count = if self.has_place(&row) {
            self.rows.entry(row).or_default()
        } else {
            let (state, key, _) = row;
            self.others.entry((state, key.provider)).or_default()
        };
        add(count, more);
    }

    pub(super) fn into_row(
        mut self,
        area: &Area,
        resource: &GroupResource,
        store: &str,
        (rule, covered): (&Rule, bool),
        revision: i64,
    ) -> ResourceInventory {
        self.settle();
        let rows = self
            .rows
            .into_iter()
            .map(|((state, key, key_id), count)| (state, key, key_id, count, false));
        let others = self.others.into_iter().map(|((state, provider), count)| {
            let key = String::new();
            (state, KeyRef { provider, key }, None, count, true)
        });
        let rows =
            rows.chain(others).map(
                |(state, key, key_id, (objects, bytes), others)| WrittenWith {
                    key,
                    key_id,
                    others,
                    state,
                    objects,
                    bytes,
                },
            );
        let written_with: Vec<_> = rows.collect();
        let count = |wanted: ObjectState| {
            let rows = written_with.iter().filter(|row| row.state == wanted);
            rows.map(|row| row.objects).sum()
        };
        ResourceInventory {
            resource: resource.to_string(),
            store: store.to_owned(),
            path: area.display(),
            revision,
            covered,
            writes_with: writes_with(rule),
            total: written_with.iter().map(|row| row.objects).sum(),
            current: count(ObjectState::Current),
            stale: count(ObjectState::Stale),
            plaintext: count(ObjectState::Plaintext),
            unreadable: count(ObjectState::Unreadable),
            unknowable: count(ObjectState::Unknowable),
            written_with,
        }
    }
}

fn add((objects, bytes): &mut Count, (more, more_bytes): Count) {
    *objects += more;
    *bytes += more_bytes;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_keys_is_counted_in_few_rows() {
        let mut tally = Tally::default();
        let key = |number: usize| KeyRef {
            provider: ["aescbc", "kms-v2"][number % 2].to_owned(),
            key: format!("key-{}", number / 2),
        };
        for number in (0..100_000).chain(0..100) {
            tally.count((ObjectState::Unreadable, key(number), None), (1, 7));
        }
        assert_eq!(tally.rows.len(), LIMIT);
        let area = Area {
            store: 0,
            path: b"/registry/secrets/".to_vec(),
            content: crate::area::Content::LeftAlone(String::new()),
        };
        let resource = GroupResource::new("secrets", "");
        let row = tally.into_row(&area, &resource, "default", (&Rule::identity(), false), 1);
        assert_eq!((row.total, row.unreadable), (100_100, 100_100));
        let (others, told): (Vec<_>, Vec<_>) = row.written_with.iter().partition(|row| row.others);
        assert_eq!((told.len(), others.len()), (LIMIT, 2));
        assert!(
            others
                .iter()
                .all(|row| row.objects == 49_500 && row.bytes == 49_500 * 7)
        );
        assert_eq!(told.iter().map(|row| row.objects).sum::<u64>(), 1100);
    }
}
