//! Hearing of every write under a prefix.

use std::time::Duration;

use rewrap_cli::store::{Change, Login, Put, Store, StoreConfig, StoreError, Watch};

use crate::{
    open,
    support::etcd::{Etcd, members::Members},
};

const PREFIX: &[u8] = b"/registry/";

/// What is told until so many writes were: key and value, none where it was deleted.
async fn told(watch: &mut Watch, count: usize) -> Vec<(String, Option<String>)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut told = Vec::new();
    while told.len() < count {
        let changes = tokio::time::timeout(Duration::from_secs(60), watch.next());
        for change in changes.await.expect("nothing is told").unwrap() {
            told.push(match change {
                Change::Put(record) => (text(&record.key), Some(text(&record.value))),
                Change::Deleted { key, .. } => (text(&key), None),
            });
        }
    }
    assert_eq!(told.len(), count);
    told
}

fn put(key: &str, value: &str) -> (String, Option<String>) {
    (key.to_owned(), Some(value.to_owned()))
}

#[tokio::test]
async fn every_write_under_the_prefix_is_told_in_its_order() {
    let etcd = Etcd::start();
    etcd.put("/registry/a", b"before");
    let from = etcd.put("/registry/a", b"1");
    etcd.put("/registry0", b"outside");
    etcd.delete("/registry/a");
    let store = open(&etcd).await;
    let mut watch = store.watch(PREFIX, from);
    assert_eq!(
        told(&mut watch, 2).await,
        [put("/registry/a", "1"), ("/registry/a".to_owned(), None)]
    );
    etcd.put("/registry/b", b"2");
    assert_eq!(told(&mut watch, 1).await, [put("/registry/b", "2")]);
}

#[tokio::test]
async fn a_compacted_beginning_is_named() {
    let etcd = Etcd::start();
    let from = etcd.put("/registry/a", b"1");
    let newest = etcd.put("/registry/a", b"2");
    etcd.compact(newest);
    let error = open(&etcd)
        .await
        .watch(PREFIX, from)
        .next()
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::Compacted { revision } if revision == from),
        "{error}"
    );
}

#[tokio::test]
async fn a_user_without_the_right_is_refused_by_name() {
    let etcd = Etcd::start();
    let from = etcd.put("/registry/a", b"1");
    etcd.add_user("reader", "secret", "READ", ["/other/", "/other0"]);
    etcd.enable_auth("toor");
    let mut config = StoreConfig::new(vec![etcd.endpoint()]);
    config.login = Some(Login {
        user: "reader".into(),
        password: b"secret".to_vec().into(),
    });
    let store = Store::connect(config).await.unwrap();
    let error = store.watch(PREFIX, from).next().await.unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }), "{error}");
    assert!(error.to_string().contains("to watch /registry/"), "{error}");
}

#[tokio::test]
async fn it_goes_on_where_it_was_when_its_member_dies() {
    let mut members = Members::start();
    let store = Store::connect(StoreConfig::new(members.endpoints()))
        .await
        .unwrap();
    let write = async |number: i64, before: i64| {
        let value = number.to_string().into();
        let put = store.compare_and_put(b"/registry/a", before, value, 0);
        match put.await.unwrap() {
            Put::Done { revision } => revision,
            lost @ Put::Lost(_) => panic!("{lost:?}"),
        }
    };
    let mut revision = write(0, 0).await;
    let mut watch = store.watch(PREFIX, revision);
    let mut heard = told(&mut watch, 1).await;
    for round in 0..3_i64 {
        let leader = members.leader();
        members.kill(leader);
        for number in 1..=5 {
            revision = write(5 * round + number, revision).await;
        }
        heard.extend(told(&mut watch, 5).await);
        members.restart();
    }
    let numbers: Vec<_> = (0..=15)
        .map(|number: i64| put("/registry/a", &number.to_string()))
        .collect();
    assert_eq!(heard, numbers);
}
