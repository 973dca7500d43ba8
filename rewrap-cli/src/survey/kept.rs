//! What a reading keeps for the pass that follows at once: a small store is read once less.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::store::Record;

/// What is kept at most, in bytes of keys and values.
const MOST: usize = 16 << 20;

/// What was read longer ago is read again: an object that somebody wrote meanwhile would be tried in vain, where a
/// fresh reading tells to leave it to the end of the pass.
const FRESH: Duration = Duration::from_secs(1);

/// In the order of their keys.
type Pages = Vec<Vec<Record>>;

/// Values as they were read, page by page, of the areas where something is to be rewritten. They are old news, which
/// whoever writes finds out: he compares revisions.
#[derive(Debug, Default)]
pub struct Kept {
    /// By the store and the path that was read, with the time of the reading.
    areas: BTreeMap<(usize, String), (Instant, Pages)>,
    /// The area that is being read; nothing where it is too large.
    reading: Option<Pages>,
    /// How many more bytes may be kept.
    room: usize,
}

impl Kept {
    /// Keeps as much as there may be; [`Self::default`] keeps nothing.
    pub(super) fn new() -> Self {
        Self {
            room: MOST,
            ..Self::default()
        }
    }

    pub(super) fn begin_area(&mut self) {
        self.reading = (self.room > 0).then(Vec::new);
    }

    /// One more page of the area.
    pub(super) fn add(&mut self, records: &[Record]) {
        if let Some(pages) = self.reading.take() {
            let weight = weight(records);
            if weight <= self.room {
                self.room -= weight;
                self.reading.insert(pages).push(records.to_vec());
            } else {
                self.give_up(&pages);
            }
        }
    }

    /// The area is read; whether something of it is to be rewritten.
    pub(super) fn end_area(&mut self, store: usize, path: &str, is_wanted: bool) {
        if let Some(pages) = self.reading.take() {
            if is_wanted {
                let key = (store, path.to_owned());
                self.areas.insert(key, (Instant::now(), pages));
            } else {
                self.give_up(&pages);
            }
        }
    }

    fn give_up(&mut self, pages: &[Vec<Record>]) {
        self.room += pages.iter().map(|page| weight(page)).sum::<usize>();
    }

    /// An object was written since.
    pub(crate) fn forget(&mut self, store: usize, key: &[u8]) {
        let of_store = self
            .areas
            .iter_mut()
            .filter(|((kept, _), _)| *kept == store);
        for (_, (_, pages)) in of_store {
            for page in pages.iter_mut() {
                page.retain(|record| record.key != key);
            }
            pages.retain(|page| !page.is_empty());
        }
    }

    /// All pages of an area; nothing where they were not kept or are old.
    pub(crate) fn take(&mut self, store: usize, path: &str) -> Option<Pages> {
        let (read, pages) = self.areas.remove(&(store, path.to_owned()))?;
        (read.elapsed() < FRESH).then_some(pages)
    }
}

fn weight(records: &[Record]) -> usize {
    records.iter().map(Record::weight).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRETS: &str = "/registry/secrets/";

    fn page(key: &str, size: usize) -> Vec<Record> {
        let record = Record {
            key: key.to_owned().into(),
            value: vec![0; size].into(),
            mod_revision: 1,
            create_revision: 1,
            lease: 0,
        };
        vec![record]
    }

    fn read(kept: &mut Kept, path: &str, pages: &[Vec<Record>], is_wanted: bool) {
        kept.begin_area();
        pages.iter().for_each(|page| kept.add(page));
        kept.end_area(0, path, is_wanted);
    }

    #[test]
    fn an_area_is_given_out_once_and_whole() {
        let mut kept = Kept::new();
        let pages = [
            page("/registry/secrets/a", 10),
            page("/registry/secrets/b", 10),
        ];
        read(&mut kept, SECRETS, &pages, true);
        assert_eq!(kept.take(1, SECRETS), None);
        assert_eq!(kept.take(0, SECRETS).unwrap(), pages);
        assert_eq!(kept.take(0, SECRETS), None);
    }

    #[test]
    fn what_is_too_large_or_not_wanted_leaves_its_room_to_others() {
        let mut kept = Kept::new();
        let half = [page("/registry/pods/a", MOST / 2)];
        let whole = [half[0].clone(), half[0].clone()];
        read(&mut kept, "/registry/pods/", &whole, true);
        read(&mut kept, "/registry/jobs/", &half, false);
        read(&mut kept, SECRETS, &half, true);
        assert_eq!(kept.take(0, "/registry/pods/"), None);
        assert_eq!(kept.take(0, "/registry/jobs/"), None);
        assert!(kept.take(0, SECRETS).is_some());
        let mut kept = Kept::default();
        read(&mut kept, SECRETS, &[page("/registry/secrets/a", 1)], true);
        assert_eq!(kept.take(0, SECRETS), None);
    }

    #[test]
    fn what_was_written_since_is_forgotten() {
        let mut kept = Kept::new();
        let pages = [
            page("/registry/secrets/a", 10),
            page("/registry/secrets/b", 10),
        ];
        read(&mut kept, SECRETS, &pages, true);
        kept.forget(1, b"/registry/secrets/b");
        kept.forget(0, b"/registry/secrets/a");
        assert_eq!(kept.take(0, SECRETS).unwrap(), [pages[1].clone()]);
    }
}
