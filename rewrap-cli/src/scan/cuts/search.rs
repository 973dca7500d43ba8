//! Where the next keys are: what the distances of those that were seen tell of those behind them.

use super::super::stride::Stride;
use crate::store::{Page, prefix_end};

/// How many pages are asked for at once where nothing is known: those that lie behind the end of a
/// directory come back empty.
const LEAST_AHEAD: usize = 4;

/// What is known of the next keys.
#[derive(Debug)]
pub(super) struct Search {
    /// How long the name of the walk's own directory is.
    floor: usize,
    stride: Option<Stride>,
    /// The step that led from the last directory to the next one.
    between: Option<Stride>,
    /// How often the stride changed: what several pieces of one guess say is heard once.
    guess: u64,
    /// What to do with a directory of keys that has come to its end.
    step: Step,
    /// How many pages found what was looked for since one last missed.
    hits: usize,
    /// The last directory of objects that was seen in an answer, its slash included.
    directory: Vec<u8>,
}

/// Where the next keys are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// As far apart as the last ones.
    Near,
    /// Somewhat farther: names may only lie thinner here.
    Farther,
    /// To the end of the directory: the distances of its names tell nothing of what lies behind the
    /// last one.
    ToTheEnd,
    /// Behind it, in steps that grow; so many were too short, one after the other.
    Behind { misses: u32 },
}

impl Search {
    pub(super) fn new(floor: usize) -> Self {
        Self {
            floor,
            stride: None,
            between: None,
            guess: 0,
            step: Step::Near,
            hits: 0,
            directory: Vec::new(),
        }
    }

    /// The number of the guess that [`Self::place`] makes now.
    pub(super) fn guess(&self) -> u64 {
        self.guess
    }

    /// Whether nobody knows where more is before what comes of the guess is known.
    pub(super) fn waits(&self) -> bool {
        self.step != Step::Near
    }

    /// How many pages may be asked for before it is known whether the first of them finds anything: a
    /// directory that has gone on for long goes on for half as long, and few of those asked for lie
    /// behind its end.
    pub(super) fn ahead(&self, most: usize) -> usize {
        (self.hits / 2).max(LEAST_AHEAD).min(most)
    }

    /// Where a page of so many keys from this one on may end.
    pub(super) fn place(&self, from: &[u8], limit: i64) -> Option<Vec<u8>> {
        let stride = self.stride.as_ref()?;
        match self.step {
            Step::ToTheEnd if from.starts_with(&self.directory) => {
                Some(prefix_end(&self.directory))
            }
            // A little less than fits: then most pieces are one page.
            _ => stride.ahead(from, self.floor, (limit * 7 / 8).max(1)),
        }
    }

    /// Follows the distances seen in a page of at most so many keys, and whether it is what its guess
    /// meant it to be.
    pub(super) fn learn(&mut self, page: &Page, limit: i64, guess: Option<u64>) {
        if let Some(last) = page.records.last() {
            let name = last.key.iter().rposition(|byte| *byte == b'/');
            self.directory = last.key[..name.map_or(0, |slash| slash + 1)].to_vec();
        }
        let heard = guess == Some(self.guess);
        let found = i64::try_from(page.records.len()).unwrap_or(i64::MAX);
        let missed = !page.more && found <= limit / 8;
        match (missed, heard) {
            (false, _) => self.hits += 1,
            (true, true) => self.hits = 0,
            (true, false) => {}
        }
        if let (Step::Behind { .. }, true) = (self.step, heard && found > 0) {
            self.between = self.stride.clone();
        }
        if page.more {
            let last_half = &page.records[page.records.len() / 2..];
            self.stride = Stride::measure(last_half).or_else(|| self.stride.take());
            self.step = Step::Near;
        } else if heard {
            if self.step == Step::Near && !missed {
                return;
            }
            self.step_on(missed, limit);
        } else {
            return;
        }
        self.guess += 1;
    }

    /// The next step after one that found something or, if it missed, next to nothing.
    fn step_on(&mut self, missed: bool, limit: i64) {
        let within = self.directory.len();
        let Some(stride) = &mut self.stride else {
            return;
        };
        self.step = match self.step {
            Step::Near if missed => {
                stride.grow(3);
                Step::Farther
            }
            Step::Farther if missed && within > self.floor && stride.is_within(within) => {
                Step::ToTheEnd
            }
            Step::Farther if missed => {
                stride.grow(4);
                Step::Behind { misses: 4 }
            }
            Step::ToTheEnd => {
                let next = || Stride::between_directories(within - 2, limit);
                *stride = self.between.take().unwrap_or_else(next);
                stride.shrink();
                Step::Behind { misses: 0 }
            }
            Step::Behind { misses } if missed => {
                stride.grow(misses + 1);
                Step::Behind { misses: misses + 1 }
            }
            Step::Near | Step::Farther | Step::Behind { .. } => Step::Near,
        };
    }
}
