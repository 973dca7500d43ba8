//! How fast a run goes, and when it has to end.

use std::{
    cell::Cell,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// Lets so many objects a second through, evenly; a pause is not made up for afterwards, so that
/// clients of the cluster never see more than the rate.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    next: Cell<Option<Instant>>,
}

impl Pace {
    /// A number of objects per second; `None` is as fast as the store takes them.
    pub fn new(per_second: Option<u32>) -> Self {
        let interval = per_second.map_or(Duration::ZERO, |rate| Duration::from_secs(1) / rate);
        Self {
            interval,
            next: Cell::new(None),
        }
    }

    /// Waits for the turn of one object.
    pub async fn turn(&self) {
        if self.interval.is_zero() {
            return;
        }
        let turn = self.next_turn(Instant::now());
        sleep_until(turn).await;
    }

    fn next_turn(&self, now: Instant) -> Instant {
        let turn = self.next.get().map_or(now, |next| next.max(now));
        self.next.set(Some(turn + self.interval));
        turn
    }
}

/// Set once, when a person asks for the end of a run: what is in flight is finished, nothing new
/// begins.
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

impl Stop {
    /// Asks for the end.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the end was asked for.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_evenly_spaced_and_a_pause_is_not_made_up_for() {
        let pace = Pace::new(Some(100));
        let start = Instant::now();
        assert_eq!(pace.next_turn(start), start);
        assert_eq!(pace.next_turn(start), start + Duration::from_millis(10));
        assert_eq!(pace.next_turn(start), start + Duration::from_millis(20));
        let later = start + Duration::from_secs(5);
        assert_eq!(pace.next_turn(later), later);
        assert_eq!(pace.next_turn(later), later + Duration::from_millis(10));
    }
}
