//! Reading everything under a prefix, page by page.

use tokio::task::{JoinError, JoinSet};

use crate::store::{Kind, Page, RangeOptions, Record, Store, StoreError, key_after, prefix_end};

mod cuts;
mod streamed;
mod stride;

use cuts::{Ask, Cuts, Front};
use streamed::Streamed;

/// The most pages that are under way; as many again may wait for their turn, so that etcd has work
/// while pages are worked on. Each is of about 1 MiB, and of 8 MiB at most unless one record weighs
/// more; where they weigh much, none is asked for beside those that wait: that is what a walk holds in
/// memory.
const AHEAD: usize = 8;

/// What came for a piece of a walk, by its number.
type Answer = (u64, Result<Page, StoreError>);

/// A walk through all keys under one prefix, in their order.
///
/// The first page sets the revision, and all others are read at it, some of them ahead and at the
/// same time: together they are what the store held at one moment. Where that revision is compacted
/// away, the walk goes on from the next key at the newest revision and [`Self::anchors`] counts one
/// more, unless it was told [which revision](Self::at_revision) to read. No key is delivered twice and
/// none is passed over that existed all the time; one that was created meanwhile before the place
/// of the change is not seen, and one that was deleted after may be missing.
///
/// Where all was read at one revision, the store must count as many keys as the pages had.
#[derive(Debug)]
pub struct Scan<'a> {
    store: &'a Store,
    prefix: &'a [u8],
    /// The first key that was not delivered.
    next: Vec<u8>,
    end: Vec<u8>,
    keys_only: bool,
    /// 0 until the first page.
    revision: i64,
    /// Whether to fail rather than to go on at another revision.
    pinned: bool,
    anchors: u32,
    /// Whether the page was read that tells the revision, and the count of what is left.
    anchored: bool,
    /// How many keys the store counted at the first page, and how many have been delivered.
    counted: i64,
    delivered: i64,
    cuts: Cuts,
    asked: JoinSet<Answer>,
    /// All that is behind the cuts, where etcd sends that in one stream.
    streamed: Option<Streamed>,
    /// Whether a stream broke: this walk does not ask for another.
    broke: bool,
}

impl<'a> Scan<'a> {
    /// All keys that begin with `prefix`.
    ///
    /// # Panics
    /// If the prefix does not end in `/`: `/registry/pods` would read `/registry/podtemplates/` too.
    pub fn new(store: &'a Store, prefix: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        let prefix = prefix.as_ref();
        assert!(
            prefix.ends_with(b"/"),
            "the prefix {:?} of a scan does not end in a slash",
            prefix.escape_ascii()
        );
        let (next, end) = (prefix.to_vec(), prefix_end(prefix));
        let ahead = match store.kind() {
            Kind::Etcd => AHEAD,
            // It knows no other end than that of the prefix.
            Kind::Kine => 1,
        };
        Self {
            store,
            prefix,
            cuts: Cuts::new(next.clone(), end.clone(), prefix.len(), ahead),
            next,
            end,
            keys_only: false,
            revision: 0,
            pinned: false,
            anchors: 0,
            anchored: false,
            counted: 0,
            delivered: 0,
            asked: JoinSet::new(),
            streamed: None,
            broke: false,
        }
    }

    /// From this key on, if it lies behind the prefix.
    #[must_use]
    pub fn starting_at(mut self, key: &[u8]) -> Self {
        self.next = self.next.max(key.to_vec());
        self.cuts.begin_at(self.next.clone(), self.end.clone());
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
        loop {
            self.ask();
            match self.cuts.pop() {
                Front::Records(records) => return Ok(Some(self.deliver(records))),
                Front::Failed(StoreError::Compacted { .. })
                    if self.revision > 0 && !self.pinned =>
                {
                    self.begin_again();
                }
                Front::Failed(error) => return Err(error),
                Front::Waiting => {
                    if let Some(answer) = self.asked.join_next().await {
                        self.hear(answer);
                    }
                }
                Front::End => match &mut self.streamed {
                    Some(streamed) => match streamed.next().await {
                        Some(Ok(records)) => return Ok(Some(self.deliver(records))),
                        Some(Err(_)) => {
                            let left = streamed.left();
                            self.go_on_in_pages(left);
                        }
                        None => self.streamed = None,
                    },
                    None => return self.check_count().map(|()| None),
                },
            }
        }
    }

    /// Takes the answers that have come, and asks for more: to be called now and then while a page is
    /// worked on, so that etcd is never without work. Waits for nothing.
    pub fn go_on(&mut self) {
        while let Some(answer) = self.asked.try_join_next() {
            self.hear(answer);
        }
        // The first page after an anchor is asked for alone.
        if self.anchored {
            self.ask();
        }
    }

    /// Asks for all that may be under way.
    fn ask(&mut self) {
        if self.anchored
            && self.store.streams()
            && !self.broke
            && let Some((from, end, keys)) = self.cuts.take_rest()
        {
            let options = self.options(from, end, 0);
            self.streamed = Some(Streamed::start(self.store, options, keys));
        }
        while self.asked.len() < AHEAD {
            let ask = if self.anchored {
                self.cuts.ask()
            } else {
                self.cuts.ask_whole()
            };
            let Some(Ask {
                id,
                from,
                end,
                limit,
            }) = ask
            else {
                return;
            };
            let options = self.options(from, end, limit);
            // Tasks of their own: an answer that nobody takes would stop all others of the connection.
            let store = self.store.clone();
            self.asked
                .spawn(async move { (id, store.range(options).await) });
        }
    }

    fn options(&self, key: Vec<u8>, range_end: Vec<u8>, limit: i64) -> RangeOptions {
        RangeOptions {
            key,
            range_end,
            limit,
            revision: self.revision,
            keys_only: self.keys_only,
            count_only: false,
        }
    }

    /// Takes an answer.
    fn hear(&mut self, answer: Result<Answer, JoinError>) {
        let (id, answer) = match answer {
            Ok(answer) => answer,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // Only with the runtime, or with this walk.
            Err(_) => return,
        };
        if let (false, Ok(page)) = (self.anchored, &answer) {
            self.anchored = true;
            if self.revision == 0 || self.anchors == 0 {
                self.anchors += 1;
                self.counted = page.count;
            }
            if self.revision == 0 {
                self.revision = page.revision;
            }
        }
        self.cuts.answered(id, answer);
    }

    /// The stream broke, which says nothing that a page would not say better.
    fn go_on_in_pages(&mut self, left: i64) {
        self.streamed = None;
        self.broke = true;
        self.cuts
            .put_rest(self.next.clone(), self.end.clone(), left);
    }

    /// From the first key that was not delivered, at the newest revision.
    fn begin_again(&mut self) {
        self.asked = JoinSet::new();
        self.broke = false;
        self.revision = 0;
        self.anchored = false;
        self.cuts.begin_at(self.next.clone(), self.end.clone());
    }

    fn deliver(&mut self, records: Vec<Record>) -> Vec<Record> {
        self.delivered += i64::try_from(records.len()).unwrap_or(i64::MAX);
        if let Some(last) = records.last() {
            self.next = key_after(&last.key);
        }
        records
    }

    fn check_count(&self) -> Result<(), StoreError> {
        if self.anchors != 1 || self.delivered == self.counted {
            return Ok(());
        }
        Err(StoreError::Miscounted {
            prefix: self.prefix.into(),
            revision: self.revision,
            read: self.delivered,
            counted: self.counted,
        })
    }
}
