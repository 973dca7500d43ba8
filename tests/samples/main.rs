//! The files in `config/` are true: the programs accept them, they agree with each other, and the
//! commands in them start what they say.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

mod compatibility;
mod daemon;
mod encryption;
mod pod;
mod unit;

/// A file that nothing below looks at must not be there.
#[test]
fn every_sample_has_a_test() {
    let mut found = BTreeSet::new();
    collect(&root().join("config"), &mut found);
    let known = [
        // With the roots themselves, in kms-plugin and in the conformance tests.
        "age/root.yaml",
        "aws/iam-policy.json",
        "aws/irsa-trust.json",
        "aws/key-policy.json",
        "aws/root.yaml",
        "pkcs11/key-attributes",
        "pkcs11/root.yaml",
        "encryption-move-from-aescbc.yaml",
        "encryption-move-from-kms.yaml",
        "encryption-off.yaml",
        "encryption-on.yaml",
        "kms-plugin-roots.yaml",
        "kms-plugin-rotated.yaml",
        "kms-plugin.service",
        "kms-plugin.static-pod.yaml",
        "kms-plugin.yaml",
        "kubeadm-patches/kube-apiserver+json.yaml",
        "tmpfiles.d/kms-plugin.conf",
        "vault/policy.hcl",
        "vault/root.yaml",
    ];
    assert_eq!(found, BTreeSet::from(known.map(str::to_owned)));
}

fn collect(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else {
            let name = path.strip_prefix(root().join("config")).unwrap();
            found.insert(name.to_str().unwrap().to_owned());
        }
    }
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

fn sample(name: &str) -> String {
    fs::read_to_string(root().join("config").join(name)).unwrap()
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&sample(name)).unwrap()
}

/// The settings that every other sample must agree with.
fn plugin_config() -> kms_plugin::config::Config {
    sample("kms-plugin.yaml").parse().unwrap()
}

/// The directory that kms-plugin and kube-apiserver share.
fn socket_directory() -> PathBuf {
    plugin_config().fixed.socket.path.parent().unwrap().into()
}

#[test]
fn the_rotated_configuration_changes_keks_only_and_keeps_the_old_one() {
    let (before, after) = (plugin_config(), sample("kms-plugin-rotated.yaml"));
    let after: kms_plugin::config::Config = after.parse().unwrap();
    assert_eq!(before.fixed, after.fixed);
    assert_eq!(after.keks.len(), 2);
    assert_eq!(after.keks[1..], before.keks);
}
