//! How fast it goes now, and not on average since the beginning.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// What "now" is.
const SPAN: Duration = Duration::from_secs(10);

/// Of looks that are nearer to each other the first is kept.
const STEP: Duration = Duration::from_millis(500);

/// A speed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    /// Objects per second.
    pub objects: f64,
    /// Bytes per second.
    pub bytes: f64,
}

/// Takes the speed over the last seconds.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// When there were how many objects and bytes; the oldest first.
    looks: VecDeque<(Instant, u64, u64)>,
}

impl Meter {
    /// What is done by now.
    pub(super) fn look(&mut self, now: Instant, objects: u64, bytes: u64) -> Rates {
        let is_near = |(at, ..): &(Instant, u64, u64)| now.duration_since(*at) < STEP;
        if !self.looks.back().is_some_and(is_near) {
            self.looks.push_back((now, objects, bytes));
        }
        // One that is older than the span stays, to span it.
        while self
            .looks
            .get(1)
            .is_some_and(|(at, ..)| now.duration_since(*at) >= SPAN)
        {
            self.looks.pop_front();
        }
        let Some((since, objects_then, bytes_then)) = self.looks.front() else {
            return Rates::default();
        };
        let seconds = now.duration_since(*since).as_secs_f64();
        if seconds == 0.0 {
            return Rates::default();
        }
        Rates {
            objects: objects.saturating_sub(*objects_then) as f64 / seconds,
            bytes: bytes.saturating_sub(*bytes_then) as f64 / seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_the_speed_of_the_last_seconds_in_few_looks() {
        let mut meter = Meter::default();
        let begin = Instant::now();
        let at = |milliseconds| begin + Duration::from_millis(milliseconds);
        assert_eq!(meter.look(begin, 7, 70), Rates::default());
        // A hundred a second for a minute, then nothing any more.
        for look in 1..=600 {
            let rates = meter.look(at(look * 100), 7 + look * 10, 70 + look * 100);
            assert!((rates.objects - 100.0).abs() < 1e-6, "{rates:?}");
            assert!((rates.bytes - 1000.0).abs() < 1e-6, "{rates:?}");
            assert!(meter.looks.len() <= 22, "{}", meter.looks.len());
        }
        let slower = meter.look(at(65_000), 6007, 60_070);
        assert!(slower.objects > 40.0 && slower.objects < 60.0, "{slower:?}");
        assert_eq!(meter.look(at(80_000), 6007, 60_070), Rates::default());
    }
}
