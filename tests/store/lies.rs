//! Answers that cannot be true are errors, not results.

use rewrap_cli::{
    scan::Scan,
    store::{Put, Store, StoreConfig, StoreError, Swap, Together},
};

use crate::support::etcd::{
    Etcd,
    liar::{Liar, Lie},
};

const PREFIX: &str = "/registry/clusterroles/";
const KEY: &str = "/registry/clusterroles/a_b";

/// An etcd with more keys than a page holds, what stands before it, and a store that is open through
/// it.
async fn through(lie: Lie) -> (Etcd, Liar, Store) {
    let etcd = Etcd::start();
    for number in 0..700 {
        etcd.put(&format!("{PREFIX}{number:04}"), b"x");
    }
    let liar = Liar::start(&etcd, lie);
    let config = StoreConfig::new(vec![liar.endpoint()]);
    let store = Store::connect(config).await.unwrap();
    (etcd, liar, store)
}

/// How a walk ends, and how many keys it delivered.
async fn walk(store: &Store) -> (Result<(), StoreError>, usize) {
    let mut scan = Scan::new(store, PREFIX);
    let mut seen = 0;
    loop {
        match scan.next().await {
            Ok(Some(page)) => seen += page.len(),
            Ok(None) => return (Ok(()), seen),
            Err(error) => return (Err(error), seen),
        }
    }
}

#[tokio::test]
async fn what_is_passed_on_as_it_is_is_believed() {
    let (_etcd, _liar, store) = through(Lie::Reads(|_| ())).await;
    let (ended, seen) = walk(&store).await;
    ended.unwrap();
    assert_eq!(seen, 700);
}

#[tokio::test]
async fn a_walk_that_lacks_a_key_has_no_end() {
    let lie = Lie::Reads(|answer| drop(answer.kvs.pop()));
    let (_etcd, _liar, store) = through(lie).await;
    let (ended, seen) = walk(&store).await;
    let error = ended.unwrap_err();
    assert!(seen < 700);
    assert!(
        matches!(error, StoreError::Miscounted { counted: 700, .. }),
        "{error}"
    );
    assert_eq!(error.exit_code(), 2);
}

#[tokio::test]
async fn a_page_is_in_order() {
    let lie = Lie::Reads(|answer| answer.kvs.reverse());
    let (_etcd, _liar, store) = through(lie).await;
    let error = walk(&store).await.0.unwrap_err();
    assert!(matches!(error, StoreError::Disorder { .. }), "{error}");
}

#[tokio::test]
async fn another_key_is_no_answer() {
    let lie = Lie::Reads(|answer| {
        for kv in &mut answer.kvs {
            kv.key = "/registry/clusterroles/a-b".into();
        }
    });
    let (etcd, _liar, store) = through(lie).await;
    etcd.put(KEY, b"x");
    let error = store.get(KEY.as_bytes()).await.unwrap_err();
    assert!(matches!(error, StoreError::OtherKey { .. }), "{error}");
}

#[tokio::test]
async fn a_write_that_nobody_stopped_and_nobody_made_is_told() {
    let (etcd, _liar, store) = through(Lie::Writes).await;
    let revision = etcd.put(KEY, b"x");
    let error = store
        .compare_and_put(KEY.as_bytes(), revision, "y".into(), 0)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::NotWritten { .. }), "{error}");
    assert_eq!(etcd.get(KEY).unwrap().0, b"x");
}

#[tokio::test]
async fn a_write_that_comes_late_is_ours_all_the_same() {
    let (etcd, _liar, store) = through(Lie::Late).await;
    let key = |number: usize| format!("{PREFIX}{number:04}");
    let revisions = [1, 2].map(|number| etcd.put(&key(number), b"old"));
    let revision = etcd.revision() + 1;
    let done = store
        .compare_and_put(key(1).as_bytes(), revisions[0], "new".into(), 0)
        .await;
    assert_eq!(done.unwrap(), Put::Done { revision });

    let swap = |number: usize, mod_revision| Swap {
        key: key(number).into(),
        mod_revision,
        value: "newer".into(),
        lease: 0,
    };
    let swaps = [swap(1, revision), swap(2, revisions[1])];
    let revision = revision + 1;
    let done = store.put_together(&swaps).await;
    assert_eq!(done.unwrap(), Together::Done { revision });
    assert_eq!(etcd.revision(), revision);
}
