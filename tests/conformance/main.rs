//! The main job on a real etcd and a real kube-apiserver. `make conformance` runs it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod agreement;
mod backend;
mod chaos;
mod churn;
mod clocks;
mod cluster;
mod collections;
mod explain;
mod gate;
mod kinds;
mod kine;
mod ledger;
mod loader;
mod matrix;
mod more;
mod roots;
mod rules;
mod stores;
mod story;
mod walks;

/// Says what a long test does next.
fn step(name: &str) {
    eprintln!("--- {name}");
}
