//! The main job on a real etcd and a real kube-apiserver. `make conformance` runs it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod churn;
mod cluster;
mod gate;
mod ledger;
mod loader;
mod outage;
mod story;
