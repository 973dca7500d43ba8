//! What end-to-end tests share.

pub(crate) mod plugin;

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// Long enough for a loaded machine; a test that reaches it has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Waits for something to happen.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut happened: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = happened() {
            return value;
        }
        assert!(start.elapsed() < DEADLINE, "never happened: {what}");
        sleep(Duration::from_millis(10));
    }
}
