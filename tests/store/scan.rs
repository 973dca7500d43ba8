//! Walking a prefix.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use rewrap_cli::{
    scan::Scan,
    store::{Put, Store, StoreConfig, StoreError},
};

use crate::{open, support::etcd::Etcd};

const PREFIX: &str = "/registry/secrets/";

fn key(i: usize) -> String {
    format!("{PREFIX}default/{i:04}")
}

/// More than one page of keys, and neighbours that are not to be read.
fn fill(etcd: &Etcd, count: usize) -> i64 {
    etcd.put("/registry/secrets", b"before");
    etcd.put("/registry/secretstores/default/a", b"after");
    etcd.put("/registry/secrets0", b"after");
    let mut revision = 0;
    for i in 0..count {
        revision = etcd.put(&key(i), b"old");
    }
    revision
}

/// Everything that is left of a walk; a key that comes twice fails the test.
async fn rest(scan: &mut Scan<'_>) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    while let Some(page) = scan.next().await.unwrap() {
        assert!(!page.is_empty());
        for record in page {
            let key = String::from_utf8(record.key.to_vec()).unwrap();
            assert_eq!(all.insert(key, record.value.to_vec()), None);
        }
    }
    all
}

#[tokio::test]
async fn a_walk_sees_one_moment_while_others_write() {
    let etcd = Etcd::start();
    let store = open(&etcd).await;
    let revision = fill(&etcd, 700);
    let mut scan = Scan::new(&store, PREFIX);
    let first = scan.next().await.unwrap().unwrap();
    assert!(first.len() < 700);

    etcd.put(&key(0), b"new");
    etcd.put(&key(699), b"new");
    etcd.delete(&key(698));
    etcd.put(&key(9999), b"new");

    let rest = rest(&mut scan).await;
    let names: Vec<_> = first
        .iter()
        .map(|r| String::from_utf8(r.key.to_vec()).unwrap())
        .chain(rest.keys().cloned())
        .collect();
    assert_eq!(names, (0..700).map(key).collect::<Vec<_>>());
    assert!(rest.values().all(|value| value == b"old"));
    assert_eq!((scan.revision(), scan.anchors()), (revision, 1));
    assert_eq!(scan.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_walk_goes_on_where_its_revision_was_compacted() {
    let etcd = Etcd::start();
    let store = open(&etcd).await;
    fill(&etcd, 700);
    let mut scan = Scan::new(&store, PREFIX);
    let first = scan.next().await.unwrap().unwrap();

    etcd.put(&key(0), b"new");
    let last = etcd.put(&key(699), b"new");
    etcd.compact(last);

    let rest = rest(&mut scan).await;
    assert_eq!(scan.anchors(), 2);
    assert_eq!(scan.revision(), last);
    let expected: Vec<_> = (first.len()..700).map(key).collect();
    assert_eq!(rest.keys().cloned().collect::<Vec<_>>(), expected);
    assert_eq!(rest[&key(699)], b"new");
}

#[tokio::test]
async fn a_walk_may_begin_at_a_key_and_at_a_revision() {
    let etcd = Etcd::start();
    let store = open(&etcd).await;
    let revision = fill(&etcd, 10);
    etcd.put(&key(8), b"new");

    let mut scan = Scan::new(&store, PREFIX)
        .starting_at(key(7).as_bytes())
        .at_revision(revision);
    let seen = rest(&mut scan).await;
    assert_eq!(
        seen.keys().cloned().collect::<Vec<_>>(),
        [key(7), key(8), key(9)]
    );
    assert_eq!(seen[&key(8)], b"old");

    let mut scan = Scan::new(&store, PREFIX).keys_only();
    assert!(rest(&mut scan).await.values().all(Vec::is_empty));

    let mut scan = Scan::new(&store, PREFIX).starting_at(b"/registry/zzz");
    assert_eq!(scan.next().await.unwrap(), None);
    let mut scan = Scan::new(&store, "/registry/nothing/");
    assert_eq!(scan.next().await.unwrap(), None);
}

#[tokio::test]
async fn pages_shrink_until_they_fit() {
    let etcd = Etcd::start();
    for i in 0..12 {
        etcd.put(&key(i), &vec![b'x'; 300 << 10]);
    }
    let mut config = StoreConfig::new(vec![etcd.endpoint()]);
    config.max_reply = 1 << 20;
    let store = Store::connect(config).await.unwrap();
    let seen = rest(&mut Scan::new(&store, PREFIX)).await;
    assert_eq!(seen.len(), 12);
    assert!(seen.values().all(|value| value.len() == 300 << 10));

    let mut config = StoreConfig::new(vec![etcd.endpoint()]);
    config.max_reply = 100 << 10;
    let store = Store::connect(config).await.unwrap();
    let error = Scan::new(&store, PREFIX).next().await.unwrap_err();
    assert!(matches!(error, StoreError::ReplyTooLarge { .. }), "{error}");
}

/// With pages that are read ahead, writers on both sides of the walk, and a compaction after every page.
#[tokio::test]
async fn what_exists_all_the_time_comes_once_however_often_its_revision_goes() {
    const KEYS: usize = 6000;
    let etcd = Etcd::start();
    let store = open(&etcd).await;
    let key = |number: usize| format!("{PREFIX}team-{}/{number:05}", number / 900);
    let puts = (0..KEYS).map(|number| {
        let (store, key) = (store.clone(), key(number));
        async move {
            let put = store.compare_and_put(key.as_bytes(), 0, vec![b'x'; 900].into(), 0);
            assert!(matches!(put.await.unwrap(), Put::Done { .. }));
        }
    });
    stream::iter(puts)
        .buffer_unordered(64)
        .collect::<()>()
        .await;

    let mut scan = Scan::new(&store, PREFIX);
    let all = rest(&mut scan).await;
    assert!(all.keys().cloned().eq((0..KEYS).map(key)));
    assert_eq!(scan.anchors(), 1);

    let mut scan = Scan::new(&store, PREFIX);
    let (mut seen, mut pages) = (Vec::new(), 0);
    while let Some(page) = scan.next().await.unwrap() {
        seen.extend(
            page.iter()
                .map(|r| String::from_utf8(r.key.to_vec()).unwrap()),
        );
        pages += 1;
        // One key before the walk goes, and one behind it.
        if pages <= 3 {
            etcd.delete(&key(pages));
            etcd.delete(&key(KEYS - pages));
        }
        etcd.compact(etcd.put("/registry/pods/a", b"x"));
    }
    assert!(pages > 4 && scan.anchors() > 2, "{pages} pages");
    let expected: Vec<_> = (0..KEYS - 3).map(key).collect();
    assert!(seen.is_sorted_by(|one, next| one < next));
    seen.retain(|key| key <= expected.last().unwrap());
    assert_eq!(seen, expected);
}
