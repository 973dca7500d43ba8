//! So much a second, evenly.

use std::{cell::Cell, time::Duration};

use tokio::time::Instant;

/// Lets so many units a second through, evenly; a pause is not made up for afterwards, so that
/// clients of the cluster never see more than the rate.
#[derive(Debug)]
pub(super) struct Turns {
    /// Units per second; none is as fast as the store takes them.
    rate: Option<u64>,
    next: Cell<Option<Instant>>,
}

impl Turns {
    pub(super) fn new(per_second: Option<u64>) -> Self {
        Self {
            rate: per_second.map(|rate| rate.max(1)),
            next: Cell::new(None),
        }
    }

    /// When the turn of so many units comes, which takes them out of what is left; nothing where there
    /// is no rate.
    pub(super) fn take(&self, units: u64, now: Instant) -> Option<Instant> {
        let rate = self.rate?;
        let turn = self.next.get().map_or(now, |next| next.max(now));
        let lasts = Duration::from_secs_f64(units as f64 / rate as f64);
        self.next.set(Some(turn + lasts));
        Some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_evenly_spaced_and_a_pause_is_not_made_up_for() {
        let turns = Turns::new(Some(100));
        let start = Instant::now();
        let after = |millis| Some(start + Duration::from_millis(millis));
        assert_eq!(turns.take(1, start), after(0));
        assert_eq!(turns.take(1, start), after(10));
        assert_eq!(turns.take(1, start), after(20));
        let later = start + Duration::from_secs(5);
        assert_eq!(turns.take(1, later), Some(later));
        assert_eq!(turns.take(1, later), after(5010));
    }

    #[test]
    fn what_is_large_takes_long() {
        let turns = Turns::new(Some(16 << 20));
        let start = Instant::now();
        assert_eq!(turns.take(1 << 20, start), Some(start));
        let next = Some(start + Duration::from_micros(62_500));
        assert_eq!(turns.take(0, start), next);
        assert_eq!(turns.take(8 << 20, start), next);
        let next = Some(start + Duration::from_micros(562_500));
        assert_eq!(turns.take(1, start), next);
    }

    #[test]
    fn without_a_rate_nobody_waits() {
        assert_eq!(Turns::new(None).take(u64::MAX, Instant::now()), None);
    }
}
