//! `rewrap`: says which key protects what in etcd, brings every object to the current key next to
//! live apiservers without losing a write, and proves when an old key may be destroyed.
//!
//! Start with [`stored`]: what stored bytes mean.

pub mod kms;
pub mod scan;
pub mod store;
pub mod stored;
