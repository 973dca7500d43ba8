//! `rewrap`: says which key protects what in etcd, brings every object to the current key next to
//! live apiservers without losing a write, and proves when an old key may be destroyed.
//!
//! Start with [`stored`]: what stored bytes mean; [`config`] reads the files that say which key
//! protects what.

pub mod config;
pub mod kms;
pub mod scan;
pub mod store;
pub mod stored;
