//! Many objects in one transaction, and what is done while nobody else writes.

use rewrap_cli::store::{Store, StoreConfig, Swap, Together};

use crate::{
    open,
    support::{
        etcd::{Etcd, members::Members},
        proxy::{Mode, Proxy},
    },
};

fn key(number: usize) -> String {
    format!("/registry/secrets/default/{number:04}")
}

/// So many keys, each with the swap that brings it from `old` to `new`.
fn swaps(etcd: &Etcd, count: usize, size: usize) -> Vec<Swap> {
    let swap = |number| Swap {
        mod_revision: etcd.put(&key(number), b"old"),
        key: key(number).into(),
        value: [b"new".to_vec(), vec![0; size]].concat().into(),
        lease: 0,
    };
    (0..count).map(swap).collect()
}

fn values(etcd: &Etcd, begin: &[u8]) -> usize {
    let stored = etcd.list("/registry/secrets/");
    let with = stored
        .iter()
        .filter(|stored| stored.value.starts_with(begin));
    with.count()
}

#[tokio::test]
async fn all_are_put_at_one_revision_with_their_leases_or_none_is() {
    let etcd = Etcd::start();
    let store = open(&etcd).await;
    let mut swaps = swaps(&etcd, 128, 0);
    let lease = etcd.lease(600);
    swaps[7].lease = lease;
    let before = etcd.revision();

    // One of them is not what it was.
    let changed = etcd.put(&key(100), b"old");
    assert_eq!(store.put_together(&swaps).await.unwrap(), Together::Apart);
    assert_eq!(values(&etcd, b"new"), 0);

    swaps[100].mod_revision = changed;
    let done = Together::Done {
        revision: before + 2,
    };
    assert_eq!(store.put_together(&swaps).await.unwrap(), done);
    let stored = etcd.list("/registry/secrets/");
    for (number, stored) in stored.iter().enumerate() {
        assert_eq!(
            (&stored.value[..], stored.revision),
            (&b"new"[..], before + 2)
        );
        assert_eq!(stored.lease, if number == 7 { lease } else { 0 });
    }
}

#[tokio::test]
async fn what_etcd_does_not_take_together_is_to_be_put_apart() {
    let etcd = Etcd::start();
    let store = open(&etcd).await;
    for (count, size) in [(129, 0), (20, 100_000)] {
        let swaps = swaps(&etcd, count, size);
        assert_eq!(store.put_together(&swaps).await.unwrap(), Together::Apart);
    }
    let mut swaps = swaps(&etcd, 3, 0);
    swaps[1].lease = 7;
    assert_eq!(store.put_together(&swaps).await.unwrap(), Together::Apart);
    assert_eq!(store.put_together(&[]).await.unwrap(), Together::Apart);
    assert_eq!(values(&etcd, b"new"), 0);
}

#[tokio::test]
async fn an_answer_or_a_request_that_was_lost_is_found_out() {
    for mode in [Mode::LoseAnswers, Mode::LoseRequests] {
        let etcd = Etcd::start();
        let swaps = swaps(&etcd, 5, 0);
        let proxy = Proxy::start(etcd.port()).await;
        let config = StoreConfig::new(vec![proxy.endpoint()]);
        let store = Store::connect(config).await.unwrap();
        let revision = etcd.revision() + 1;
        proxy.set(mode);
        let put = tokio::spawn(async move { store.put_together(&swaps).await });
        if mode == Mode::LoseAnswers {
            while values(&etcd, b"new") == 0 {
                tokio::task::yield_now().await;
            }
        }
        proxy.has_lost().await;
        proxy.cut();
        assert_eq!(put.await.unwrap().unwrap(), Together::Done { revision });
        assert_eq!(values(&etcd, b"new"), 5);
    }
}

#[tokio::test]
async fn old_revisions_are_gone_after_a_compaction_which_may_be_asked_for_twice() {
    let etcd = Etcd::start();
    let store = open(&etcd).await;
    let old = etcd.put(&key(1), b"one");
    let new = etcd.put(&key(1), b"two");
    assert_eq!(etcd.value_at(&key(1), old).unwrap(), b"one");
    for _ in 0..2 {
        store.compact(new).await.unwrap();
    }
    let gone = etcd.value_at(&key(1), old).unwrap_err();
    assert!(gone.contains("has been compacted"), "{gone}");
    assert_eq!(etcd.value_at(&key(1), new).unwrap(), b"two");
}

#[tokio::test]
async fn the_leader_is_defragmented_last() {
    let members = Members::start();
    let config = StoreConfig::new(members.endpoints());
    let store = Store::connect(config).await.unwrap();
    let leader = members.endpoints().swap_remove(members.leader());
    let mut done = Vec::new();
    let each = |endpoint: &str| done.push(endpoint.to_owned());
    store.defragment(each).await.unwrap();
    assert_eq!(done.last(), Some(&leader));
    done.sort();
    let mut all = members.endpoints();
    all.sort();
    assert_eq!(done, all);
}
