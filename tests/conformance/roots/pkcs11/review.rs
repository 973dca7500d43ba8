//! What an operator will regret.

use std::{fs, os::unix::fs::PermissionsExt};

use kms_plugin::root::{pkcs11::Pkcs11, remote::RemoteRoot};

use super::with_key;
use crate::support::softhsm::{FOR_GCM, LABEL, SoftHsm};

/// What is found but for the module's file, which need not be root's here.
async fn of_key(root: &Pkcs11) -> Vec<String> {
    let mut sentences = root.review().await.unwrap();
    sentences.retain(|one| !one.starts_with("the module "));
    sentences
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_module_that_others_may_write_is_found() {
    let (_hsm, config) = with_key(FOR_GCM);
    fs::set_permissions(&config.module, fs::Permissions::from_mode(0o777)).unwrap();
    let sentences = SoftHsm::root(&config).review().await.unwrap();
    let found = format!(
        "the module {} may be written by others than root",
        config.module.display()
    );
    assert!(
        sentences.iter().any(|one| one.starts_with(&found)),
        "{sentences:?}"
    );
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn the_review_finds_what_an_operator_will_regret() {
    let (hsm, mut config) = with_key(FOR_GCM);
    config.module = config.environment["REAL_MODULE"].clone().into();
    let root = SoftHsm::root(&config);
    assert_eq!(of_key(&root).await, [""; 0]);

    hsm.make_key(
        LABEL,
        "02",
        &[
            "sensitive=0",
            "extractable=1",
            "private=0",
            "encrypt=1",
            "decrypt=1",
            "wrap=1",
        ],
    );
    let sentences = of_key(&root).await;
    for words in [
        "the key 02 can be read in the clear",
        "the key 02 can leave the token",
        "the key 02 can be seen without a login",
        "the key 02 may both encrypt and wrap",
        "the key 02 may also sign or verify",
    ] {
        assert!(
            sentences.iter().any(|one| one.contains(words)),
            "{words}: {sentences:?}"
        );
    }
    assert!(
        !sentences.iter().any(|one| one.contains("key 01")),
        "{sentences:?}"
    );
}

/// Each attribute of the sample is one that the review looks at.
#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn the_sample_of_attributes_is_what_the_review_wants() {
    let sample = include_str!("../../../../config/pkcs11/key-attributes");
    let mut attributes = Vec::new();
    for line in sample.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.split_once('=').unwrap();
        let name = name
            .trim()
            .strip_prefix("CKA_")
            .unwrap()
            .to_ascii_lowercase();
        match value.trim() {
            "true" => attributes.push((name, true)),
            "false" => attributes.push((name, false)),
            // What `make_key` makes.
            value => assert!(
                ["CKO_SECRET_KEY", "CKK_AES", "32"].contains(&value),
                "{value}"
            ),
        }
    }
    assert!(attributes.contains(&("token".to_owned(), true)));
    attributes.retain(|(name, _)| name != "token");
    let words = |attributes: &[(String, bool)]| -> Vec<String> {
        let word = |(name, value): &(String, bool)| format!("{name}={}", u8::from(*value));
        attributes.iter().map(word).collect()
    };
    let make = |id: &str, attributes: &[(String, bool)], hsm: &SoftHsm| {
        let words = words(attributes);
        hsm.make_key(
            LABEL,
            id,
            &words.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    };

    let hsm = SoftHsm::new();
    let mut config = hsm.config();
    config.module = config.environment["REAL_MODULE"].clone().into();
    let root = SoftHsm::root(&config);
    make("ff", &attributes, &hsm);
    assert_eq!(of_key(&root).await, [""; 0]);
    for at in 0..attributes.len() {
        // Less than enough makes another sentence than too much; the one that wraps is left alone.
        if ["encrypt", "decrypt"].contains(&attributes[at].0.as_str()) {
            continue;
        }
        let mut other = attributes.clone();
        other[at].1 ^= true;
        make("01", &other, &hsm);
        assert_ne!(of_key(&root).await, [""; 0], "{}", other[at].0);
        hsm.destroy_key(LABEL, "01");
    }
}
