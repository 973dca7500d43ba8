//! A multi-Region key, with one region away.

use std::{net::TcpListener, time::Duration};

use super::*;
use crate::{
    roots::{refused, unreachable},
    support::server::free_port,
};

const HERE: &str = "arn:aws:kms:eu-central-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab";
const THERE: &str = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab";

/// Both regions, each at its endpoint.
fn open(site: &Site, here: &str, there: &str) -> AwsKms {
    let mut config = site.config(HERE, here);
    config.replicas = vec![place(THERE, there)];
    AwsKms::open(&config)
}

#[tokio::test]
#[ignore = "needs moto: make conformance"]
async fn what_one_region_wrapped_opens_in_the_other_under_the_same_version() {
    let site = Site::new();
    let moto = Moto::start();
    let amazon = Amazon::before_with(&moto, &[HERE, THERE], &moto.create_key());
    let up = amazon.endpoint();
    let away = format!("http://127.0.0.1:{}", free_port());
    let (both, only_there) = (open(&site, &up, &away), open(&site, &away, &up));

    let (kek, place) = (local_kek(), binding("prod-eu1"));
    let version = both.version().await.unwrap();
    assert!(
        version
            .key()
            .ends_with("kms::111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab")
    );
    assert_eq!(only_there.version().await.unwrap(), version);
    for (wraps, opens) in [(&both, &only_there), (&only_there, &both)] {
        let wrapped = wraps.wrap(&kek, &place).await.unwrap();
        assert_eq!(wrapped.version, version);
        let opened = opens.unwrap(&wrapped, &place).await.unwrap();
        assert_eq!(opened.expose(), kek.expose());
    }
    let keys: Vec<_> = amazon
        .take_seen()
        .iter()
        .map(|request| request.json()["KeyId"].as_str().unwrap().to_owned())
        .collect();
    assert!(keys.iter().any(|key| key == HERE) && keys.iter().any(|key| key == THERE));
}

/// It accepts connections and says nothing: that costs one time limit, not one for each call.
#[tokio::test]
async fn a_region_that_is_silent_is_passed_over() {
    let (site, there) = (Site::new(), AwsReplies::start(None));
    there.always(described(THERE, "Enabled"));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let root = open(
        &site,
        &format!("http://127.0.0.1:{port}"),
        &there.endpoint(),
    );
    root.version().await.unwrap();
    silent.set_nonblocking(true).unwrap();
    assert!(silent.accept().is_ok(), "the first region was never asked");
    for _ in 0..8 {
        root.version().await.unwrap();
    }
    assert!(
        silent.accept().is_err(),
        "the silent region was asked again at once"
    );
    assert_eq!(there.take_seen().len(), 9);
}

#[tokio::test]
async fn the_first_region_is_kept_to_while_it_answers() {
    let site = Site::new();
    let (here, there) = (AwsReplies::start(None), AwsReplies::start(None));
    let root = open(&site, &here.endpoint(), &there.endpoint());
    here.always(described(HERE, "Enabled"));
    root.version().await.unwrap();
    // A refusal is an answer: no other region is asked.
    here.always(Reply::error(400, "AccessDeniedException", "denied"));
    refused(root.version().await);
    here.always(described(HERE, "Disabled"));
    refused(root.version().await);
    assert_eq!(there.take_seen().len(), 0);

    here.always(Reply::error(400, "ThrottlingException", "slow down"));
    there.always(described(THERE, "Enabled"));
    root.version().await.unwrap();
    assert_eq!(there.take_seen().len(), 1);
}

/// A replica that denies says nothing of the key; what the first region says counts, whichever was asked before.
#[tokio::test]
async fn no_replica_revokes_the_key_and_none_keeps_it_alive() {
    let site = Site::new();
    let (here, there) = (AwsReplies::start(None), AwsReplies::start(None));
    let root = open(&site, &here.endpoint(), &there.endpoint());
    let denied = Reply::error(400, "AccessDeniedException", "denied");
    here.always(Reply::error(503, "ServiceUnavailableException", ""));
    there.always(denied.clone());
    let words = unreachable(root.version().await);
    assert!(words.contains("eu-central-1: Serv"), "{words}");
    assert!(words.contains("eu-west-1: AccessDenied"), "{words}");

    // From here on the replica is asked first.
    there.always(described(THERE, "Enabled"));
    root.version().await.unwrap();
    there.always(denied.clone());
    unreachable(root.version().await);
    there.always(described(THERE, "Enabled"));
    root.version().await.unwrap();
    there.always(denied.clone());
    here.always(described(HERE, "Enabled"));
    root.version().await.unwrap();
    here.always(denied);
    there.always(described(THERE, "Enabled"));
    refused(root.version().await);
}

/// The caller's time limit ends a call to the only region.
#[tokio::test]
async fn a_call_that_is_dropped_leaves_the_root_usable() {
    let (site, aws) = (Site::new(), AwsReplies::start(None));
    aws.always(described(KEY, "Enabled"));
    let root = site.open(KEY, &aws.endpoint());
    for delay in [0, 1, 2, 4] {
        let _ = tokio::time::timeout(Duration::from_millis(delay), root.version()).await;
    }
    root.version().await.unwrap();
}
