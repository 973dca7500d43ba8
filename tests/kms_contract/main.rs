//! The KMS v2 contract, tried on our own plugin, on Go's reference service, and on plugins that
//! break it. `make kms-contract SOCKET=...` tries it on any plugin.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod contract;
mod faults;
mod faulty;
mod ours;
mod page;
mod reference;
