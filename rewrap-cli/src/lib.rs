//! `rewrap`: says which key protects what in etcd, brings every object to the current key next to
//! live apiservers without losing a write, and proves when an old key may be destroyed.
//!
//! From the outside in; imports only ever point down this list:
//!
//! * [`command`], one verb a file: what a person types and what it prints.
//! * [`session`]: from flags to an open store, the rules and the KMS providers.
//! * the engine: [`area`] and [`scope`] say what there is and what is meant, [`survey`] counts,
//!   [`watch`] looks on, [`stopped`] sees that nobody else writes, [`rewrap`] writes, [`keys`]
//!   unwraps DEK sources, [`scan`] and [`pace`] say how, [`journal`] keeps what was done,
//!   [`progress`] and [`metrics`] tell how it goes.
//! * [`store`], [`kms`] and [`apiserver`]: the only code that talks to anybody.
//! * [`explain`]: what kube-apiserver's error texts mean.
//! * [`config`]: the files that kube-apiserver reads, judged as it judges them.
//! * [`stored`]: what stored bytes mean. Start here.

pub mod apiserver;
pub mod area;
mod chain;

pub mod cli;
pub mod command;
pub mod config;
pub mod explain;
pub mod journal;
pub mod keys;
pub mod kms;
pub mod metrics;
pub mod pace;
mod printable;
pub mod progress;
pub mod report;
pub mod rewrap;
pub mod scan;
pub mod scope;
pub mod session;
mod spill;
pub mod stopped;
pub mod store;
pub mod stored;
pub mod survey;
pub mod watch;

#[cfg(test)]
#[path = "../../tests/support/damage.rs"]
mod damage;
