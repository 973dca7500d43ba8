//! The safety rules of a run, each by what stands in etcd afterwards.

use rustix::process::{Pid, Signal, kill_process};

use super::store::{SECRETS, Store};
use crate::support::{
    dice::Dice,
    encryption::{
        self,
        Provider::{AesCbc, AesGcm, Identity, Kms},
    },
    eventually,
    plugin::{Plugin, Site},
    sealed::{open, seal, secret_json},
};

const VOUCH: &str = "--assume-converged";

/// Keys that kube-apiserver stores without its transformers, and those of somebody else.
const NEVER_TOUCHED: [&str; 8] = [
    "/registry/masterleases/10.0.0.1",
    "/registry/peerserverleases/a",
    "/registry/ranges/serviceips",
    "/registry/ranges/servicenodeports",
    "compact_rev_key",
    "/elsewhere/secrets/default/a",
    "/registry/metrics.example.com/samples/default/a",
    "/registry/futureresources/default/a",
];

#[test]
fn what_is_not_the_apiservers_to_encrypt_stays_as_it_is() {
    let store = Store::start(&[AesGcm("new"), Identity]);
    encryption::write(&store.encryption(), &["*.*"], &[AesGcm("new"), Identity]);
    let crd = br#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"pandas.bears.example.com"},"spec":{"group":"bears.example.com","scope":"Namespaced","names":{"plural":"pandas","kind":"Panda"}}}"#;
    let panda = br#"{"apiVersion":"bears.example.com/v1","kind":"Panda","metadata":{"name":"a","namespace":"default"}}"#;
    let path = "/registry/bears.example.com/pandas/default/a";
    store.etcd.put(
        "/registry/apiextensions.k8s.io/customresourcedefinitions/pandas.bears.example.com",
        crd,
    );
    store.etcd.put(path, panda);
    for key in NEVER_TOUCHED {
        store.etcd.put(key, panda);
    }
    store.rewrap("run", &["--yes", VOUCH, "--max"]).expect(0);
    for key in NEVER_TOUCHED {
        assert_eq!(store.etcd.get(key).unwrap().0, panda, "{key}");
    }
    let (name, plaintext) = open(path, &store.etcd.get(path).unwrap().0);
    assert_eq!((name.as_str(), plaintext.as_slice()), ("new", &panda[..]));
    store.rewrap("verify", &[]).expect(0);
}

#[test]
fn a_value_that_another_writer_changed_meanwhile_is_judged_again() {
    let mut dice = Dice::new();
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    let mut expected = store.fill(400, AesCbc("old"), &mut dice);
    // Slow enough that every write below falls into the run.
    let run = store.start_rewrap(
        "run",
        &[
            "--yes",
            VOUCH,
            "--rate=200",
            "--concurrency=64",
            "--output=json",
        ],
    );
    let paths: Vec<_> = expected.keys().rev().take(150).cloned().collect();
    for path in paths {
        // An apiserver that has not loaded the new key yet.
        let name = path.rsplit('/').next().unwrap().to_owned();
        let plaintext = secret_json("default", &name, "changed during the run");
        let value = seal(AesCbc("old"), &path, &plaintext, &mut dice);
        store.etcd.put(&path, &value);
        expected.insert(path, plaintext);
    }
    let report = run.finish().expect(0).json();
    assert!(report["rewrapped"].as_u64().unwrap() >= 400, "{report:#}");
    let (plaintexts, names) = store.opened();
    assert!(plaintexts == expected, "a write of another client was lost");
    assert_eq!(names["new"], 400);
}

#[test]
fn a_run_that_a_rotation_overtakes_stops_and_can_go_on() {
    let (site, store) = on_kms(1500);
    let plugin = Plugin::start(&site);
    let run = store.start_rewrap("run", &["--yes", VOUCH, "--rate=600", "--output=json"]);
    eventually("the run has begun to write", || {
        (written(&store) > 0).then_some(())
    });
    rotate(&site, &plugin);
    let stopped = run.finish().expect(5);
    assert!(stopped.stderr.contains("rotated"), "{stopped}");
    let rewrapped = stopped.json()["rewrapped"].as_u64().unwrap();
    assert!((1..1500).contains(&rewrapped), "{rewrapped} of 1500");
    store.rewrap("verify", &[]).expect(1);

    store.rewrap("run", &["--yes", VOUCH, "--max"]).expect(0);
    let inventory = store.rewrap("verify", &["--output=json"]).expect(0).json();
    assert_eq!(
        inventory["dekSources"].as_array().unwrap().len(),
        1,
        "{inventory:#}"
    );
}

#[test]
fn a_run_that_follows_a_rotation_ends_under_the_new_key() {
    let (site, store) = on_kms(1500);
    let plugin = Plugin::start(&site);
    let run = store.start_rewrap("run", &["--yes", VOUCH, "--rate=600", "--follow"]);
    eventually("the run has begun to write", || {
        (written(&store) > 0).then_some(())
    });
    rotate(&site, &plugin);
    run.finish().expect(0);
    let inventory = store.rewrap("verify", &["--output=json"]).expect(0).json();
    assert_eq!(
        inventory["dekSources"].as_array().unwrap().len(),
        1,
        "{inventory:#}"
    );
}

#[test]
fn two_runs_are_kept_apart_and_an_interrupted_one_gives_the_lock_back() {
    let mut dice = Dice::new();
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    let plaintexts = store.fill(400, AesCbc("old"), &mut dice);
    let first = store.start_rewrap("run", &["--yes", VOUCH, "--rate=50", "--output=json"]);
    eventually("the first run has begun to write", || {
        (written(&store) > 0).then_some(())
    });
    let second = store.rewrap("run", &["--yes", VOUCH]).expect(5);
    assert!(
        second.stderr.contains("process"),
        "names the holder: {second}"
    );

    kill_process(Pid::from_child(&first.child), Signal::INT).unwrap();
    let interrupted = first.finish().expect(130).json();
    let done = interrupted["rewrapped"].as_u64().unwrap();
    assert!((1..400).contains(&done), "{interrupted:#}");
    let rest = store
        .rewrap("run", &["--yes", VOUCH, "--max", "--output=json"])
        .expect(0)
        .json();
    assert_eq!(
        rest["rewrapped"].as_u64().unwrap(),
        400 - done,
        "nothing was done twice"
    );
    assert!(store.opened().0 == plaintexts);
}

#[test]
fn a_scope_and_a_limit_are_kept_to() {
    let mut dice = Dice::new();
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    store.fill(50, AesCbc("old"), &mut dice);
    for (more, expected) in [
        (vec!["--limit=7"], 7),
        (vec!["--from-key=new"], 0),
        (vec!["--namespace=elsewhere"], 0),
        (vec!["--exclude=secrets"], 0),
        (vec!["--resource=configmaps"], 0),
        (
            vec![
                "--resource=secrets",
                "--namespace=default",
                "--from-key=old",
            ],
            43,
        ),
    ] {
        let arguments = [vec!["--yes", VOUCH, "--output=json"], more].concat();
        let report = store.rewrap("run", &arguments).expect(0).json();
        assert_eq!(report["rewrapped"], expected, "{arguments:?}: {report:#}");
    }
}

#[test]
fn what_opens_to_no_object_of_its_key_is_left_as_it_is() {
    let mut dice = Dice::new();
    let store = Store::start(&[AesGcm("new"), AesGcm("old"), Identity]);
    store.fill(10, AesGcm("old"), &mut dice);
    let sealed = |name: &str, plaintext: &[u8], dice: &mut Dice| {
        let path = format!("{SECRETS}default/{name}");
        let value = seal(AesGcm("old"), &path, plaintext, dice);
        (path, value)
    };
    let odd = [
        sealed(
            "another",
            &secret_json("default", "someone-else", ""),
            &mut dice,
        ),
        sealed(
            "elsewhere",
            &secret_json("kube-system", "elsewhere", ""),
            &mut dice,
        ),
        sealed("garbage", b"not an object at all", &mut dice),
        (format!("{SECRETS}default/plain"), b"plain garbage".to_vec()),
    ];
    for (path, value) in &odd {
        store.etcd.put(path, value);
    }
    let report = store
        .rewrap("run", &["--yes", VOUCH, "--output=json"])
        .expect(6)
        .json();
    assert_eq!(report["rewrapped"], 10, "{report:#}");
    assert_eq!(report["failed"], 4, "{report:#}");
    for (path, value) in &odd {
        assert!(
            store.etcd.get(path).unwrap().0 == *value,
            "{path} was written"
        );
    }
}

#[test]
fn one_odd_key_hides_nothing_beside_it() {
    let mut dice = Dice::new();
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    store.fill(10, AesCbc("old"), &mut dice);
    // Sorts before all Secrets and has no namespace.
    let odd = format!("{SECRETS}aaa");
    store.etcd.put(&odd, b"odd");
    let inventory = store.rewrap("verify", &["--output=json"]).expect(1).json();
    let secrets = &inventory["resources"][0];
    assert_eq!(
        (&secrets["total"], &secrets["stale"]),
        (&11.into(), &10.into()),
        "{inventory:#}"
    );
    let report = store
        .rewrap("run", &["--yes", VOUCH, "--output=json"])
        .expect(6)
        .json();
    assert_eq!(
        (&report["rewrapped"], &report["failed"]),
        (&10.into(), &1.into()),
        "{report:#}"
    );
    assert_eq!(store.etcd.get(&odd).unwrap().0, b"odd");
}

#[test]
fn a_mistyped_scope_or_key_does_not_look_clean() {
    let store = Store::start(&[AesGcm("new"), Identity]);
    store.fill(3, AesGcm("new"), &mut Dice::new());
    store.rewrap("verify", &[]).expect(0);
    for typo in ["--resource=secrts", "--namespace=defualt"] {
        let refused = store.rewrap("verify", &[typo]).expect(1);
        assert!(refused.stdout.contains("not verified"), "{refused}");
    }
    store
        .rewrap("run", &["--yes", VOUCH, "--from-key=nwe"])
        .expect(64);
}

#[test]
fn a_key_that_somebody_elses_values_name_is_not_called_unneeded() {
    let mut dice = Dice::new();
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    store.fill(3, AesGcm("new"), &mut dice);
    let unneeded = "no stored object needs aescbc old";
    let verified = store.rewrap("verify", &[]).expect(0);
    assert!(verified.stdout.contains(unneeded), "{verified}");
    let path = "/registry/metrics.example.com/samples/default/a";
    let value = seal(AesCbc("old"), path, b"of an aggregated server", &mut dice);
    store.etcd.put(path, &value);
    let verified = store.rewrap("verify", &[]).expect(0);
    assert!(!verified.stdout.contains(unneeded), "{verified}");
}

/// A plugin's site and a store whose Secrets are to come under it.
fn on_kms(secrets: usize) -> (Site, Store) {
    let site = Site::with_key();
    let store = Store::start(&[Identity]);
    store.configure(&[Kms("ringfence", &site.socket()), AesCbc("old"), Identity]);
    store.fill(secrets, AesCbc("old"), &mut Dice::new());
    (site, store)
}

/// Values that are not under the old key any more.
fn written(store: &Store) -> usize {
    let old = |value: &[u8]| value.starts_with(b"k8s:enc:aescbc:v1:old:");
    store
        .etcd
        .list(SECRETS)
        .iter()
        .filter(|stored| !old(&stored.value))
        .count()
}

/// Puts a new KEK before the others and waits until the plugin wraps with it.
fn rotate(site: &Site, plugin: &Plugin) {
    site.keygen("two");
    site.configure(&["two", "one"]);
    eventually("the plugin takes over its new KEK", || {
        let taken = |line: &String| line.contains("took the keyring of the files");
        plugin.log().iter().any(taken).then_some(())
    });
}
