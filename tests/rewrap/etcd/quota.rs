//! A database that reaches its quota.

use super::says;
use crate::{
    store::{Store, assert_unsaid},
    support::{
        dice::Dice,
        encryption::Provider::{AesCbc, AesGcm, Identity},
        etcd::Etcd,
    },
};

#[test]
fn a_full_etcd_stops_a_run_and_once_helped_the_same_run_goes_on() {
    const OBJECTS: u64 = 100;
    // The old and the new values come to more than 4.1 MB, the old ones alone to half of it.
    let etcd = Etcd::start_with(&["--quota-backend-bytes=3600000"]);
    let store = Store::on(etcd, &[AesGcm("new"), AesCbc("old"), Identity]);
    let plaintexts = store.fill_large(OBJECTS, 20_000, AesCbc("old"), &mut Dice::new());

    // etcd learns of its own size only every 100 ms.
    let run = [
        "--yes",
        "--assume-converged",
        "--rate=50",
        "--output=json",
        "--ignore-quota",
        "--ignore-alarms",
    ];
    let stopped = store.rewrap("run", &run).expect(2);
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
    says(&store.harmless("run", &run, 2), &[steps]);

    let mut left = OBJECTS - written;
    while left > 0 {
        store.etcd.compact(store.etcd.revision());
        store.etcd.defragment();
        store.etcd.disarm();
        // It may have to be helped again: how much room was gained is etcd's affair.
        let run = store.rewrap("run", &run);
        let written = run.json()["rewrapped"].as_u64().unwrap();
        assert!(written > 0, "{run}");
        left -= written;
        run.expect(if left > 0 { 2 } else { 0 });
    }
    store.rewrap("verify", &[]).expect(0);
    assert!(store.opened().0 == plaintexts);
}
