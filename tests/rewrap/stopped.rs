//! A run while every apiserver is stopped.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    etcd::says,
    store::{SECRETS, Store},
};
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesCbc, AesGcm, Identity},
    etcd::Etcd,
    eventually,
    rewrap::Running,
    slow::Slow,
};

const RUN: [&str; 4] = [
    "--yes",
    "--assume-converged",
    "--apiservers-stopped",
    "--output=json",
];

/// The prefix of a value under the old key.
const OLD: &[u8] = b"k8s:enc:aescbc:v1:old:";

fn store(etcd: Etcd) -> Store {
    Store::on(etcd, &[AesGcm("new"), AesCbc("old"), Identity])
}

const LEASE: &str = "/registry/leases/kube-system/apiserver-abc";

/// An identity lease that says it is renewed so many seconds from now, in protobuf as kube-apiserver
/// stores it.
fn put_lease(store: &Store, seconds: i64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut time = vec![8];
    let mut rest = now.as_secs().checked_add_signed(seconds).unwrap();
    while rest >= 0x80 {
        time.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    time.push(rest as u8);
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let meta = [field(1, b"apiserver-abc"), field(3, b"kube-system")].concat();
    let lease = [field(1, &meta), field(2, &field(4, &time))].concat();
    let of = [field(1, b"coordination.k8s.io/v1"), field(2, b"Lease")].concat();
    let value = [b"k8s\0".to_vec(), field(1, &of), field(2, &lease)].concat();
    store.etcd.put(LEASE, &value);
}

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&RUN[..], more].concat()
}

#[test]
fn many_objects_share_a_transaction_and_the_old_values_are_gone_after() {
    const OBJECTS: usize = 1000;
    let store = store(Etcd::start());
    let plaintexts = store.fill(OBJECTS, AesCbc("old"), &mut Dice::new());
    let leases = |store: &Store| -> Vec<_> {
        let stored = store.etcd.list(SECRETS).into_iter();
        stored.map(|stored| (stored.key, stored.lease)).collect()
    };
    let leases_before = leases(&store);
    // The clock of a machine that is stopped now was ahead.
    put_lease(&store, 3600);
    let path = format!("{SECRETS}default/secret-00003");
    let old = store.etcd.revision();
    assert!(store.etcd.database().windows(OLD.len()).any(|at| at == OLD));

    let run = store
        .rewrap("run", &with(&["--compact", "--defrag"]))
        .expect(0);
    says(&run, &["compacted the store", "defragmented http"]);
    assert_eq!(run.json()["rewrapped"], OBJECTS, "{run}");
    let (now, names) = store.opened();
    assert!(now == plaintexts, "an object changed or was lost");
    assert_eq!(names["new"], OBJECTS);
    assert_eq!(leases(&store), leases_before);
    let revisions: BTreeSet<_> = store
        .etcd
        .list(SECRETS)
        .iter()
        .map(|stored| stored.revision)
        .collect();
    assert!((8..=30).contains(&revisions.len()), "{revisions:?}");

    let gone = store.etcd.value_at(&path, old).unwrap_err();
    assert!(gone.contains("has been compacted"), "{gone}");
    eventually("the old values are out of the file", || {
        let database = store.etcd.database();
        (!database.windows(OLD.len()).any(|at| at == OLD)).then_some(())
    });
    store.rewrap("verify", &[]).expect(0);
}

#[test]
fn a_run_that_was_cut_goes_on_in_transactions_of_many() {
    const OBJECTS: usize = 1000;
    let store = store(Etcd::start());
    let plaintexts = store.fill(OBJECTS, AesCbc("old"), &mut Dice::new());
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("checkpoint");
    let flag = format!("--checkpoint={}", checkpoint.display());
    let first = store
        .rewrap("run", &with(&[&flag, "--limit=400"]))
        .expect(0);
    let done = first.json()["rewrapped"].as_u64().unwrap();
    assert!((1..1000).contains(&done), "{first}");
    assert!(checkpoint.exists());
    let before = store.etcd.revision();
    let second = store.rewrap("run", &with(&[&flag])).expect(0);
    assert_eq!(second.json()["rewrapped"], OBJECTS, "{second}");
    let writes = store.etcd.revision() - before;
    assert!(writes < 100, "{writes} transactions");
    let (now, names) = store.opened();
    assert!(now == plaintexts, "an object changed or was lost");
    assert_eq!(names["new"], OBJECTS);
}

#[test]
fn an_apiserver_that_renews_its_lease_is_seen_whatever_its_clock_says() {
    const HOUR: i64 = 3600;
    let stores = [-5 * HOUR, 5 * HOUR].map(|ahead| {
        let store = store(Etcd::start());
        store.fill(5, AesCbc("old"), &mut Dice::new());
        (store, ahead)
    });
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let runs = stores.each_ref().map(|(store, ahead)| {
            let ended = &ended;
            scope.spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    put_lease(store, *ahead);
                    thread::sleep(Duration::from_secs(1));
                }
            });
            store.start_rewrap("run", &with(&["--compact"]))
        });
        let told = runs.map(Running::finish);
        ended.store(true, Ordering::Relaxed);
        for told in told {
            says(
                &told.expect(5),
                &[&format!(
                    "somebody else wrote {LEASE}, so an apiserver lives"
                )],
            );
        }
    });
    for (store, _) in &stores {
        let (_, names) = store.opened();
        assert_eq!(names.get("new"), None);
    }
}

#[test]
fn a_run_ends_when_an_apiserver_comes_back() {
    const OBJECTS: usize = 1500;
    let store = store(Etcd::start());
    let plaintexts = store.fill(OBJECTS, AesCbc("old"), &mut Dice::new());
    // One transaction after the other, each of them late.
    let slow = Slow::start(store.etcd.port(), Duration::from_secs(1));
    let endpoint = format!("--endpoints={}", slow.endpoint());
    let flags = ["--concurrency=1", "--compact", &endpoint];
    let run = store.start_rewrap("run", &with(&flags));
    let new = || {
        store
            .etcd
            .list(SECRETS)
            .iter()
            .filter(|stored| !stored.value.starts_with(OLD))
            .count()
    };
    let written = || (new() > 0).then_some(());
    crate::support::within(Duration::from_secs(180), "it writes", written);
    store.etcd.put("/registry/pods/default/a", b"{}");
    let told = run.finish().expect(5);
    says(&told, &["somebody else wrote /registry/pods/default/a"]);
    assert!(!told.stderr.contains("compacted the store"), "{told}");
    let (now, names) = store.opened();
    assert!(now == plaintexts, "an object changed or was lost");
    assert!((1..OBJECTS).contains(&names["new"]), "{names:?}");
    assert_eq!(told.json()["rewrapped"], names["new"], "{told}");
}

#[test]
fn what_etcd_does_not_take_together_goes_one_by_one() {
    const OBJECTS: usize = 100;
    let store = store(Etcd::start_with(&["--max-txn-ops=10"]));
    let plaintexts = store.fill(OBJECTS, AesCbc("old"), &mut Dice::new());
    let run = store.rewrap("run", &RUN).expect(0);
    assert_eq!(run.json()["rewrapped"], OBJECTS, "{run}");
    let (now, names) = store.opened();
    assert!(now == plaintexts, "an object changed or was lost");
    assert_eq!(names["new"], OBJECTS);
}

#[test]
fn flags_that_need_stopped_apiservers_say_so() {
    let store = store(Etcd::start());
    for flags in [
        &["--compact"][..],
        &["--defrag"],
        &["--apiservers-stopped"],
        &["--apiservers-stopped", "--assume-converged", "--rate=5"],
        &["--apiservers-stopped", "--apiserver=https://127.0.0.1:1"],
    ] {
        store.harmless("run", flags, 64);
    }
}
