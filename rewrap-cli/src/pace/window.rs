//! How many writes may be in flight: one more as long as the store holds its latency, half as many
//! where it does not. Pure: time comes from outside.

use std::time::Duration;

use tokio::time::Instant;

mod baseline;

use baseline::Baseline;

/// A decision is made after so many answers, of which the slowest but one is the 99th percentile,
/// or after so long, whatever comes first.
const ROUND_ANSWERS: usize = 100;

/// As long as it doubles: after two answers for each that may be in flight, but no fewer than these.
const DOUBLING_ANSWERS: usize = 32;

const ROUND_LIFE: Duration = Duration::from_secs(1);

/// How far the 99th percentile may rise above its baseline.
const SLOWER: f64 = 3.0;

/// How many are in flight before anything is known of the store: two doublings below the most, but
/// never more than the most of a polite run.
fn start(max: u32) -> u32 {
    (max / 4).clamp(4, 16).min(max)
}

/// What the answer to one write says beside its latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// Nothing.
    Calm,
    /// The store had too much to do, lost its leader, or left a write unanswered.
    Strained,
}

/// Additive increase, multiplicative decrease, with doubling until the first decrease.
#[derive(Debug)]
pub(super) struct Window {
    max: u32,
    /// An answer within that is never held against the store.
    calm: Duration,
    limit: u32,
    /// Nothing has spoken against more yet, so it doubles.
    doubling: bool,
    /// When the present round began. What was sent before was sent under another limit and says
    /// nothing about this one.
    began: Option<Instant>,
    answers: Vec<Duration>,
    /// The most that were in flight in this round.
    peak: u32,
    baseline: Baseline,
    backed_off: u64,
}

impl Window {
    /// Between 1 and `max` in flight, for answers that nobody minds within `calm`.
    pub(super) fn new(max: u32, calm: Duration) -> Self {
        let max = max.max(1);
        Self {
            max,
            calm,
            limit: start(max),
            doubling: true,
            began: None,
            answers: Vec::with_capacity(ROUND_ANSWERS),
            peak: 0,
            baseline: Baseline::default(),
            backed_off: 0,
        }
    }

    /// How many may be in flight now.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// How often the limit was halved.
    pub(super) fn backed_off(&self) -> u64 {
        self.backed_off
    }

    /// One more is in flight, which makes `in_flight`.
    pub(super) fn sent(&mut self, in_flight: u32, now: Instant) {
        self.began.get_or_insert(now);
        self.peak = self.peak.max(in_flight);
    }

    /// What was sent then is answered.
    pub(super) fn answered(&mut self, sent: Instant, now: Instant, sign: Sign) {
        let Some(began) = self.began.filter(|began| sent >= *began) else {
            return;
        };
        if sign == Sign::Strained {
            self.back_off();
            self.next_round(now);
            return;
        }
        self.answers.push(now.duration_since(sent));
        let elapsed = now.duration_since(began);
        if self.answers.len() >= self.round_answers() || elapsed >= ROUND_LIFE {
            self.decide(elapsed);
            self.next_round(now);
        }
    }

    fn round_answers(&self) -> usize {
        match self.doubling {
            true => (2 * self.limit as usize).clamp(DOUBLING_ANSWERS, ROUND_ANSWERS),
            false => ROUND_ANSWERS,
        }
    }

    fn decide(&mut self, elapsed: Duration) {
        self.answers.sort_unstable();
        // The nearest rank; a round has an answer at least.
        let rank = (self.answers.len() * 99).div_ceil(100) - 1;
        let p99 = self.answers[rank];
        let expected = self.baseline.expected(self.peak);
        let slow = expected.is_some_and(|expected| p99.as_secs_f64() > SLOWER * expected);
        self.baseline.learn(p99, self.peak, elapsed);
        if slow && p99 > self.calm {
            self.back_off();
        } else if self.peak >= self.limit {
            // What was not used proves nothing, and is not raised.
            self.limit = match self.doubling {
                true => self.limit.saturating_mul(2),
                false => self.limit + 1,
            };
            self.limit = self.limit.min(self.max);
        }
    }

    fn back_off(&mut self) {
        self.doubling = false;
        if self.limit > 1 {
            self.limit /= 2;
            self.backed_off += 1;
        }
    }

    fn next_round(&mut self, now: Instant) {
        self.began = Some(now);
        self.answers.clear();
        self.peak = 0;
    }
}

#[cfg(test)]
mod tests;
