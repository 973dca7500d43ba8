//! Reading everything under a prefix, page by page.

use crate::store::{Page, RangeOptions, Record, Store, StoreError, prefix_end};

/// How many keys the first page asks for; nothing is known of their size yet.
const FIRST_LIMIT: i64 = 500;

/// What a page should weigh, in bytes. etcd counts the rest of the range for every page, so pages
/// are to be large; and one page is what a run holds in memory.
const PAGE_BYTES: i64 = 2 << 20;

/// The most keys a page asks for, however small they are.
const MAX_LIMIT: i64 = 10_000;

/// A walk through all keys under one prefix, in their order.
///
/// The first page sets the revision, and all others are read at it: together they are what the
/// store held at one moment. Where that revision is compacted away, the walk goes on from the next
/// key at the newest revision and [`Self::anchors`] counts one more, unless it was told
/// [which revision](Self::at_revision) to read. No key is delivered twice and
/// none is passed over that existed all the time; one that was created meanwhile before the place
/// of the change is not seen, and one that was deleted after may be missing.
///
/// Where all was read at one revision, the store must count as many keys as the pages had.
#[derive(Debug)]
pub struct Scan<'a> {
    store: &'a Store,
    prefix: &'a str,
    next: Option<Vec<u8>>,
    end: Vec<u8>,
    keys_only: bool,
    limit: i64,
    /// 0 until the first page.
    revision: i64,
    /// Whether to fail rather than to go on at another revision.
    pinned: bool,
    anchors: u32,
    /// How many keys the store counted at the first page, and how many have been delivered.
    counted: i64,
    delivered: i64,
}

impl<'a> Scan<'a> {
    /// All keys that begin with `prefix`.
    ///
    /// # Panics
    /// If the prefix does not end in `/`: `/registry/pods` would read `/registry/podtemplates/` too.
    pub fn new(store: &'a Store, prefix: &'a str) -> Self {
        assert!(
            prefix.ends_with('/'),
            "the prefix {prefix:?} of a scan does not end in a slash"
        );
        Self {
            store,
            prefix,
            next: Some(prefix.into()),
            end: prefix_end(prefix.as_bytes()),
            keys_only: false,
            limit: FIRST_LIMIT,
            revision: 0,
            pinned: false,
            anchors: 0,
            counted: 0,
            delivered: 0,
        }
    }

    /// From this key on, if it lies behind the prefix.
    #[must_use]
    pub fn starting_at(mut self, key: &[u8]) -> Self {
        self.next = self.next.map(|first| first.max(key.to_vec()));
        self
    }

    /// All of it at this revision, or not at all: where it is compacted away, the walk fails with
    /// [`StoreError::Compacted`]. 0 is no revision.
    #[must_use]
    pub fn at_revision(mut self, revision: i64) -> Self {
        self.revision = revision;
        self.pinned = revision > 0;
        self
    }

    /// Without the values.
    #[must_use]
    pub fn keys_only(mut self) -> Self {
        self.keys_only = true;
        self
    }

    /// The revision of the last page; 0 before the first.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// How many revisions the walk was read at: 1 is a snapshot of one moment.
    pub fn anchors(&self) -> u32 {
        self.anchors
    }

    /// The next page, never an empty one; `None` at the end.
    ///
    /// # Errors
    /// [`StoreError::Miscounted`] in place of the end, and what any read can meet. The walk may go
    /// on after an error: it asks for the same page again.
    pub async fn next(&mut self) -> Result<Option<Vec<Record>>, StoreError> {
        while let Some(first) = &self.next {
            if first.as_slice() >= self.end.as_slice() {
                return Ok(None);
            }
            let options = RangeOptions {
                key: first.clone(),
                range_end: self.end.clone(),
                limit: self.limit,
                revision: self.revision,
                keys_only: self.keys_only,
                count_only: false,
            };
            match self.store.range(options).await {
                Ok(page) => return self.advance(page),
                Err(StoreError::Compacted { .. }) if self.revision > 0 && !self.pinned => {
                    self.revision = 0;
                }
                Err(StoreError::ReplyTooLarge { .. }) if self.limit > 1 => self.limit /= 2,
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn advance(&mut self, page: Page) -> Result<Option<Vec<Record>>, StoreError> {
        if self.revision == 0 || self.anchors == 0 {
            self.anchors += 1;
            self.counted = page.count;
        }
        if self.revision == 0 {
            self.revision = page.revision;
        }
        self.next = match page.records.last() {
            Some(last) if page.more => {
                let mut next = last.key.to_vec();
                next.push(0);
                Some(next)
            }
            _ => None,
        };
        self.delivered += i64::try_from(page.records.len()).unwrap_or(i64::MAX);
        if self.next.is_none() && self.anchors == 1 && self.delivered != self.counted {
            return Err(StoreError::Miscounted {
                prefix: self.prefix.as_bytes().into(),
                revision: self.revision,
                read: self.delivered,
                counted: self.counted,
            });
        }
        if page.records.is_empty() {
            return Ok(None);
        }
        self.limit = next_limit(self.limit, &page.records);
        Ok(Some(page.records))
    }
}

/// As many records as weigh [`PAGE_BYTES`] if they are like the last ones, but at most four times as
/// many as before: the next ones may not be like them.
fn next_limit(limit: i64, records: &[Record]) -> i64 {
    let bytes: usize = records.iter().map(|r| r.key.len() + r.value.len()).sum();
    let count = i64::try_from(records.len()).unwrap_or(MAX_LIMIT);
    let each = (i64::try_from(bytes).unwrap_or(i64::MAX) / count.max(1)).max(1);
    (PAGE_BYTES / each).clamp(1, limit.saturating_mul(4).min(MAX_LIMIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(count: usize, size: usize) -> Vec<Record> {
        let record = Record {
            key: "".into(),
            value: vec![0; size].into(),
            mod_revision: 1,
            create_revision: 1,
            lease: 0,
        };
        vec![record; count]
    }

    #[test]
    fn pages_follow_the_size_of_what_is_stored() {
        assert_eq!(
            next_limit(500, &records(500, 1024)),
            2000,
            "four times at most"
        );
        assert_eq!(next_limit(2000, &records(2000, 1024)), 2048);
        assert_eq!(next_limit(500, &records(500, 64 << 10)), 32);
        assert_eq!(next_limit(500, &records(3, 8 << 20)), 1);
        assert_eq!(next_limit(9000, &records(9000, 1)), MAX_LIMIT);
    }
}
