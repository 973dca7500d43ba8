use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);
const CALM: Duration = Duration::from_millis(25);

/// A store of which every answer takes as long as `latency` says for what is in flight.
struct Played {
    window: Window,
    now: Instant,
}

impl Played {
    fn new(max: u32) -> Self {
        Self {
            window: Window::new(max, CALM),
            now: Instant::now(),
        }
    }

    /// Keeps as many in flight as may be, in waves, for so long.
    fn play(&mut self, time: Duration, latency: impl Fn(u32) -> Duration) {
        let end = self.now + time;
        while self.now < end {
            let (sent, count) = (self.now, self.window.limit());
            for in_flight in 1..=count {
                self.window.sent(in_flight, sent);
            }
            self.now += latency(count);
            for _ in 0..count {
                self.window.answered(sent, self.now, Sign::Calm);
            }
        }
    }
}

#[test]
fn it_grows_to_the_most_while_latency_holds() {
    for (max, first) in [(1, 1), (3, 3), (16, 4), (64, 16), (500, 16)] {
        assert_eq!(Played::new(max).window.limit(), first, "of {max}");
    }
    let mut played = Played::new(64);
    played.play(2000 * MS, |_| 2 * MS);
    assert_eq!(played.window.limit(), 64);
    assert_eq!(played.window.backed_off(), 0);
}

#[test]
fn a_queue_of_our_own_is_no_reason_to_back_off() {
    let mut played = Played::new(256);
    // 4,000 a second whatever is in flight.
    played.play(Duration::from_secs(20), |in_flight| in_flight * MS / 4);
    assert_eq!(played.window.limit(), 256);
    assert_eq!(played.window.backed_off(), 0);
}

#[test]
fn it_backs_off_while_answers_are_late_and_grows_one_by_one_after() {
    let mut played = Played::new(16);
    played.play(Duration::from_secs(2), |_| 10 * MS);
    assert_eq!(played.window.limit(), 16);
    played.play(Duration::from_secs(10), |_| 200 * MS);
    assert_eq!(played.window.limit(), 1);
    assert_eq!(played.window.backed_off(), 4, "16, 8, 4, 2, 1");
    let mut last = 1;
    for _ in 0..400 {
        played.play(50 * MS, |_| 10 * MS);
        let limit = played.window.limit();
        assert!((last..=last + 1).contains(&limit), "{last} then {limit}");
        last = limit;
    }
    assert_eq!(played.window.limit(), 16);
}

#[test]
fn three_times_the_baseline_is_borne_and_more_is_not() {
    for (late, backs_off) in [(59, false), (61, true)] {
        let mut played = Played::new(4);
        played.play(Duration::from_secs(1), |_| 20 * MS);
        played.play(400 * MS, |_| late * MS);
        played.play(Duration::from_secs(2), |_| late * MS);
        assert_eq!(played.window.backed_off() > 0, backs_off, "{late} ms");
    }
}

#[test]
fn what_nobody_minds_is_never_held_against_the_store() {
    let mut played = Played::new(16);
    played.play(Duration::from_secs(2), |_| MS);
    played.play(Duration::from_secs(10), |_| 24 * MS);
    assert_eq!((played.window.limit(), played.window.backed_off()), (16, 0));
}

#[test]
fn a_store_that_is_slower_for_good_is_taken_as_it_is_in_the_end() {
    let mut played = Played::new(16);
    played.play(Duration::from_secs(2), |_| 10 * MS);
    played.play(Duration::from_secs(10), |_| 200 * MS);
    assert_eq!(played.window.limit(), 1);
    played.play(Duration::from_secs(600), |_| 200 * MS);
    assert_eq!(played.window.limit(), 16);
}

#[test]
fn one_sign_of_strain_halves_once_however_many_were_in_flight() {
    let mut played = Played::new(16);
    played.play(Duration::from_secs(2), |_| MS);
    let sent = played.now;
    for in_flight in 1..=16 {
        played.window.sent(in_flight, sent);
    }
    let later = sent + MS;
    for _ in 0..16 {
        played.window.answered(sent, later, Sign::Strained);
    }
    assert_eq!((played.window.limit(), played.window.backed_off()), (8, 1));
    // One that was sent after it.
    played.window.sent(1, later);
    played.window.answered(later, later + MS, Sign::Strained);
    assert_eq!((played.window.limit(), played.window.backed_off()), (4, 2));
}

#[test]
fn what_is_not_used_does_not_grow() {
    let mut window = Window::new(16, CALM);
    let mut now = Instant::now();
    for _ in 0..10_000 {
        window.sent(1, now);
        window.answered(now, now + MS, Sign::Calm);
        now += MS;
    }
    assert_eq!(window.limit(), 4);
}

proptest! {
    #[test]
    fn whatever_happens_something_goes_on_and_never_too_much(
        max in 1..300u32,
        answers in prop::collection::vec((0..3000u64, 0..400u32, any::<bool>()), 1..600),
    ) {
        let mut window = Window::new(max, CALM);
        let mut now = Instant::now();
        for (late, in_flight, strained) in answers {
            window.sent(in_flight, now);
            let sent = now;
            now += Duration::from_millis(late);
            let before = window.limit();
            let sign = if strained { Sign::Strained } else { Sign::Calm };
            window.answered(sent, now, sign);
            prop_assert!((1..=max).contains(&window.limit()));
            prop_assert!(window.limit() >= before / 2);
        }
    }
}
