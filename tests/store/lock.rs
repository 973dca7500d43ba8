//! The lock that keeps two runs apart.

use std::time::Duration;

use rewrap_cli::store::StoreError;

use crate::{open, support::etcd::Etcd};

const KEY: &[u8] = b"/ringfence.dev/rewrap.lock";
const TTL: Duration = Duration::from_secs(3);

#[tokio::test]
async fn only_one_holds_the_lock() {
    let etcd = Etcd::start();
    let (one, other) = (open(&etcd).await, open(&etcd).await);
    let lock = one.lock(KEY, "host-1, process 7", TTL).await.unwrap();

    let error = other.lock(KEY, "host-2", TTL).await.unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("host-1, process 7"), "{error}");
    assert_eq!(error.exit_code(), 5);

    lock.release().await.unwrap();
    assert_eq!(one.get(KEY).await.unwrap(), None);
    let lock = other.lock(KEY, "host-2", TTL).await.unwrap();

    // Dropping gives it back too, a moment later.
    drop(lock);
    while one.get(KEY).await.unwrap().is_some() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_lock_outlives_its_first_lease_only_while_it_is_held() {
    let etcd = Etcd::start();
    let store = open(&etcd).await;

    // A holder in a runtime of its own, which then stops dead, as if the process had been killed.
    let endpoint = etcd.endpoint();
    let holder = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let lock = runtime.block_on(async {
            let config = rewrap_cli::store::StoreConfig::new(vec![endpoint]);
            let store = rewrap_cli::store::Store::connect(config).await.unwrap();
            let lock = store.lock(KEY, "killed", TTL).await.unwrap();
            let first = store.get(KEY).await.unwrap().unwrap();
            // Twice the lease's life: without renewal it would be gone.
            tokio::time::sleep(TTL * 2).await;
            assert_eq!(store.get(KEY).await.unwrap(), Some(first));
            lock
        });
        runtime.shutdown_background();
        drop(lock);
    });
    holder.join().unwrap();

    assert!(store.get(KEY).await.unwrap().is_some());
    let error = store.lock(KEY, "next", TTL).await.unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    let lock = loop {
        match store.lock(KEY, "next", TTL).await {
            Ok(lock) => break lock,
            Err(StoreError::Locked { .. }) => tokio::time::sleep(TTL / 10).await,
            Err(error) => panic!("{error}"),
        }
    };
    lock.release().await.unwrap();
}

#[tokio::test]
async fn a_lost_lock_is_told() {
    let etcd = Etcd::start();
    let store = open(&etcd).await;
    let lock = store.lock(KEY, "us", TTL).await.unwrap();
    let lease = store.get(KEY).await.unwrap().unwrap().lease;
    assert!(
        tokio::time::timeout(Duration::from_millis(10), lock.lost())
            .await
            .is_err()
    );
    etcd.revoke(lease);
    lock.lost().await;
}
