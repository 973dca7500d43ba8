//! How fast a run goes.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    store::Store,
    support::{
        dice::Dice,
        encryption::Provider::{AesCbc, AesGcm, Identity},
        slow::Slow,
        within,
    },
};

/// Seen from between rewrap and etcd.
#[test]
fn a_run_backs_off_while_etcd_is_slow_and_recovers_after() {
    const OBJECTS: usize = 4000;
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    let plaintexts = store.fill(OBJECTS, AesCbc("old"), &mut Dice::new());
    let usual = Duration::from_millis(30);
    let slow = Slow::start(store.etcd.port(), usual);
    let endpoint = format!("--endpoints={}", slow.endpoint());
    let flags = ["--yes", "--assume-converged", "--max", "--concurrency=16"];
    let mut run = store.start_rewrap("run", &[&flags[..], &["--output=json", &endpoint]].concat());

    let mut until = |what: &str, wanted: &dyn Fn(&[usize]) -> bool| {
        let mut crowds = Vec::new();
        within(Duration::from_secs(180), what, || {
            assert!(run.child.try_wait().unwrap().is_none(), "too early: {what}");
            crowds.extend(slow.crowds());
            wanted(&crowds).then_some(())
        });
    };
    until("16 are in flight", &|crowds| {
        crowds.iter().any(|crowd| *crowd >= 16)
    });
    slow.delay(usual * 30);
    // One write; the next page may be read and the lock kept at the same time.
    until("1 is in flight", &|crowds| {
        crowds.len() >= 8 && crowds.iter().rev().take(8).all(|crowd| *crowd <= 3)
    });
    slow.delay(usual);
    until("6 are in flight again", &|crowds| {
        crowds.iter().any(|crowd| *crowd >= 6)
    });

    kill_process(Pid::from_child(&run.child), Signal::INT).unwrap();
    let report = run.finish().expect(130).json();
    assert!(report["backedOff"].as_u64().unwrap() >= 3, "{report:#}");
    let (now, names) = store.opened();
    assert!(now == plaintexts, "an object changed or was lost");
    assert_eq!(report["rewrapped"], names["new"], "{report:#}");
}

#[test]
fn the_bandwidth_holds_whatever_the_rate() {
    const OBJECTS: u64 = 20;
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    store.fill_large(OBJECTS, 20_000, AesCbc("old"), &mut Dice::new());
    let plan = store.rewrap("plan", &["--bandwidth=100K", "--output=json"]);
    let bytes = plan.json()["bytes"].as_u64().unwrap();
    assert_eq!(plan.json()["seconds"], bytes.div_ceil(100_000), "{plan}");
    let plan = store.rewrap("plan", &["--output=json"]);
    assert_eq!(plan.json()["seconds"], 1, "{plan}");
    let plan = store.rewrap("plan", &["--max", "--output=json"]);
    assert!(plan.json()["seconds"].is_null(), "{plan}");

    let run = ["--yes", "--assume-converged", "--output=json"];
    let report = store
        .rewrap("run", &[&run[..], &["--bandwidth=400K"]].concat())
        .expect(0)
        .json();
    assert_eq!(report["rewrapped"], OBJECTS);
    // The last one need not wait for its end. A slow machine only makes it less.
    let most =
        400_000.0 / (bytes as f64 / OBJECTS as f64) * (OBJECTS as f64 / (OBJECTS - 1) as f64);
    let rate = report["objectsPerSecond"].as_f64().unwrap();
    assert!(rate <= most * 1.05, "{rate} > {most}: {report:#}");
}

#[test]
fn what_is_no_bandwidth_is_refused_and_max_has_no_rates() {
    let store = Store::start(&[AesGcm("new"), Identity]);
    let told = store.harmless("run", &["--bandwidth=16MB/s"], 64);
    let words = "not a whole number of bytes per second above 0; write it as `16Mi`";
    assert!(told.stderr.contains(words), "{told}");
    for rate in ["--rate=10", "--bandwidth=1M"] {
        let told = store.harmless("run", &["--max", rate], 64);
        assert!(told.stderr.contains("cannot be used with"), "{told}");
    }
}
