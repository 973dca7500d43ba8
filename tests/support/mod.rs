//! What end-to-end tests share.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    dead_code,
    reason = "every test binary compiles all of this and uses its part; `expect` would fail in the one that uses everything"
)]

pub(crate) mod apiserver;
pub(crate) mod aws_replies;
pub(crate) mod dice;
pub(crate) mod encryption;
pub(crate) mod envelope;
pub(crate) mod etcd;
pub(crate) mod gatehouse;
pub(crate) mod kine;
pub(crate) mod kube;
pub(crate) mod moto;
pub(crate) mod plugin;
pub(crate) mod proxy;
pub(crate) mod puppet;
pub(crate) mod rewrap;
pub(crate) mod sealed;
pub(crate) mod server;
pub(crate) mod slow;
pub(crate) mod softhsm;
pub(crate) mod vault;

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// Long enough for a loaded machine; a test that reaches it has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Waits for something to happen.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, happened: impl FnMut() -> Option<T>) -> T {
    within(DEADLINE, what, happened)
}

/// Waits for something that takes its time to happen.
#[track_caller]
pub(crate) fn within<T>(limit: Duration, what: &str, mut happened: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = happened() {
            return value;
        }
        assert!(start.elapsed() < limit, "never happened: {what}");
        sleep(Duration::from_millis(10));
    }
}
