//! What `rewrap plan` says of a run, and what the run then does.

use std::collections::BTreeMap;

use super::store::{SECRETS, Store};
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesCbc, AesGcm, Identity, Kms},
    plugin::{Plugin, Site},
};

/// The leases by key.
fn leases(store: &Store) -> BTreeMap<String, i64> {
    let stored = store.etcd.list(SECRETS).into_iter();
    stored.map(|stored| (stored.key, stored.lease)).collect()
}

/// Plans and runs from aescbc to KMS v2; what was said must come true.
#[track_caller]
fn comes_true(what: &str, objects: u64, fill: impl FnOnce(&Store)) {
    let site = Site::with_key();
    let _plugin = Plugin::start(&site);
    let socket = site.socket();
    let store = Store::start(&[Kms("ringfence", &socket), AesCbc("old"), Identity]);
    fill(&store);
    let leases_before = leases(&store);
    let plan = store.harmless("plan", &["--output=json"], 0).json();
    assert_eq!(plan["objects"], objects, "{what}: {plan:#}");

    let before = store.etcd.size_in_use();
    let report = store
        .rewrap(
            "run",
            &["--yes", "--assume-converged", "--max", "--output=json"],
        )
        .expect(0)
        .json();
    let grown = store.etcd.size_in_use() - before;
    assert_eq!(report["rewrapped"], plan["objects"], "{what}: {report:#}");
    assert_eq!(report["bytes"], plan["bytes"], "{what}: {report:#}");
    let planned = plan["growthBytes"].as_u64().unwrap();
    assert!(
        planned.abs_diff(grown) * 100 <= grown * 15,
        "{what}: grew by {grown} bytes, and not by {planned}"
    );
    assert_eq!(leases(&store), leases_before, "{what}");
}

#[test]
fn the_growth_by_small_values_comes_true() {
    comes_true("300 B", 3000, |store| {
        store.fill_large(3000, 300, AesCbc("old"), &mut Dice::new());
    });
}

#[test]
fn the_growth_by_large_values_comes_true() {
    comes_true("64 KiB", 100, |store| {
        store.fill_large(100, 64 << 10, AesCbc("old"), &mut Dice::new());
    });
}

#[test]
fn the_growth_by_values_under_leases_comes_true() {
    comes_true("mixed, every tenth under a lease", 2000, |store| {
        store.fill(2000, AesCbc("old"), &mut Dice::new());
    });
}

#[test]
fn a_plan_tells_how_long_it_takes() {
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    store.fill(90, AesCbc("old"), &mut Dice::new());
    let told = store.harmless("plan", &["--rate=30"], 0);
    let words = "90 objects, 0 KMS calls, about 3 seconds at the chosen rate\n";
    assert!(told.stdout.contains(words), "{told}");
}
