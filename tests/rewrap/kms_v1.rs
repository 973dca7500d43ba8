//! What a KMS v1 plugin left behind: read, told apart, and moved on.

use std::collections::BTreeMap;

use serde_json::Value;
use tonic::Status;

use super::store::{SECRETS, Store, assert_unsaid};
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesGcm, Identity, Kms, KmsV1},
    envelope::{Client, Payload, seal_v1},
    plugin::{Plugin, Site},
    puppet::{Answers, Call, Puppet, wrap},
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
    let refused = store.harmless("run", &RUN, 3);
    for words in [
        PROVIDER,
        "no key id",
        "make a KMS v2 provider the first one",
    ] {
        assert!(refused.stderr.contains(words), "{refused}");
    }
    assert_eq!(puppet.asked(Call::Encrypt), 0);
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
    let wrong: [(fn(&mut Answers), &str); 3] = [
        (
            |answers| answers.version = "v2beta1".into(),
            r#"speaks version "v2beta1", expected v1beta1"#,
        ),
        (
            |answers| {
                answers.decrypt = |dek| {
                    dek[0] ^= 1;
                    Ok(())
                }
            },
            "neither as AES-GCM",
        ),
        (
            |answers| answers.decrypt = |_| Err(Status::internal("gone")),
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
