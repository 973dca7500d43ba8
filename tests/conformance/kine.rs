//! What kine does in its own way: the newest one, and the oldest that a supported k3s has.

use std::{collections::BTreeMap, time::Duration};

use rewrap_cli::{
    scan::Scan,
    store::{Change, Kind, Put, RangeOptions, Store, StoreConfig, StoreError, TlsFiles},
};

use crate::support::{etcd::Certificates, eventually, kine::Kine};

mod rewrap;

const PREFIX: &str = "/registry/secrets/";
const LOCK: &[u8] = b"/ringfence.dev/rewrap.lock";
const TTL: Duration = Duration::from_secs(3);

/// Every test for both.
macro_rules! tests {
    ($($name:ident),*) => {
        $(
            #[tokio::test]
            #[ignore = "needs kine: make conformance"]
            async fn $name() {
                on::$name("kine").await;
            }
        )*

        mod every_store {
            $(
                #[tokio::test]
                #[ignore = "needs kine 0.13: make conformance-all"]
                async fn $name() {
                    super::on::$name("kine-0.13").await;
                }
            )*
        }
    };
}

tests! {
    a_walk_sees_one_moment_while_others_write,
    a_walk_is_never_of_two_moments,
    ranges_begin_at_a_directory_or_at_a_key,
    a_put_needs_the_revision_that_was_read,
    a_watch_tells_every_write,
    a_lease_is_a_time_from_the_newest_write,
    only_one_holds_the_lock_and_only_while_it_keeps_it,
    a_lost_lock_is_told,
    names_that_are_alike_are_never_mistaken,
    tls_on_a_socket_is_for_the_name_of_its_file,
    every_verb_says_what_kine_cannot_do
}

mod on {
    pub(super) use super::rewrap::every_verb_says_what_kine_cannot_do;
    use super::*;

    pub(super) async fn a_walk_sees_one_moment_while_others_write(server: &'static str) {
        let (_kine, store) = start(server).await;
        let mut revisions = BTreeMap::new();
        for number in 0..700 {
            revisions.insert(key(number), create(&store, &key(number), "old").await);
        }
        create(&store, "/registry/secretstores/default/a", "after").await;
        let mut scan = Scan::new(&store, PREFIX);
        let first = scan.next().await.unwrap().unwrap();
        assert!(first.len() < 700);

        for changed in [key(0), key(699)] {
            let put = put(&store, &changed, revisions[&changed], "new").await;
            assert!(matches!(put, Put::Done { .. }), "{put:?}");
        }
        create(&store, &key(9999), "new").await;

        let mut seen: Vec<_> = first.iter().map(|record| record.key.clone()).collect();
        while let Some(page) = scan.next().await.unwrap() {
            assert!(page.iter().all(|record| record.value == "old"));
            seen.extend(page.iter().map(|record| record.key.clone()));
        }
        assert_eq!(seen, (0..700).map(key).collect::<Vec<_>>());
        assert_eq!(scan.anchors(), 1);

        let mut now = Scan::new(&store, PREFIX);
        let mut new = 0;
        while let Some(page) = now.next().await.unwrap() {
            new += page.iter().filter(|record| record.value == "new").count();
        }
        assert_eq!(new, 3);
    }

    /// Also while the first page is being read.
    pub(super) async fn a_walk_is_never_of_two_moments(server: &'static str) {
        let (_kine, store) = start(server).await;
        let (mut first, mut last) = (0, 0);
        for number in 0..700 {
            last = create(&store, &key(number), "0").await;
            first = if number == 0 { last } else { first };
        }
        let writer = store.clone();
        let writing = tokio::spawn(async move {
            // Never is the last key ahead of the first.
            for number in 1.. {
                for (key, revision) in [(key(0), &mut first), (key(699), &mut last)] {
                    match put(&writer, &key, *revision, number.to_string()).await {
                        Put::Done { revision: written } => *revision = written,
                        lost @ Put::Lost(_) => panic!("{lost:?}"),
                    }
                }
            }
        });
        for _ in 0..100 {
            let mut numbers = BTreeMap::new();
            let mut scan = Scan::new(&store, PREFIX);
            while let Some(page) = scan.next().await.unwrap() {
                for record in page {
                    let number = std::str::from_utf8(&record.value).unwrap();
                    numbers.insert(record.key, number.parse::<u64>().unwrap());
                }
            }
            let (first, last) = (numbers[key(0).as_bytes()], numbers[key(699).as_bytes()]);
            assert!(first == last || first == last + 1, "{first} and {last}");
        }
        assert!(!writing.is_finished(), "the writer failed");
        writing.abort();
    }

    pub(super) async fn a_watch_tells_every_write(server: &'static str) {
        let (_kine, store) = start(server).await;
        create(&store, &key(0), "before").await;
        let from = create(&store, &key(1), "1").await;
        create(&store, "/other/secrets/default/a", "outside").await;
        put(&store, &key(1), from, "2".to_owned()).await;
        let mut watch = store.watch(b"/registry/", from);
        let mut told = Vec::new();
        while told.len() < 2 {
            let changes = tokio::time::timeout(Duration::from_secs(60), watch.next());
            told.extend(changes.await.expect("nothing is told").unwrap());
        }
        let values: Vec<_> = told
            .iter()
            .map(|change| match change {
                Change::Put(record) => &record.value[..],
                Change::Deleted { .. } => panic!("{change:?}"),
            })
            .collect();
        assert_eq!(values, [b"1", b"2"]);
    }

    pub(super) async fn ranges_begin_at_a_directory_or_at_a_key(server: &'static str) {
        let (_kine, store) = start(server).await;
        let mut revision = 0;
        for number in 0..5 {
            revision = create(&store, &key(number), "x").await;
        }
        let last = create(&store, &key(5), "x").await;

        let all = RangeOptions::prefix(PREFIX.as_bytes());
        let from = |number| RangeOptions {
            key: key(number).into(),
            limit: 2,
            ..all.clone()
        };
        let keys_only = RangeOptions {
            keys_only: true,
            ..from(2)
        };
        let page = store.range(keys_only).await.unwrap();
        let keys: Vec<_> = page.records.iter().map(|r| &r.key[..]).collect();
        // One more than asked for does no harm, one less would.
        assert!(keys.starts_with(&[key(2).as_bytes(), key(3).as_bytes()]));
        assert!(page.more && page.records.iter().all(|r| r.value.is_empty()));
        let before = RangeOptions {
            revision,
            ..from(4)
        };
        let page = store.range(before).await.unwrap();
        let keys: Vec<_> = page.records.iter().map(|r| &r.key[..]).collect();
        assert_eq!(keys, [key(4).as_bytes()]);

        let count = RangeOptions {
            count_only: true,
            ..all.clone()
        };
        let page = store.range(count).await.unwrap();
        assert_eq!(
            (page.records.len(), page.count, page.revision),
            (0, 6, last)
        );
        let missing = store.get(key(6).as_bytes()).await.unwrap();
        assert_eq!(missing, None);

        // Neither a directory nor a key: older kine would answer with nothing at all.
        let all_keys = RangeOptions {
            key: b"\0".into(),
            range_end: b"\0".into(),
            ..RangeOptions::default()
        };
        let error = store.range(all_keys).await.unwrap_err();
        assert!(matches!(error, StoreError::Unsupported { .. }), "{error}");
    }

    pub(super) async fn a_put_needs_the_revision_that_was_read(server: &'static str) {
        let (kine, store) = start(server).await;
        let first = create(&store, &key(0), "one").await;
        let done = put(&store, &key(0), first, "two").await;
        let Put::Done { revision: second } = done else {
            panic!("{done:?}")
        };
        assert!(second > first);
        // At the old revision again, even with the bytes that are stored: somebody wrote since.
        for value in ["three", "two"] {
            let lost = put(&store, &key(0), first, value).await;
            let Put::Lost(Some(now)) = lost else {
                panic!("{lost:?}")
            };
            assert_eq!((&now.value[..], now.mod_revision), (&b"two"[..], second));
        }
        assert_eq!(put(&store, &key(1), first, "x").await, Put::Lost(None));
        let stored = kine.list(PREFIX);
        let stored: Vec<_> = stored.iter().map(|s| (&*s.key, &s.value[..])).collect();
        assert_eq!(stored, [(&*key(0), &b"two"[..])]);
    }

    pub(super) async fn a_lease_is_a_time_from_the_newest_write(server: &'static str) {
        let (kine, store) = start(server).await;
        let carried = store
            .compare_and_put(key(0).as_bytes(), 0, "one".into(), 600)
            .await
            .unwrap();
        let Put::Done { revision } = carried else {
            panic!("{carried:?}")
        };
        let record = store.get(key(0).as_bytes()).await.unwrap().unwrap();
        assert_eq!((record.lease, kine.list(PREFIX)[0].lease), (600, 600));
        store
            .compare_and_put(key(0).as_bytes(), revision, "two".into(), 1)
            .await
            .unwrap();
        eventually("the key ends", || {
            kine.list(PREFIX).is_empty().then_some(())
        });
    }

    pub(super) async fn only_one_holds_the_lock_and_only_while_it_keeps_it(server: &'static str) {
        let (_kine, store) = start(server).await;
        let other = store.clone();
        let lock = store.lock(LOCK, "host-1, process 7", TTL).await.unwrap();
        // Twice its life: unkept it would be gone.
        let first = store.get(LOCK).await.unwrap().unwrap();
        tokio::time::sleep(TTL * 2).await;
        let kept = store.get(LOCK).await.unwrap().unwrap();
        assert_eq!(kept.create_revision, first.create_revision);
        assert!(kept.mod_revision > first.mod_revision);
        let error = other.lock(LOCK, "host-2", TTL).await.unwrap_err();
        assert!(matches!(error, StoreError::Locked { .. }), "{error}");
        assert!(error.to_string().contains("host-1, process 7"), "{error}");

        lock.release().await.unwrap();
        assert_eq!(store.get(LOCK).await.unwrap(), None);
        let lock = other.lock(LOCK, "host-2", TTL).await.unwrap();
        // Dropping gives it back too, a moment later.
        drop(lock);
        while store.get(LOCK).await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }

        // Of one that was killed nothing is left after a while.
        let left = store
            .compare_and_put(LOCK, 0, "killed".into(), 3)
            .await
            .unwrap();
        assert!(matches!(left, Put::Done { .. }), "{left:?}");
        let lock = loop {
            match store.lock(LOCK, "next", TTL).await {
                Ok(lock) => break lock,
                Err(StoreError::Locked { .. }) => tokio::time::sleep(TTL / 10).await,
                Err(error) => panic!("{error}"),
            }
        };
        lock.release().await.unwrap();
    }

    pub(super) async fn a_lost_lock_is_told(server: &'static str) {
        let (_kine, store) = start(server).await;
        let lock = store.lock(LOCK, "us", TTL).await.unwrap();
        let ours = store.get(LOCK).await.unwrap().unwrap();
        store
            .compare_and_put(LOCK, ours.mod_revision, "theirs".into(), 60)
            .await
            .unwrap();
        lock.lost().await;
    }

    pub(super) async fn tls_on_a_socket_is_for_the_name_of_its_file(server: &'static str) {
        let files = Certificates::generate();
        let kine = Kine::start_tls(server, &files);
        let connect = |ca: &str, endpoint: String| {
            let mut config = StoreConfig::new(vec![endpoint]);
            config.tls = TlsFiles {
                ca: Some(files.path(ca)),
                ..TlsFiles::default()
            };
            Store::connect(config)
        };
        let store = connect("ca.pem", kine.endpoint()).await.unwrap();
        assert_eq!(store.kind(), Kind::Kine);
        assert!(store.get(b"/registry/health").await.unwrap().is_some());

        let error = connect("other-ca.pem", kine.endpoint()).await.unwrap_err();
        assert!(matches!(error, StoreError::Tls(_)), "{error}");
        let plain = kine.endpoint().replace("unixs:", "unix:");
        let error = connect("ca.pem", plain).await.unwrap_err();
        assert!(matches!(error, StoreError::TlsOverHttp(_)), "{error}");
    }

    /// Older kine asks SQL for names that are `LIKE` a key: it takes no notice of case, and `_` is
    /// any character.
    pub(super) async fn names_that_are_alike_are_never_mistaken(server: &'static str) {
        const ROLES: &str = "/registry/clusterroles/";
        let (kine, store) = start(server).await;
        let (role, alike) = (format!("{ROLES}a_b"), format!("{ROLES}a-b"));
        let revision = create(&store, &role, "one").await;
        create(&store, &alike, "theirs").await;
        let before = kine.list(ROLES);

        let done = store
            .compare_and_put(role.as_bytes(), revision, "two".into(), 0)
            .await;
        if server == "kine" {
            assert!(matches!(done, Ok(Put::Done { .. })), "{done:?}");
            let record = store.get(role.as_bytes()).await.unwrap().unwrap();
            assert_eq!(record.value, "two");
            return;
        }
        let errors = [
            done.unwrap_err(),
            store.get(role.as_bytes()).await.unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, StoreError::OtherKey { .. }), "{error}");
            assert!(error.to_string().contains("a newer kine can"), "{error}");
        }
        assert_eq!(kine.list(ROLES), before);

        create(&store, "/registry/Clusterroles/a", "x").await;
        let error = Scan::new(&store, ROLES).next().await.unwrap_err();
        assert!(matches!(error, StoreError::Disorder { .. }), "{error}");
    }
}

async fn start(server: &'static str) -> (Kine, Store) {
    let kine = Kine::start(server, &[]);
    let store = open(&kine).await;
    (kine, store)
}

async fn open(kine: &Kine) -> Store {
    let store = Store::connect(StoreConfig::new(vec![kine.endpoint()]));
    let store = store.await.unwrap();
    assert_eq!(store.kind(), Kind::Kine);
    store
}

fn key(number: usize) -> String {
    format!("{PREFIX}default/{number:04}")
}

/// Creates a key and returns the revision.
async fn create(store: &Store, key: &str, value: impl AsRef<[u8]>) -> i64 {
    match put(store, key, 0, value).await {
        Put::Done { revision } => revision,
        lost @ Put::Lost(_) => panic!("{key}: {lost:?}"),
    }
}

async fn put(store: &Store, key: &str, revision: i64, value: impl AsRef<[u8]>) -> Put {
    let value = value.as_ref().to_vec().into();
    let put = store.compare_and_put(key.as_bytes(), revision, value, 0);
    put.await.unwrap()
}
