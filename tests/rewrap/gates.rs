//! What a run looks at before its first write, and the flag that opens each gate.

use super::store::{SECRETS, Store};
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesCbc, AesGcm, Identity, KmsWithin},
    etcd::{Etcd, members::Members},
    puppet::{Call, Change, Puppet},
    rewrap::Finished,
    sealed::{seal, secret_json},
};

const RUN: [&str; 4] = ["--yes", "--assume-converged", "--max", "--output=json"];

fn run(more: &[&'static str]) -> Vec<&'static str> {
    [&RUN, more].concat()
}

#[track_caller]
fn says(finished: &Finished, words: &[&str]) {
    for words in words {
        assert!(
            finished.stderr.contains(words),
            "no {words:?} in {finished}"
        );
    }
}

#[test]
fn an_alarm_stops_a_run_before_its_first_write() {
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    store.fill(5, AesCbc("old"), &mut Dice::new());
    store.etcd.alarm();

    let refused = store.harmless("run", &RUN, 5);
    says(
        &refused,
        &[
            "nothing was written",
            "alarm:NOSPACE",
            "etcdctl compact",
            "etcdctl defrag",
            "etcdctl alarm disarm",
            "--ignore-alarms",
        ],
    );
    // It is etcd that refuses then.
    let tried = store.harmless("run", &run(&["--ignore-alarms"]), 2);
    says(&tried, &["warning: etcd says", "database is full"]);

    store.etcd.disarm();
    store.rewrap("run", &RUN).expect(0);
    store.rewrap("verify", &[]).expect(0);
}

#[test]
fn a_member_that_hangs_stops_a_run_before_its_first_write() {
    let keys = [AesGcm("new"), AesCbc("old"), Identity];
    let configuration = Store::start(&keys);
    let mut members = Members::start();
    let namespace = br#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-system","uid":"cluster"}}"#;
    members.put("/registry/namespaces/kube-system", namespace, 0);
    let path = format!("{SECRETS}default/one");
    let plaintext = secret_json("default", "one", "data");
    let value = seal(AesCbc("old"), &path, &plaintext, &mut Dice::new());
    members.put(&path, &value, 0);
    let endpoints = format!("--endpoints={}", members.endpoints().join(","));
    let rewrap = |more: &[&str]| {
        let flags = [&RUN, &[&*endpoints, "--request-timeout=2"][..], more].concat();
        configuration.rewrap("run", &flags)
    };

    let follower = (members.leader() + 1) % 3;
    let url = members.endpoints().swap_remove(follower);
    members.pause(follower);
    let refused = rewrap(&[]).expect(5);
    says(&refused, &["nothing was written", &url, "--ignore-members"]);
    assert_eq!(members.list(SECRETS)[0].value, value);

    let done = rewrap(&["--ignore-members"]).expect(0);
    says(&done, &["warning: ", &url]);
    assert_eq!(done.json()["rewrapped"], 1);
}

#[test]
fn a_quota_that_the_new_values_come_close_to_stops_a_run_before_its_first_write() {
    let etcd = Etcd::start_with(&["--quota-backend-bytes=5000000"]);
    let store = Store::on(etcd, &[AesGcm("new"), AesCbc("old"), Identity]);
    store.fill_large(100, 20_000, AesCbc("old"), &mut Dice::new());

    let refused = store.harmless("run", &RUN, 5);
    says(
        &refused,
        &[
            "nothing was written",
            &store.etcd.endpoint(),
            "close to its quota of 4.77 MiB",
            "--ignore-quota",
        ],
    );
    let plan = store.harmless("plan", &[], 0);
    assert!(
        plan.stdout.contains("close to its quota of 4.77 MiB"),
        "{plan}"
    );

    // A portion that there is room for needs no flag.
    let portion = store.rewrap("run", &run(&["--limit=20"])).expect(0);
    assert_eq!(portion.json()["rewrapped"], 20);
}

#[test]
fn a_key_id_that_moves_before_the_first_write_stops_a_run() {
    let puppet = Puppet::start();
    let socket = puppet.socket();
    let store = Store::start(&[KmsWithin("puppet", &socket, "10s"), AesCbc("old"), Identity]);
    store.fill(5, AesCbc("old"), &mut Dice::new());

    // The second answer names another.
    let moves: Change = |answers| answers.status.key_id = "two".into();
    puppet.answer_after(1, Call::Status, moves);
    let refused = store.harmless("run", &RUN, 5);
    says(
        &refused,
        &[
            "nothing was written",
            "puppet named key id one, and now two",
            "--follow",
        ],
    );
    puppet.behave();
    store.rewrap("run", &RUN).expect(0);
}
