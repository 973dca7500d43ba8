//! What latency a store has when it is well.

use std::time::Duration;

/// What a baseline rises by in a second, as a factor: a store that has become slower for good is
/// held to what it was for a minute or two, not for ever.
const FORGOTTEN: f64 = 1.02;

/// The best that was seen, slowly forgotten. Two numbers, because a store that is busy with our own
/// writes answers each the later, the more of them there are: that is a queue, not a store in need.
#[derive(Debug, Default)]
pub(super) struct Baseline {
    best: Option<Best>,
}

/// Both in seconds.
#[derive(Debug, Clone, Copy)]
struct Best {
    /// The lowest 99th percentile, however few were in flight.
    p99: f64,
    /// The lowest 99th percentile for each one in flight: what one costs where all wait for each
    /// other.
    each: f64,
}

impl Baseline {
    /// The 99th percentile that is to be expected with so many in flight, in seconds; nothing before
    /// the first round.
    pub(super) fn expected(&self, in_flight: u32) -> Option<f64> {
        self.best
            .map(|best| best.p99.max(best.each * f64::from(in_flight)))
    }

    /// What a round of this length saw.
    pub(super) fn learn(&mut self, p99: Duration, in_flight: u32, elapsed: Duration) {
        let p99 = p99.as_secs_f64();
        let each = p99 / f64::from(in_flight.max(1));
        let forgotten = FORGOTTEN.powf(elapsed.as_secs_f64());
        self.best = Some(self.best.map_or(Best { p99, each }, |best| Best {
            p99: p99.min(best.p99 * forgotten),
            each: each.min(best.each * forgotten),
        }));
    }
}
