use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use tempfile::TempDir;

use super::*;
use crate::root::age::tests::{IDENTITY, RECIPIENT};

/// Roots that nobody asks within these tests.
const VAULTS: &str = r#"
- name: one
  vault: {addresses: ["http://127.0.0.1:9"], key: one, auth: {tokenFile: /nowhere}}
- name: two
  vault: {addresses: ["http://127.0.0.1:9"], key: two, auth: {tokenFile: /nowhere}}
"#;

/// A configuration with these `roots`, the first of which wraps, and whatever else.
fn config(directory: &TempDir, roots: &str, more: &str) -> Config {
    let text = format!(
        "apiVersion: ringfence.dev/v1alpha1
kind: KmsPluginConfiguration
context: test
socket: {{path: /run/test.sock}}
stateDirectory: {}
{more}
keks: [{{name: main, wrapWith: [one]}}]
roots:{roots}",
        directory.path().join("state").display()
    );
    text.parse().unwrap()
}

#[tokio::test]
async fn a_root_remembers_over_attempts_what_it_was_refused() {
    let directory = tempfile::tempdir().unwrap();
    let both = config(&directory, VAULTS, "");
    let mut roots = Roots::default();
    let mut attempt = |config: &Config| {
        let prepared = roots.prepare(config).unwrap().unwrap();
        // Dropped as after a refused reload.
        prepared.roots().to_vec()
    };
    let first = attempt(&both);
    let second = attempt(&both);
    for (before, after) in first.iter().zip(&second) {
        assert!(after.shares_root(before));
        assert!(!Arc::ptr_eq(before, after), "its outage begins anew");
    }

    // An edit is another root, and as good as a new PIN.
    let edited = config(&directory, &VAULTS.replace("key: two", "key: other"), "");
    let third = attempt(&edited);
    assert!(third[0].shares_root(&second[0]));
    assert!(!third[1].shares_root(&second[1]));
    let fourth = attempt(&edited);
    assert!(fourth[1].shares_root(&third[1]));
}

/// The file of an identity, in a directory of a test.
fn identity(directory: &TempDir) -> PathBuf {
    let file = directory.path().join("identity");
    fs::write(&file, IDENTITY).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}

/// The recipient of an identity that is in another safe.
fn other_recipient() -> String {
    let key = x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from([9; 32]));
    let hrp = bech32::Hrp::parse("age").unwrap();
    bech32::encode::<bech32::Bech32>(hrp, key.as_bytes()).unwrap()
}

#[tokio::test]
async fn a_recovery_needs_one_identity_of_several() {
    let directory = tempfile::tempdir().unwrap();
    let other = format!(
        "{VAULTS}- {{name: other, age: {{recipient: {}}}}}\n",
        other_recipient()
    );
    let both = format!("{other}- {{name: recovery, age: {{recipient: {RECIPIENT}}}}}\n");
    let [only_other, both] = [other, both].map(|roots| config(&directory, &roots, ""));
    let mut roots = Roots::new(Some(identity(&directory)));
    let error = roots.prepare(&only_other).unwrap_err();
    assert!(matches!(&error, RootsError::Open { name, .. } if name == "other"));
    let prepared = roots.prepare(&both).unwrap().unwrap();
    let is_offline: Vec<_> = prepared
        .roots()
        .iter()
        .map(|root| root.is_offline())
        .collect();
    assert_eq!(is_offline, [false, false, true, false]);
}

#[tokio::test]
async fn a_recovery_needs_no_key_of_sealed_copies() {
    let directory = tempfile::tempdir().unwrap();
    let recovery = format!("{VAULTS}- {{name: recovery, age: {{recipient: {RECIPIENT}}}}}\n");
    let config = config(
        &directory,
        &recovery,
        "sealedCopies: {keyFile: /run/credentials/none/copies}",
    );
    let error = Roots::default().prepare(&config).unwrap_err();
    assert!(matches!(error, RootsError::SealedCopies(_)), "{error}");
    let prepared = Roots::new(Some(identity(&directory))).prepare(&config);
    assert!(prepared.unwrap().is_some());
}
