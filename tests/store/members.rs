//! A cluster of several members, not all of which are well.

use std::time::Duration;

use rewrap_cli::store::{Put, Store, StoreConfig, StoreError, concerns};

use crate::support::etcd::members::Members;

const KEY: &[u8] = b"/registry/secrets/default/a";

async fn open(endpoints: Vec<String>) -> Store {
    let mut config = StoreConfig::new(endpoints);
    config.request_timeout = Duration::from_secs(2);
    Store::connect(config).await.unwrap()
}

/// Writes the key and reads it back, twenty times.
async fn works(store: &Store) {
    for _ in 0..20 {
        let record = store.get(KEY).await.unwrap();
        let revision = record.map_or(0, |record| record.mod_revision);
        let put = store.compare_and_put(KEY, revision, "x".into(), 0).await;
        assert!(matches!(put, Ok(Put::Done { .. })), "{put:?}");
    }
}

/// What there is to think of.
async fn words(store: &Store) -> Vec<String> {
    let concerns = concerns(&store.status().await);
    concerns.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn calls_go_on_when_the_leader_moves_dies_or_hangs() {
    let mut members = Members::start();
    let store = open(members.endpoints()).await;
    works(&store).await;
    assert_eq!(words(&store).await, [""; 0]);

    members.move_leader();
    works(&store).await;

    let leader = members.leader();
    let url = members.endpoints().swap_remove(leader);
    members.kill(leader);
    works(&store).await;
    let [dead] = &words(&store).await[..] else {
        panic!("one member is dead")
    };
    assert!(dead.contains(&url) && dead.contains("refused"), "{dead}");
    members.restart();
    works(&store).await;

    let leader = members.leader();
    let url = members.endpoints().swap_remove(leader);
    members.pause(leader);
    works(&store).await;
    let [hung] = &words(&store).await[..] else {
        panic!("one member hangs")
    };
    assert!(hung.contains(&url), "{hung}");
}

#[tokio::test]
async fn a_learner_is_passed_over_and_named() {
    let members = Members::start();
    let learner = members.add_learner();
    let endpoints = [vec![learner.endpoint()], members.endpoints()].concat();
    let store = open(endpoints).await;
    works(&store).await;
    let [learns] = &words(&store).await[..] else {
        panic!("one member is a learner")
    };
    let words = format!("{} is a learner", learner.endpoint());
    assert!(learns.starts_with(&words), "{learns}");

    let alone = open(vec![learner.endpoint()]).await;
    let error = alone.get(KEY).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)), "{error}");
    assert!(error.to_string().contains("learner"), "{error}");
}
