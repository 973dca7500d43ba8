//! What was written in the last minute, as far as a run can know.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// An object that was left alone for so long may be rewritten without getting into somebody's way.
const QUIET: Duration = Duration::from_secs(60);

/// The least time between two marks: no more than a minute's worth of them is kept.
const BETWEEN: Duration = Duration::from_secs(1);

/// Marks of the time at which a store was at a revision: etcd does not tell when one was written. A
/// run knows nothing of the time before it began, so what is older counts as quiet.
#[derive(Debug, Default)]
pub(super) struct Recent {
    marks: VecDeque<(Instant, i64)>,
}

impl Recent {
    /// The store is at this revision now.
    pub(super) fn mark(&mut self, revision: i64, now: Instant) {
        let last = self.marks.back().map(|(time, _)| *time);
        if last.is_none_or(|last| now.duration_since(last) >= BETWEEN) {
            self.marks.push_back((now, revision));
        }
        // The newest of those that are a minute old is the one to compare with.
        while self
            .marks
            .get(1)
            .is_some_and(|(time, _)| is_quiet(*time, now))
        {
            self.marks.pop_front();
        }
    }

    /// Whether what has this revision was written since the run began, and in the last minute.
    pub(super) fn holds(&self, revision: i64, now: Instant) -> bool {
        let mut old = self.marks.iter().rev();
        let mark = old
            .find(|(time, _)| is_quiet(*time, now))
            .or_else(|| self.marks.front());
        mark.is_some_and(|(_, mark)| revision > *mark)
    }
}

fn is_quiet(time: Instant, now: Instant) -> bool {
    now.duration_since(time) >= QUIET
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_was_written_in_the_last_minute_is_recent() {
        let begin = Instant::now();
        let mut recent = Recent::default();
        assert!(!recent.holds(1, begin), "nothing is known");
        // Ten revisions a second.
        for second in 0..200 {
            let now = begin + SECOND * second;
            recent.mark(1000 + i64::from(second) * 10, now);
            assert!(recent.marks.len() <= 62);
            let minute_ago = 1000 + i64::from(second.saturating_sub(60)) * 10;
            assert!(!recent.holds(minute_ago, now), "second {second}");
            assert!(recent.holds(minute_ago + 1, now), "second {second}");
        }
    }

    #[test]
    fn marks_are_not_made_too_often() {
        let begin = Instant::now();
        let mut recent = Recent::default();
        for (millis, revision) in [(0, 10), (500, 20), (999, 30), (1000, 40)] {
            recent.mark(revision, begin + Duration::from_millis(millis));
        }
        assert_eq!(recent.marks.len(), 2);
        assert!(recent.holds(11, begin + SECOND));
        assert!(!recent.holds(10, begin + SECOND));
        // A minute later what was written until the last mark is quiet.
        assert!(!recent.holds(40, begin + SECOND * 61));
        assert!(recent.holds(41, begin + SECOND * 61));
    }
}
