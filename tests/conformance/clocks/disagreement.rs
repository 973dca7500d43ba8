//! The plugin's Status and Encrypt name different key ids.

use super::{LIMIT, OLD, Scene, assert_expired, hash, wait_until_content};
use crate::support::{apiserver::Release, puppet::Puppet, within};

const COUNT: usize = 5;

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn while_status_and_encrypt_disagree_the_old_seed_stays() {
    while_status_and_encrypt_disagree_the_old_seed_stays_on(Release::NEWEST);
}

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn while_status_and_encrypt_disagree_the_old_seed_stays_on_1_31() {
    while_status_and_encrypt_disagree_the_old_seed_stays_on(OLD);
}

pub(crate) fn while_status_and_encrypt_disagree_the_old_seed_stays_on(release: Release) {
    let puppet = Puppet::start();
    let mut scene = Scene::begin(release, &puppet.socket());
    let old = scene.fill("secret", COUNT);
    assert_eq!(old.key_id.as_str(), "one");

    puppet.answer(|answers| {
        answers.status.key_id = "two".into();
        answers.encrypt = |answer| answer.key_id = "one".into();
    });
    let complaint = scene.complaint();
    for words in [
        "kmsv2 Provider plugin is not healthy, error: failed to rotate DEK".to_owned(),
        format!("statusKeyIDHash=\"{}\"", hash("two")),
        format!("encryptKeyIDHash=\"{}\"", hash("one")),
        format!("stateKeyIDHash=\"{}\"", hash("one")),
    ] {
        assert!(complaint.contains(&words), "no {words} in {complaint}");
    }
    assert_eq!(scene.write("coasting").unwrap(), old);

    // The seed that it could have is one that no apiserver takes.
    let stored = scene.cluster.etcd.list("/registry/secrets/");
    let refused = scene.cluster.rewrap_run(&[]).expect(5);
    let words = "said key id two and encrypted under one";
    assert!(refused.stderr.contains(words), "{refused}");
    assert!(scene.cluster.etcd.list("/registry/secrets/") == stored);

    let refusal = within(LIMIT, "a write is refused", || {
        match scene.write("coasting") {
            Ok(source) => {
                assert_eq!(source, old);
                None
            }
            Err(refusal) => Some(refusal),
        }
    });
    assert_expired(&refusal, "one");
    scene.read_back();
    assert_eq!(scene.counted("stale"), scene.secrets.len() as u64);

    puppet.answer(|answers| answers.encrypt = |_| {});
    let new = within(LIMIT, "a write succeeds", || scene.write("after").ok());
    assert_eq!(new.key_id.as_str(), "two");
    wait_until_content(&scene.kube);
    scene.read_back();
    let report = scene.cluster.rewrap_run(&[]).expect(0).json();
    assert_eq!(report["rewrapped"], COUNT + 1, "{report:#}");
    scene.cluster.rewrap("verify", &[]).expect(0);
    scene.read_back();
    assert!(!scene.is_stale("secret-0"));
}
