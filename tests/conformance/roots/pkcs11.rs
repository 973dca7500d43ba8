//! PKCS#11, on SoftHSM 2: what the token says, and a module that crashes, hangs and refuses.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use kms_plugin::root::{
    pkcs11::{Config, Mechanism, Pkcs11, Token},
    remote::{Binding, RemoteRoot, RootError, WrappedKek},
};

use super::{
    corrupt, local_kek, refused,
    suite::{Subject, conforms},
    unreachable,
};
use crate::support::softhsm::{FOR_GCM, FOR_KEY_WRAP, LABEL, SoftHsm};

mod classes;
mod daemon;
mod pin;
mod process;
mod review;

/// One place, the same each time.
fn place() -> Binding {
    Binding {
        context: "conformance".to_owned(),
        kek: [7; 16],
    }
}

/// Wraps and unwraps a fresh local KEK.
async fn round_trip(root: &Pkcs11) -> Result<WrappedKek, RootError> {
    let kek = local_kek();
    let wrapped = root.wrap(&kek, &place()).await?;
    let opened = root.unwrap(&wrapped, &place()).await?;
    assert!(opened.expose() == kek.expose());
    Ok(wrapped)
}

/// A token with one key, and a root that uses it.
fn with_key(attributes: &[&str]) -> (SoftHsm, Config) {
    let hsm = SoftHsm::new();
    hsm.make_key(LABEL, "01", attributes);
    let config = hsm.config();
    (hsm, config)
}

/// Asks until the module answers, which it does not while the pause after a failure lasts.
async fn until_it_answers(root: &Pkcs11) -> WrappedKek {
    let start = Instant::now();
    loop {
        match round_trip(root).await {
            Ok(wrapped) => return wrapped,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(60), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The processes that have the module loaded.
fn processes(module: &Path) -> Vec<u32> {
    let module = module.to_str().unwrap();
    let has = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/maps")).is_ok_and(|maps| maps.contains(module))
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .filter(has)
        .collect()
}

async fn eventually_no_process(module: &Path) {
    let start = Instant::now();
    while !processes(module).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn it_conforms() {
    for attributes in [FOR_GCM, FOR_KEY_WRAP] {
        let (hsm, config) = with_key(attributes);
        hsm.make_key("stranger", "01", attributes);
        let mut other = config.clone();
        other.key.label = "stranger".to_owned();
        let mut next = 1;
        conforms(Subject {
            root: &SoftHsm::root(&config),
            stranger: &SoftHsm::root(&other),
            kind: "pkcs11",
            rotate: Some(&mut || {
                next += 1;
                hsm.make_key(LABEL, &format!("{next:02x}"), attributes);
            }),
            flip_every: 1,
            at_once: 20,
        })
        .await;
    }
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn both_mechanisms_wrap_and_each_opens_the_others() {
    let hsm = SoftHsm::new();
    hsm.make_key(LABEL, "01", &[]);
    for (mechanism, len) in [
        (Mechanism::Auto, 61),
        (Mechanism::AesGcm, 61),
        (Mechanism::AesKeyWrap, 89),
    ] {
        let mut config = hsm.config();
        config.mechanism = mechanism;
        let wrapped = round_trip(&SoftHsm::root(&config)).await.unwrap();
        assert_eq!(wrapped.ciphertext.len(), len, "{mechanism:?}");
        config.mechanism = Mechanism::Auto;
        let opened = SoftHsm::root(&config).unwrap(&wrapped, &place()).await;
        assert!(opened.is_ok(), "{mechanism:?}");
    }
}

/// The key 40, 41 … 5f; the local KEK 00, 01 … 1f for [`place`], wrapped by the AES-GCM and the RFC 3394 of Python's
/// `cryptography` 48.
const GOLDEN: [&str; 2] = [
    "01a0a1a2a3a4a5a6a7a8a9aaabd78e043ce6ee9a2a71664bf585b13ef9ff06e7d4f87a933afac5f481f5df60e78913f44220e638e7c2791c999272ee1e",
    "026728da12fe98199bf0046b60a85b4a378d1ba4e72d532d669049577fecc7bc79f189ed6d3c8b76ef7718ec123c8eab4715a5f8127e5d76b5b1b4ba96c109dd44a08c262cb0a31acfcaa1a7003773e1f560b83453e1800cc2",
];

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn golden_values_open_for_ever() {
    let hsm = SoftHsm::new();
    hsm.import_key(LABEL, "01", &std::array::from_fn(|at| 0x40 + at as u8));
    let root = SoftHsm::root(&hsm.config());
    let kek: [u8; 32] = std::array::from_fn(|at| at as u8);
    for golden in GOLDEN {
        let wrapped = WrappedKek {
            version: "pkcs11:another-token/kms#01".parse().unwrap(),
            ciphertext: hex::decode(golden).unwrap(),
        };
        let opened = root.unwrap(&wrapped, &place()).await.unwrap();
        assert!(opened.expose() == &kek);
    }
    let sentences = root.review().await.unwrap();
    assert!(
        sentences
            .iter()
            .any(|one| one.contains("was made outside of")),
        "{sentences:?}"
    );
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn auto_takes_what_token_and_key_allow() {
    let (hsm, config) = with_key(FOR_KEY_WRAP);
    let root = SoftHsm::root(&config);
    assert_eq!(round_trip(&root).await.unwrap().ciphertext[0], 2);
    hsm.make_key(LABEL, "02", FOR_GCM);
    assert_eq!(round_trip(&root).await.unwrap().ciphertext[0], 1);

    hsm.set_faults("C_GetMechanismInfo no-gcm");
    let said = refused(round_trip(&root).await);
    assert!(
        said.contains("02 may not be used for CKM_AES_GCM nor CKM_AES_KEY_WRAP"),
        "{said}"
    );
    let mut config = config;
    config.mechanism = Mechanism::AesGcm;
    let root = SoftHsm::root(&config);
    let said = unreachable(root.wrap(&local_kek(), &place()).await);
    assert_eq!(said, "cannot be reached: the token has no CKM_AES_GCM");
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn an_iv_that_the_token_makes_is_read_back() {
    let (hsm, config) = with_key(FOR_GCM);
    hsm.set_faults("C_EncryptInit own-iv");
    let root = SoftHsm::root(&config);
    let (one, other) = (
        round_trip(&root).await.unwrap(),
        round_trip(&root).await.unwrap(),
    );
    assert_ne!(one.ciphertext[1..13], [0; 12]);
    assert_ne!(one.ciphertext[1..13], other.ciphertext[1..13]);
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn the_highest_id_wraps_unless_ids_are_listed_and_all_open() {
    let (hsm, config) = with_key(FOR_GCM);
    let root = SoftHsm::root(&config);
    let old = round_trip(&root).await.unwrap();
    let version = old.version.as_str();
    assert!(
        version.starts_with("pkcs11:") && version.ends_with("/kms#01"),
        "{version}"
    );
    assert_eq!(root.version().await.unwrap(), old.version);

    hsm.make_key(LABEL, "0100", FOR_GCM);
    hsm.make_key(LABEL, "ff", FOR_GCM);
    hsm.make_key("another", "0200", FOR_GCM);
    assert!(
        root.version()
            .await
            .unwrap()
            .as_str()
            .ends_with("/kms#0100")
    );
    assert_ne!(round_trip(&root).await.unwrap().version, old.version);
    assert!(root.unwrap(&old, &place()).await.is_ok());

    let mut listed = config.clone();
    listed.key.ids = vec!["01".to_owned(), "ff".to_owned()];
    let listed = SoftHsm::root(&listed);
    assert_eq!(listed.version().await.unwrap(), old.version);
    let new = round_trip(&root).await.unwrap();
    let said = corrupt(listed.unwrap(&new, &place()).await);
    assert!(
        said.ends_with("/kms#0100 is no key of this root's"),
        "{said}"
    );
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn the_token_is_found_by_label_or_serial_number() {
    let (hsm, mut config) = with_key(FOR_GCM);
    let version = SoftHsm::root(&config).version().await.unwrap();
    let serial = version.as_str()["pkcs11:".len()..]
        .split('/')
        .next()
        .unwrap()
        .to_owned();

    hsm.add_token(LABEL);
    let said = unreachable(SoftHsm::root(&config).version().await);
    assert!(
        said.contains("several tokens have the label \"kms\"; "),
        "{said}"
    );
    config.token = Token::Serial(serial);
    assert_eq!(SoftHsm::root(&config).version().await.unwrap(), version);
    config.token = Token::Label("none".to_owned());
    let said = unreachable(SoftHsm::root(&config).version().await);
    assert!(
        said.contains("no token has the label \"none\", only: "),
        "{said}"
    );
}
