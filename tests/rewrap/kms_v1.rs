//! KMS v1: read, told apart, moved on from, and written where it is what kube-apiserver writes with.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tonic::Status;

use super::store::{SECRETS, Store, assert_unsaid};
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesGcm, Identity, Kms, KmsV1},
    envelope::{Client, Payload, open_v1, seal_v1},
    etcd::gateway::Stored,
    plugin::{Plugin, Site},
    puppet::{Call, Change, Puppet, wrap},
    sealed::{secret_json, secret_protobuf},
};

/// A name that only KMS v1 may have.
const PROVIDER: &str = "plug:in";
const RUN: [&str; 4] = ["--yes", "--assume-converged", "--max", "--output=json"];

/// Written by Kubernetes 1.25 and newer, and by older ones.
const NEW: usize = 12;
const LEGACY: usize = 4;
const ALL: usize = NEW + LEGACY;

/// Stores Secrets as kube-apiserver did, a DEK for each; returns plaintexts by key, and the DEKs.
fn fill(store: &Store) -> (BTreeMap<String, Vec<u8>>, Vec<Vec<u8>>) {
    let mut dice = Dice::new();
    let (mut plaintexts, mut deks) = (BTreeMap::new(), Vec::new());
    for number in 0..ALL {
        let name = format!("secret-{number}");
        let path = format!("{SECRETS}default/{name}");
        let plaintext = match number % 2 {
            0 => secret_json("default", &name, "never-to-be-shown"),
            _ => secret_protobuf("default", &name, b"never-to-be-shown"),
        };
        let dek: [u8; 32] = dice.bytes(32).try_into().unwrap();
        let payload = if number < NEW {
            Payload::Gcm(dice.bytes(12).try_into().unwrap())
        } else {
            Payload::Cbc(dice.bytes(16).try_into().unwrap())
        };
        let value = seal_v1(PROVIDER, &dek, &wrap(&dek), &path, &plaintext, payload);
        store.etcd.put(&path, &value);
        plaintexts.insert(path, plaintext);
        deks.push(dek.to_vec());
    }
    (plaintexts, deks)
}

#[test]
fn values_are_laid_out_as_kube_apiserver_does() {
    let file = include_str!("../vectors/k8s-0.36-transformers.json");
    let file: Value = serde_json::from_str(file).unwrap();
    let vectors = file["vectors"].as_array().unwrap().iter();
    let vectors: Vec<_> = vectors
        .filter(|vector| vector["Provider"] == "kms-v1")
        .collect();
    assert_eq!(vectors.len(), 8);
    for vector in vectors {
        let text = |field: &str| vector[field].as_str().unwrap();
        let bytes = |field: &str| hex::decode(text(field)).unwrap();
        let (value, wrapped) = (bytes("ValueHex"), bytes("EncDEKHex"));
        let name = text("KeyName");
        let payload = &value["k8s:enc:kms:v1:".len() + name.len() + 1 + 2 + wrapped.len()..];
        let payload = if text("Name").contains("cbc") {
            Payload::Cbc(*payload.first_chunk().unwrap())
        } else {
            Payload::Gcm(*payload.first_chunk().unwrap())
        };
        let (dek, plaintext) = (bytes("DEKHex").try_into().unwrap(), bytes("PlainHex"));
        let sealed = seal_v1(name, &dek, &wrapped, text("EtcdKey"), &plaintext, payload);
        assert_eq!(sealed, value, "{}", text("Name"));
    }
}

#[test]
fn nobody_can_say_whether_values_of_kms_v1_are_current() {
    let puppet = Puppet::start();
    let socket = puppet.socket();
    let store = Store::start(&[KmsV1(PROVIDER, &socket), Identity]);
    let (_, deks) = fill(&store);

    let inventory = store.harmless("status", &["--output=json"], 0).json();
    let secrets = &inventory["resources"][0];
    let counts = ["total", "unknowable", "stale", "current", "unreadable"];
    let counts = counts.map(|state| secrets[state].as_u64().unwrap() as usize);
    // The older layout is stale whatever the key is.
    assert_eq!(counts, [ALL, NEW, LEGACY, 0, 0], "{inventory:#}");
    for row in secrets["writtenWith"].as_array().unwrap() {
        assert_eq!(
            (&row["provider"], &row["key"]),
            (&"kms-v1".into(), &PROVIDER.into())
        );
        assert_eq!(row["keyId"], Value::Null, "{inventory:#}");
    }
    // Each DEK was unwrapped once, after the version was asked for once.
    assert_eq!(
        (puppet.asked(Call::Decrypt), puppet.asked(Call::Version)),
        (ALL, 1)
    );
    let table = store.harmless("status", &[], 0);
    assert!(table.stdout.contains("unknowable"), "{table}");
    assert_unsaid(&table, &deks);

    store.harmless("verify", &[], 1);
    let plan = store.harmless("plan", &[], 0);
    assert!(plan.stdout.contains("run --force-kms-v1"), "{plan}");
}

#[test]
fn a_run_writes_what_is_certainly_stale_and_with_force_the_rest_once() {
    let puppet = Puppet::start();
    let socket = puppet.socket();
    let store = Store::start(&[KmsV1(PROVIDER, &socket), Identity]);
    let (plaintexts, _) = fill(&store);

    let report = store.rewrap("run", &RUN).expect(0).json();
    let counts = ["rewrapped", "unknowable", "failed", "left"];
    let counts = counts.map(|count| report[count].as_u64().unwrap() as usize);
    assert_eq!(counts, [LEGACY, NEW, 0, 0], "{report:#}");
    assert_eq!(puppet.asked(Call::Encrypt), LEGACY);
    // Now nothing tells of any of them.
    let again = store.harmless("run", &RUN, 0).json();
    assert_eq!(again["unknowable"], ALL, "{again:#}");

    let forced = [&RUN[..], &["--force-kms-v1"]].concat();
    let report = store.rewrap("run", &forced).expect(0).json();
    assert_eq!(report["rewrapped"], ALL, "{report:#}");
    // A DEK for every object, as with kube-apiserver.
    assert_eq!(puppet.asked(Call::Encrypt), LEGACY + ALL);
    let mut deks = BTreeSet::new();
    for Stored { key, value, .. } in store.etcd.list(SECRETS) {
        let (dek, plaintext) = open_v1(PROVIDER, &puppet.secrets(), &key, &value);
        assert!(plaintexts[&key] == plaintext);
        deks.insert(dek);
    }
    assert_eq!(deks.len(), ALL);
    let inventory = store.harmless("status", &["--output=json"], 0).json();
    assert_eq!(
        inventory["resources"][0]["unknowable"], ALL,
        "{inventory:#}"
    );
}

#[test]
fn nothing_is_written_under_a_plugin_of_kms_v1_that_is_not_fit_for_it() {
    let puppet = Puppet::start();
    let socket = puppet.socket();
    let store = Store::start(&[KmsV1(PROVIDER, &socket), Identity]);
    fill(&store);
    let wrong: [(Change, i32, &str); 3] = [
        (
            |answers| answers.version = "v2".into(),
            4,
            r#"speaks version "v2", expected v1beta1"#,
        ),
        (
            |answers| answers.decrypt = |dek| dek[0] ^= 1,
            5,
            "does not unwrap what it has just wrapped",
        ),
        (
            |answers| answers.refused = Some((Call::Encrypt, Status::internal("no key"))),
            4,
            r#"refuses Encrypt: "no key" (Internal)"#,
        ),
    ];
    for (change, code, words) in wrong {
        // Plain text is stale without any plugin.
        let path = format!("{SECRETS}default/plain");
        store.etcd.put(&path, &secret_json("default", "plain", "x"));
        puppet.behave();
        puppet.answer(change);
        let refused = store.harmless("run", &RUN, code);
        assert!(refused.stderr.contains(words), "no {words:?} in {refused}");
    }
}

#[test]
fn a_run_moves_them_to_a_key_of_the_configuration() {
    let puppet = Puppet::start();
    let socket = puppet.socket();
    let store = Store::start(&[AesGcm("new"), KmsV1(PROVIDER, &socket), Identity]);
    let (plaintexts, deks) = fill(&store);
    let inventory = store.harmless("status", &["--output=json"], 0).json();
    assert_eq!(inventory["resources"][0]["stale"], ALL, "{inventory:#}");
    store.harmless("verify", &[], 1);

    let run = store.rewrap("run", &RUN).expect(0);
    assert_unsaid(&run, &deks);
    assert_eq!(run.json()["rewrapped"], ALL, "{run}");
    store.rewrap("verify", &[]).expect(0);
    let (now, names) = store.opened();
    assert!(now == plaintexts);
    assert_eq!(names, BTreeMap::from([("new".to_owned(), ALL)]));
    // Nothing needs the plugin any more.
    drop(puppet);
    store.rewrap("verify", &[]).expect(0);
}

#[test]
fn a_run_moves_them_to_a_plugin_of_kms_v2() {
    let puppet = Puppet::start();
    let old = puppet.socket();
    let site = Site::with_key();
    let _plugin = Plugin::start(&site);
    let new = site.socket();
    let store = Store::start(&[Kms("ringfence", &new), KmsV1(PROVIDER, &old), Identity]);
    let (plaintexts, deks) = fill(&store);

    let run = store.rewrap("run", &RUN).expect(0);
    assert_unsaid(&run, &deks);
    assert_eq!(run.json()["rewrapped"], ALL, "{run}");
    let verified = store.rewrap("verify", &[]).expect(0);
    let unneeded = format!("no stored object needs kms-v1 {PROVIDER}");
    assert!(verified.stdout.contains(&unneeded), "{verified}");
    let mut client = Client::new("ringfence", &new);
    assert!(store.opened_with(&mut client) == (plaintexts, ALL));
}

#[test]
fn a_plugin_of_kms_v1_that_fails_leaves_all_as_it_is() {
    let puppet = Puppet::start();
    let socket = puppet.socket();
    let store = Store::start(&[AesGcm("new"), KmsV1(PROVIDER, &socket), Identity]);
    let (plaintexts, _) = fill(&store);
    let wrong: [(Change, &str); 3] = [
        (
            |answers| answers.version = "v2beta1".into(),
            r#"speaks version "v2beta1", expected v1beta1"#,
        ),
        (
            |answers| answers.decrypt = |dek| dek[0] ^= 1,
            "neither as AES-GCM",
        ),
        (
            |answers| answers.refused = Some((Call::Decrypt, Status::internal("gone"))),
            r#"refuses Decrypt: "gone" (Internal)"#,
        ),
    ];
    for (change, words) in wrong {
        puppet.behave();
        puppet.answer(change);
        let report = store.harmless("run", &RUN, 6).json();
        let failures = report["failures"].as_array().unwrap();
        assert_eq!(failures.len(), ALL, "{report:#}");
        for failure in failures {
            let error = failure["error"].as_str().unwrap();
            assert!(error.contains(words), "no {words:?} in {error}");
        }
        store.harmless("verify", &[], 1);
    }
    puppet.behave();
    store.rewrap("run", &RUN).expect(0);
    assert!(store.opened().0 == plaintexts);
}
