//! `rewrap` against a real etcd that holds what an apiserver would have stored.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod checkpoint;
mod config;
mod consolidate;
mod dek_type;
mod etcd;
mod gates;
mod kills;
mod kms_v1;
mod memory;
mod metrics;
mod order;
mod pace;
mod plan;
mod plugins;
mod progress;
mod ramp;
mod refusals;
mod retry;
mod safety;
mod snapshot;
mod status;
mod stopped;
mod store;
mod trail;
mod watch;
