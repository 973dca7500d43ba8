//! A database that comes close to its quota, and one that is full.

use std::collections::BTreeMap;

use super::says;
use crate::{
    store::{Store, assert_unsaid},
    support::{
        dice::Dice,
        encryption::Provider::{AesCbc, AesGcm, Identity},
        etcd::Etcd,
        eventually,
        rewrap::Running,
    },
};

const OBJECTS: u64 = 100;

/// As fast as it goes, where there is no room for all.
const RUN: [&str; 5] = [
    "--yes",
    "--assume-converged",
    "--max",
    "--output=json",
    "--ignore-quota",
];

const WAITS: &str = "for the apiservers to compact it";

/// Old values that come to 2 MB where 3.6 MB are allowed, new ones beside them to more; and the
/// plaintexts.
fn crowded() -> (Store, BTreeMap<String, Vec<u8>>) {
    let etcd = Etcd::start_with(&["--quota-backend-bytes=3600000"]);
    let store = Store::on(etcd, &[AesGcm("new"), AesCbc("old"), Identity]);
    let plaintexts = store.fill_large(OBJECTS, 20_000, AesCbc("old"), &mut Dice::new());
    (store, plaintexts)
}

fn ended(running: &mut Running) -> bool {
    running.child.try_wait().unwrap().is_some()
}

/// As they do in every cluster; without it what a compaction freed does not show in the size that
/// etcd tells.
fn others_write(store: &Store) {
    store.etcd.put("/registry/health", b"well");
}

/// No alarm was raised, and nothing is lost.
#[track_caller]
fn is_well(store: &Store, plaintexts: &BTreeMap<String, Vec<u8>>) {
    let plan = store.harmless("plan", &[], 0);
    assert!(!plan.stdout.contains("NOSPACE"), "{plan}");
    assert!(
        store.opened().0 == *plaintexts,
        "an object changed or was lost"
    );
}

#[test]
fn where_room_gets_short_a_run_waits_for_compactions_and_etcd_is_never_full() {
    let (store, plaintexts) = crowded();
    let mut running = store.start_rewrap("run", &RUN);
    // Whenever it waits, the apiservers compact.
    let mut compactions = 0;
    while !ended(&mut running) {
        eventually("it waits or ends", || {
            others_write(&store);
            let waits = running.so_far()[1].matches(WAITS).count() > compactions;
            (waits || ended(&mut running)).then_some(())
        });
        store.etcd.compact(store.etcd.revision());
        compactions = running.so_far()[1].matches(WAITS).count();
    }
    let done = running.finish().expect(0);
    assert_eq!(done.json()["rewrapped"], OBJECTS, "{done}");
    assert!(compactions > 0, "there was room for all: {done}");
    says(&done, &["etcd has room again; going on"]);
    is_well(&store, &plaintexts);
    store.rewrap("verify", &[]).expect(0);
}

#[test]
fn where_no_compaction_comes_a_run_stops_before_etcd_is_full() {
    let (store, plaintexts) = crowded();
    let run = [&RUN[..], &["--compaction-wait=3"]].concat();
    let stopped = store.rewrap("run", &run).expect(5);
    says(
        &stopped,
        &[
            WAITS,
            "in use of a quota of 3.43 MiB, and no compaction made room within 3 s",
            "what is written is safe",
            "--etcd-compaction-interval",
            "the same command again goes on",
        ],
    );
    assert_unsaid(&stopped, &[]);
    let written = stopped.json()["rewrapped"].as_u64().unwrap();
    assert!((1..OBJECTS).contains(&written), "{stopped}");
    assert_eq!(store.opened().1["new"] as u64, written);
    is_well(&store, &plaintexts);

    // However often it is tried, etcd is never full; once it has room, the same command goes on.
    let again = store.rewrap("run", &run).expect(5);
    assert!(
        again.json()["rewrapped"].as_u64().unwrap() < written,
        "{again}"
    );
    is_well(&store, &plaintexts);
    store.etcd.compact(store.etcd.revision());
    let mut running = store.start_rewrap("run", &RUN);
    eventually("it goes on", || {
        others_write(&store);
        let goes_on = store.opened().1["new"] as u64 > written;
        (goes_on || ended(&mut running)).then_some(())
    });
    running.child.kill().unwrap();
    running.finish();
    assert!(store.opened().1["new"] as u64 > written);
    is_well(&store, &plaintexts);
}

#[test]
fn a_full_etcd_stops_a_run_and_once_helped_the_same_run_goes_on() {
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    let plaintexts = store.fill_large(OBJECTS, 20_000, AesCbc("old"), &mut Dice::new());
    let run = ["--yes", "--assume-converged", "--rate=50", "--output=json"];
    let running = store.start_rewrap("run", &run);
    eventually("the run has begun to write", || {
        store.opened().1.contains_key("new").then_some(())
    });
    store.etcd.alarm();
    let stopped = running.finish().expect(2);
    let steps = "compact, defragment, raise --quota-backend-bytes if need be, disarm the alarm, and run this again";
    says(
        &stopped,
        &["etcd's database is full (NOSPACE alarm)", steps],
    );
    assert_unsaid(&stopped, &[]);
    let written = stopped.json()["rewrapped"].as_u64().unwrap();
    assert!((1..OBJECTS).contains(&written), "{stopped}");
    let (now, names) = store.opened();
    assert!(now == plaintexts, "an object changed or was lost");
    assert_eq!(names["new"] as u64, written);
    let everything = store.etcd.everything();
    assert!(everything.leases.is_empty(), "the lock was given back");

    // It can be read, and takes nothing.
    store.harmless("status", &[], 0);
    store.harmless("verify", &[], 1);
    let plan = store.harmless("plan", &[], 0);
    assert!(plan.stdout.contains("NOSPACE"), "{plan}");
    store.harmless("run", &run, 5);

    store.etcd.disarm();
    let rest = store.rewrap("run", &run).expect(0);
    assert_eq!(rest.json()["rewrapped"], OBJECTS - written, "{rest}");
    store.rewrap("verify", &[]).expect(0);
    assert!(store.opened().0 == plaintexts);
}
