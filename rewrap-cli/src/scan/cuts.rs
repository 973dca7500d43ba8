//! A range in pieces: what to ask for next, and in which order the answers are to be given out.
//!
//! etcd counts a range to its end for every page of it, so paging through a large one is quadratic.
//! Here each request has an end near the last key that it will deliver, which is guessed from the
//! distances between the keys seen so far. Every answer tells how many keys there were up to that
//! end, so that a wrong guess is seen and only costs time.

use std::collections::VecDeque;

use crate::store::{Page, Record, StoreError, key_after};

mod search;

use search::Search;

/// How many keys the first page asks for; nothing is known of their size yet.
const FIRST_LIMIT: i64 = 100;

/// What a page should weigh, in bytes.
const PAGE_BYTES: i64 = 1 << 20;

/// What the answers that wait for their turn may weigh before there are fewer, in bytes.
const AHEAD_BYTES: i64 = 8 * PAGE_BYTES;

/// The most keys a page asks for, however small they are.
const MAX_LIMIT: i64 = 10_000;

/// A range from a key to the end of its directory.
#[derive(Debug)]
pub(super) struct Cuts {
    /// In the order of their keys, without a gap.
    cuts: VecDeque<Cut>,
    search: Search,
    /// The most answers that are waited for. With one, nothing is cut.
    ahead: usize,
    /// How many keys there are of which nobody knows in which piece; nothing before the first page.
    lost: Option<i64>,
    limit: i64,
    last_id: u64,
}

#[derive(Debug)]
struct Cut {
    id: u64,
    from: Vec<u8>,
    end: Vec<u8>,
    /// How many keys it has, if it is known.
    count: Option<i64>,
    limit: i64,
    /// The guess that its end comes from, if any.
    guess: Option<u64>,
    state: State,
}

#[derive(Debug)]
enum State {
    Unread,
    Asked,
    /// With what they weigh, in bytes.
    Read(Vec<Record>, i64),
    Failed(StoreError),
}

/// A piece to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) id: u64,
    pub(super) from: Vec<u8>,
    pub(super) end: Vec<u8>,
    pub(super) limit: i64,
}

/// What comes next in the order of the keys.
#[derive(Debug)]
pub(super) enum Front {
    /// Records, at least one.
    Records(Vec<Record>),
    /// What a read met. It is asked for again.
    Failed(StoreError),
    /// Nothing yet.
    Waiting,
    /// There is nothing left.
    End,
}

impl Cuts {
    pub(super) fn new(from: Vec<u8>, end: Vec<u8>, floor: usize, ahead: usize) -> Self {
        let mut cuts = Self {
            cuts: VecDeque::new(),
            search: Search::new(floor),
            ahead,
            lost: None,
            limit: FIRST_LIMIT,
            last_id: 0,
        };
        cuts.begin_at(from, end);
        cuts
    }

    /// Forgets what was read, and what was asked for, and begins again; what was learned stays.
    pub(super) fn begin_at(&mut self, from: Vec<u8>, end: Vec<u8>) {
        self.cuts.clear();
        self.lost = None;
        if from < end {
            let whole = self.unread(from, end, None);
            self.cuts.push_back(whole);
        }
    }

    fn unread(&mut self, from: Vec<u8>, end: Vec<u8>, count: Option<i64>) -> Cut {
        self.last_id += 1;
        Cut {
            id: self.last_id,
            from,
            end,
            count,
            limit: self.limit,
            guess: None,
            state: State::Unread,
        }
    }

    /// All that is left in one piece, to be asked for alone: its answer tells the revision and the
    /// count of all. `None` where it was asked for.
    pub(super) fn ask_whole(&mut self) -> Option<Ask> {
        let whole = self.cuts.front_mut()?;
        whole.limit = self.limit;
        whole.is_unread().then(|| whole.ask())
    }

    /// Takes all that is left behind the first page, if it is more than a page or two: its range, and
    /// how many keys it has.
    pub(super) fn take_rest(&mut self) -> Option<(Vec<u8>, Vec<u8>, i64)> {
        let rest = self.cuts.back()?;
        let count = rest.count.filter(|count| *count > 2 * self.limit)?;
        let rest = rest.is_unread().then(|| self.cuts.pop_back()).flatten()?;
        Some((rest.from, rest.end, count))
    }

    /// Gives back what is left of it.
    pub(super) fn put_rest(&mut self, from: Vec<u8>, end: Vec<u8>, count: i64) {
        let rest = self.unread(from, end, Some(count));
        self.cuts.push_back(rest);
    }

    /// The next piece to be read; `None` where enough is under way.
    pub(super) fn ask(&mut self) -> Option<Ask> {
        let at = self.cuts.iter().position(Cut::is_unread)?;
        // Whatever else waits, all wait for the front.
        if at > 0 && !self.has_room() {
            return None;
        }
        // Nobody knows yet where more is.
        let guess = self.search.guess();
        if self.search.waits() && self.cuts.iter().any(|cut| cut.is_asked(guess)) {
            return None;
        }
        if let Some(place) = self.place(at) {
            let cut = &mut self.cuts[at];
            let end = std::mem::replace(&mut cut.end, place.clone());
            cut.guess = Some(guess);
            let count = cut.count.take();
            self.lose(count.unwrap_or_default());
            let rest = self.unread(place, end, None);
            self.cuts.insert(at + 1, rest);
        }
        let limit = self.limit;
        let cut = &mut self.cuts[at];
        cut.limit = limit;
        Some(cut.ask())
    }

    /// Whether one more answer may come before its turn.
    fn has_room(&self) -> bool {
        let (mut asked, mut read, mut bytes) = (0, 0, 0);
        for cut in &self.cuts {
            match &cut.state {
                State::Unread => {}
                State::Asked => asked += 1,
                State::Read(_, weight) => {
                    read += 1;
                    bytes += weight;
                }
                State::Failed(_) => read += 1,
            }
        }
        let few = if bytes <= AHEAD_BYTES { 2 } else { 1 } * self.ahead;
        asked < self.search.ahead(self.ahead) && asked + read < few
    }

    /// Where to cut a piece before it is read, if at all.
    fn place(&self, at: usize) -> Option<Vec<u8>> {
        let cut = &self.cuts[at];
        if self.ahead == 1
            || cut
                .count
                .or(self.lost)
                .is_some_and(|count| count <= 2 * self.limit)
        {
            return None;
        }
        let place = self.search.place(&cut.from, self.limit)?;
        (place < cut.end).then_some(place)
    }

    /// Takes an answer. One that nobody waits for any more is dropped.
    pub(super) fn answered(&mut self, id: u64, answer: Result<Page, StoreError>) {
        let Some(at) = self.cuts.iter().position(|cut| cut.id == id) else {
            return;
        };
        let cut = &mut self.cuts[at];
        match answer {
            Ok(page) => self.read(at, page),
            Err(StoreError::ReplyTooLarge { .. }) if cut.limit > 1 => {
                cut.state = State::Unread;
                self.limit = self.limit.min(cut.limit / 2);
            }
            Err(error) => cut.state = State::Failed(error),
        }
    }

    fn read(&mut self, at: usize, page: Page) {
        let Cut { limit, guess, .. } = self.cuts[at];
        let read = i64::try_from(page.records.len()).unwrap_or(i64::MAX);
        let weight = weight(&page.records);
        self.limit = next_limit(limit, page.records.len(), weight);
        self.search.learn(&page, limit, guess);
        let left = page.count.saturating_sub(read);
        let behind = page.records.last().map(|last| key_after(&last.key));
        let cut = &mut self.cuts[at];
        match &mut self.lost {
            Some(lost) if cut.count.is_none() => *lost -= page.count,
            Some(_) => {}
            first => *first = Some(0),
        }
        cut.state = State::Read(page.records, weight);
        if let (true, Some(behind)) = (page.more, behind) {
            let end = std::mem::replace(&mut cut.end, behind.clone());
            let mut rest = self.unread(behind, end, Some(left));
            // So much lies before what was read ahead that it would only wait: it is read again.
            let ahead = self.search.ahead(self.ahead);
            let much = limit.saturating_mul(i64::try_from(ahead).unwrap_or(i64::MAX));
            if left > much && self.cuts.len() > at + 1 {
                let mut lost = left;
                for dropped in self.cuts.drain(at + 1..) {
                    lost += dropped.known();
                    rest.end = dropped.end;
                }
                self.lose(lost);
                rest.count = None;
            }
            self.cuts.insert(at + 1, rest);
        }
        if let State::Read(records, _) = &self.cuts[at].state
            && records.is_empty()
        {
            self.cuts.remove(at);
        }
    }

    fn lose(&mut self, keys: i64) {
        if let Some(lost) = &mut self.lost {
            *lost += keys;
        }
    }

    /// Takes what comes next, if it is there.
    pub(super) fn pop(&mut self) -> Front {
        let Some(cut) = self.cuts.front_mut() else {
            return Front::End;
        };
        match std::mem::replace(&mut cut.state, State::Unread) {
            State::Read(records, _) => {
                self.cuts.pop_front();
                Front::Records(records)
            }
            State::Failed(error) => Front::Failed(error),
            waiting => {
                cut.state = waiting;
                Front::Waiting
            }
        }
    }
}

impl Cut {
    fn is_unread(&self) -> bool {
        matches!(self.state, State::Unread)
    }

    fn is_asked(&self, guess: u64) -> bool {
        matches!(self.state, State::Asked) && self.guess == Some(guess)
    }

    /// How many keys it is known to have, beside those that are lost.
    fn known(&self) -> i64 {
        match (&self.state, self.count) {
            (State::Read(records, _), _) => i64::try_from(records.len()).unwrap_or(i64::MAX),
            (_, count) => count.unwrap_or_default(),
        }
    }

    fn ask(&mut self) -> Ask {
        self.state = State::Asked;
        Ask {
            id: self.id,
            from: self.from.clone(),
            end: self.end.clone(),
            limit: self.limit,
        }
    }
}

/// As many records as weigh [`PAGE_BYTES`] if they are like the last ones, but at most four times as
/// many as before, and not more than before where there were few: the next ones may not be like
/// them.
fn next_limit(limit: i64, count: usize, weight: i64) -> i64 {
    let count = i64::try_from(count).unwrap_or(MAX_LIMIT);
    let each = (weight / count.max(1)).max(1);
    let most = if count >= limit / 2 {
        limit.saturating_mul(4).min(MAX_LIMIT)
    } else {
        limit
    };
    (PAGE_BYTES / each).clamp(1, most)
}

/// What records weigh, in bytes.
fn weight(records: &[Record]) -> i64 {
    let bytes: usize = records.iter().map(Record::weight).sum();
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
