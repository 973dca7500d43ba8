//! Walking a long prefix on every etcd: in exact ranges, and in one stream where etcd sends that.

use futures_util::{StreamExt, stream};
use rewrap_cli::{
    scan::Scan,
    store::{Put, Store, StoreConfig},
};

use crate::support::etcd::Etcd;

const PREFIX: &str = "/registry/secrets/";

#[tokio::test]
#[ignore = "needs etcd 3.4: make conformance"]
async fn a_walk_on_etcd_3_4() {
    walked("etcd-3.4", false).await;
}

mod every_store {
    use super::*;

    #[tokio::test]
    #[ignore = "needs etcd 3.5: make conformance-all"]
    async fn a_walk_on_etcd_3_5() {
        walked("etcd-3.5", false).await;
    }

    #[tokio::test]
    #[ignore = "make conformance-all"]
    async fn a_walk_on_etcd_3_6() {
        walked("etcd", false).await;
    }

    #[tokio::test]
    #[ignore = "needs etcd 3.7: make conformance-all"]
    async fn a_walk_on_etcd_3_7() {
        walked("etcd-3.7", true).await;
    }
}

/// More than the windows of a connection hold, in several namespaces.
const KEYS: usize = 12_000;
const SIZE: usize = 3000;

async fn walked(server: &'static str, streams: bool) {
    let etcd = Etcd::of(server);
    let mut config = StoreConfig::new(vec![etcd.endpoint()]);
    config.max_reply = 8 << 20;
    let store = Store::connect(config).await.unwrap();
    let keys: Vec<_> = (0..KEYS).map(key).collect();
    fill(&store, &keys, SIZE).await;

    // At one moment, while others write, and while this connection is used for more than the walk.
    let mut scan = Scan::new(&store, PREFIX);
    let mut seen = page(&mut scan).await.unwrap();
    etcd.put(&key(KEYS - 1), b"new");
    etcd.delete(&key(KEYS - 2));
    etcd.put(&key(KEYS + 1), b"new");
    while let Some(more) = page(&mut scan).await {
        seen.extend(more);
        // A walk that nobody goes on with must not hold it up: this would fail after 10 s.
        store.get(b"/registry/a").await.unwrap();
    }
    assert!(seen.iter().map(|(key, _)| key).eq(&keys));
    assert!(seen.iter().all(|(_, size)| *size == SIZE));
    assert_eq!(scan.anchors(), 1);
    assert_eq!(store.streams(), streams);

    // The revision goes while pages are under way.
    let mut scan = Scan::new(&store, PREFIX);
    let mut seen = Vec::new();
    for pages in 0.. {
        let Some(more) = page(&mut scan).await else {
            break;
        };
        seen.extend(more.into_iter().map(|(key, _)| key));
        if pages % 3 == 0 {
            etcd.compact(etcd.put("/registry/a", b"x"));
        }
    }
    assert!(scan.anchors() > 1);
    let mut keys = keys;
    keys.remove(KEYS - 2);
    seen.retain(|seen| *seen != key(KEYS - 2) && *seen != key(KEYS + 1));
    assert_eq!(seen, keys);

    // A server chooses the size of its parts by those before: small ones first, then large.
    let large: Vec<_> = (0..30)
        .map(|number| format!("{PREFIX}zebra/{number:02}"))
        .collect();
    fill(&store, &large, 1 << 20).await;
    let mut scan = Scan::new(&store, PREFIX);
    let mut sizes = Vec::new();
    while let Some(more) = page(&mut scan).await {
        sizes.extend(more.into_iter().map(|(_, size)| size));
    }
    assert_eq!(sizes.len(), KEYS + large.len());
    assert!(sizes.ends_with(&vec![1 << 20; large.len()]));
    assert_eq!(scan.anchors(), 1);
}

fn key(number: usize) -> String {
    format!("{PREFIX}team-{}/{number:05}", number / 2900)
}

/// The keys of a page, and how large their values are.
async fn page(scan: &mut Scan<'_>) -> Option<Vec<(String, usize)>> {
    let records = scan.next().await.unwrap()?;
    let named = records.into_iter().map(|record| {
        let key = String::from_utf8(record.key.to_vec()).unwrap();
        (key, record.value.len())
    });
    Some(named.collect())
}

async fn fill(store: &Store, keys: &[String], size: usize) {
    stream::iter(keys)
        .map(async |key| {
            let put = store.compare_and_put(key.as_bytes(), 0, vec![b'x'; size].into(), 0);
            assert!(matches!(put.await.unwrap(), Put::Done { .. }));
        })
        .buffer_unordered(64)
        .collect::<()>()
        .await;
}
