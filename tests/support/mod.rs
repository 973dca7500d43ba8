//! What end-to-end tests share.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    dead_code,
    reason = "every test binary compiles all of this and uses its part; `expect` would fail in the one that uses everything"
)]

pub(crate) mod etcd;
pub(crate) mod plugin;
pub(crate) mod proxy;

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
