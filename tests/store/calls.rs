//! Reads and compare-and-put, and what etcd refuses.

use rewrap_cli::store::{Put, RangeOptions, Store, StoreConfig, StoreError};

use crate::{
    open,
    support::{
        etcd::Etcd,
        proxy::{Mode, Proxy},
    },
};

const KEY: &str = "/registry/secrets/default/a";

#[tokio::test]
async fn a_put_needs_the_revision_that_was_read() {
    let etcd = Etcd::start();
    let store = open(&etcd).await;
    let first = etcd.put(KEY, b"one");

    let record = store.get(KEY.as_bytes()).await.unwrap().unwrap();
    assert_eq!(record.value, "one");
    assert_eq!(
        (record.mod_revision, record.create_revision, record.lease),
        (first, first, 0)
    );

    let put = store
        .compare_and_put(&record.key, first, "two".into(), 0)
        .await
        .unwrap();
    let second = first + 1;
    assert_eq!(put, Put::Done { revision: second });
    assert_eq!(etcd.get(KEY).unwrap().0, b"two");

    // At the old revision again, even with the bytes that are stored: somebody wrote since.
    for value in ["three", "two"] {
        let put = store
            .compare_and_put(&record.key, first, value.into(), 0)
            .await
            .unwrap();
        let Put::Lost(Some(now)) = put else {
            panic!("{put:?}")
        };
        assert_eq!((&now.value[..], now.mod_revision), (&b"two"[..], second));
    }

    etcd.delete(KEY);
    let put = store
        .compare_and_put(&record.key, second, "three".into(), 0)
        .await
        .unwrap();
    assert_eq!(put, Put::Lost(None));
    assert_eq!(etcd.get(KEY), None);
}

#[tokio::test]
async fn a_put_carries_the_lease() {
    let etcd = Etcd::start();
    let store = open(&etcd).await;
    let lease = etcd.lease(600);
    etcd.put_with_lease(KEY, b"one", lease);

    let record = store.get(KEY.as_bytes()).await.unwrap().unwrap();
    assert_eq!(record.lease, lease);
    store
        .compare_and_put(&record.key, record.mod_revision, "two".into(), record.lease)
        .await
        .unwrap();
    assert_eq!(etcd.get(KEY).unwrap(), (b"two".to_vec(), lease));

    etcd.revoke(lease);
    assert_eq!(etcd.get(KEY), None);

    let revision = etcd.put(KEY, b"three");
    let error = store
        .compare_and_put(KEY.as_bytes(), revision, "four".into(), lease)
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::LeaseNotFound { lease: l } if l == lease),
        "{error}"
    );
}

#[tokio::test]
async fn ranges_say_what_they_left_out() {
    let etcd = Etcd::start();
    let store = open(&etcd).await;
    for name in ["a", "b", "c"] {
        etcd.put(&format!("/registry/pods/{name}"), b"x");
    }
    let last = etcd.put("/registry/podtemplates/a", b"x");

    let options = RangeOptions::prefix(b"/registry/pods/");
    let page = store
        .range(RangeOptions {
            limit: 2,
            keys_only: true,
            ..options.clone()
        })
        .await
        .unwrap();
    let keys: Vec<_> = page.records.iter().map(|r| &r.key[..]).collect();
    assert_eq!(keys, [&b"/registry/pods/a"[..], b"/registry/pods/b"]);
    assert!(page.records.iter().all(|r| r.value.is_empty()));
    assert_eq!((page.more, page.count, page.revision), (true, 3, last));

    let page = store
        .range(RangeOptions {
            count_only: true,
            revision: last - 2,
            ..options
        })
        .await
        .unwrap();
    assert_eq!((page.records.len(), page.count), (0, 2));
}

#[tokio::test]
async fn a_compacted_revision_is_named() {
    let etcd = Etcd::start();
    let store = open(&etcd).await;
    let first = etcd.put(KEY, b"one");
    let second = etcd.put(KEY, b"two");
    etcd.compact(second);
    let error = store
        .range(RangeOptions {
            revision: first,
            ..RangeOptions::one(KEY.as_bytes())
        })
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::Compacted { revision } if revision == first),
        "{error}"
    );
}

#[tokio::test]
async fn a_value_beyond_the_request_limit_is_refused_by_name_and_size() {
    let etcd = Etcd::start();
    let store = open(&etcd).await;
    let revision = etcd.put(KEY, b"one");
    // etcd itself refuses the first, its gRPC server the second.
    for size in [(3 << 20) / 2 + 1, 4 << 20] {
        let error = store
            .compare_and_put(KEY.as_bytes(), revision, vec![0; size].into(), 0)
            .await
            .unwrap_err();
        assert!(
            matches!(error, StoreError::TooLarge { size: s, .. } if s == size),
            "{error}"
        );
        assert!(error.to_string().contains(KEY), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
    assert_eq!(etcd.get(KEY).unwrap().0, b"one");
}

#[tokio::test]
async fn a_full_database_is_told_apart() {
    let etcd = Etcd::start_with(&["--quota-backend-bytes=4194304"]);
    let store = open(&etcd).await;
    let mut revision = 0;
    let error = loop {
        let put = store
            .compare_and_put(KEY.as_bytes(), revision, vec![0; 1 << 20].into(), 0)
            .await;
        match put {
            Ok(Put::Done { revision: next }) => revision = next,
            Ok(Put::Lost(_)) => panic!("nobody else writes"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::NoSpace), "{error}");
    // What is there can still be read, and the status says why no more can be written.
    assert_eq!(
        etcd.get(KEY).is_some(),
        store.get(KEY.as_bytes()).await.unwrap().is_some()
    );
    let status = store.status().await.remove(0).unwrap();
    assert_eq!(status.quota, Some(4 << 20));
    assert!(status.problems.join(" ").contains("NOSPACE"), "{status:?}");
}

/// A store behind a proxy, a key at its first revision, and the proxy told what to lose.
async fn behind_proxy(etcd: &Etcd, mode: Mode) -> (Proxy, Store, i64) {
    let proxy = Proxy::start(etcd.port()).await;
    let store = Store::connect(StoreConfig::new(vec![proxy.endpoint()]))
        .await
        .unwrap();
    let revision = etcd.put(KEY, b"one");
    proxy.set(mode);
    (proxy, store, revision)
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_found_done() {
    let etcd = Etcd::start();
    let (proxy, store, revision) = behind_proxy(&etcd, Mode::LoseAnswers).await;
    let put = tokio::spawn(async move {
        store
            .compare_and_put(KEY.as_bytes(), revision, "two".into(), 0)
            .await
    });
    while etcd.get(KEY).unwrap().0 != b"two" {
        tokio::task::yield_now().await;
    }
    proxy.cut();
    let done = revision + 1;
    assert_eq!(put.await.unwrap().unwrap(), Put::Done { revision: done });
}

#[tokio::test]
async fn a_write_that_was_lost_is_sent_again_once_the_key_was_read() {
    let etcd = Etcd::start();
    let (proxy, store, revision) = behind_proxy(&etcd, Mode::LoseRequests).await;
    let put = tokio::spawn(async move {
        store
            .compare_and_put(KEY.as_bytes(), revision, "two".into(), 0)
            .await
    });
    proxy.has_lost().await;
    proxy.cut();
    let done = revision + 1;
    assert_eq!(put.await.unwrap().unwrap(), Put::Done { revision: done });
    assert_eq!(etcd.get(KEY).unwrap().0, b"two");
}

#[tokio::test]
async fn a_write_that_was_lost_never_overwrites_another() {
    let etcd = Etcd::start();
    let (proxy, store, revision) = behind_proxy(&etcd, Mode::LoseRequests).await;
    let put = tokio::spawn(async move {
        store
            .compare_and_put(KEY.as_bytes(), revision, "two".into(), 0)
            .await
    });
    proxy.has_lost().await;
    etcd.put(KEY, b"theirs");
    proxy.cut();
    let put = put.await.unwrap().unwrap();
    assert!(
        matches!(&put, Put::Lost(Some(now)) if now.value == "theirs"),
        "{put:?}"
    );
    assert_eq!(etcd.get(KEY).unwrap().0, b"theirs");
}
