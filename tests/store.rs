//! The store against a real etcd.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

#[path = "store/calls.rs"]
mod calls;
#[path = "store/connections.rs"]
mod connections;
#[path = "store/lies.rs"]
mod lies;
#[path = "store/lock.rs"]
mod lock;
#[path = "store/members.rs"]
mod members;
#[path = "store/scan.rs"]
mod scan;
#[path = "store/together.rs"]
mod together;
#[path = "store/watch.rs"]
mod watch;

use rewrap_cli::store::{Store, StoreConfig};
use support::etcd::Etcd;

async fn open(etcd: &Etcd) -> Store {
    Store::connect(StoreConfig::new(vec![etcd.endpoint()]))
        .await
        .unwrap()
}
