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
use crate::support::softhsm::{FOR_GCM, FOR_KEY_WRAP, LABEL, PIN, SoftHsm};

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

/// The key 40, 41 … 5f; the local KEK 00, 01 … 1f for [`binding`], wrapped by the AES-GCM and the RFC 3394 of Python's
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
async fn a_key_that_is_gone_or_disabled_is_refused() {
    let (hsm, config) = with_key(FOR_GCM);
    hsm.make_key(LABEL, "02", FOR_GCM);
    let root = SoftHsm::root(&config);
    let wrapped = round_trip(&root).await.unwrap();

    hsm.change_key(LABEL, "02", &["encrypt=0", "decrypt=0"]);
    let said = refused(root.wrap(&local_kek(), &place()).await);
    assert!(
        said.contains("02 may not be used for CKM_AES_GCM"),
        "{said}"
    );
    let said = refused(root.unwrap(&wrapped, &place()).await);
    assert!(
        said.contains("C_DecryptInit answers CKR_KEY_FUNCTION_NOT_PERMITTED"),
        "{said}"
    );
    hsm.change_key(LABEL, "02", &["encrypt=1", "decrypt=1"]);
    assert!(root.unwrap(&wrapped, &place()).await.is_ok());

    hsm.destroy_key(LABEL, "02");
    let said = refused(root.unwrap(&wrapped, &place()).await);
    assert!(
        said.ends_with("the token has no AES key with the label \"kms\" and the CKA_ID 02"),
        "{said}"
    );
    hsm.destroy_key(LABEL, "01");
    let said = refused(root.version().await);
    assert!(
        said.ends_with("the token has no AES key with the label \"kms\" and a CKA_ID"),
        "{said}"
    );
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn what_another_key_made_is_corrupt_although_softhsm_has_one_answer_for_all_faults() {
    for attributes in [FOR_GCM, FOR_KEY_WRAP] {
        let (hsm, config) = with_key(attributes);
        let root = SoftHsm::root(&config);
        let wrapped = round_trip(&root).await.unwrap();
        hsm.destroy_key(LABEL, "01");
        hsm.make_key(LABEL, "01", attributes);
        let said = corrupt(root.unwrap(&wrapped, &place()).await);
        assert!(
            said.ends_with(": it does not authenticate under the key"),
            "{said}"
        );
        assert!(round_trip(&root).await.is_ok());
    }
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_key_that_may_only_unwrap_still_tells_what_is_corrupt() {
    let (hsm, config) = with_key(FOR_GCM);
    let root = SoftHsm::root(&config);
    let mut wrapped = round_trip(&root).await.unwrap();
    hsm.change_key(LABEL, "01", &["encrypt=0"]);
    assert!(root.unwrap(&wrapped, &place()).await.is_ok());
    wrapped.ciphertext[20] ^= 1;
    let said = corrupt(root.unwrap(&wrapped, &place()).await);
    assert!(
        said.ends_with(": it does not authenticate under the key"),
        "{said}"
    );
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_sick_device_is_not_taken_for_a_bad_ciphertext() {
    let (hsm, config) = with_key(FOR_GCM);
    let root = SoftHsm::root(&config);
    let wrapped = round_trip(&root).await.unwrap();
    for (fault, name) in [
        ("C_Decrypt 0x5", "C_Decrypt answers CKR_GENERAL_ERROR"),
        ("C_Decrypt 0x30", "C_Decrypt answers CKR_DEVICE_ERROR"),
        ("C_Decrypt 0x32", "C_Decrypt answers CKR_DEVICE_REMOVED"),
        (
            "C_DecryptInit 0xb3",
            "C_DecryptInit answers CKR_SESSION_HANDLE_INVALID",
        ),
        (
            "C_OpenSession 0xe0",
            "C_OpenSession answers CKR_TOKEN_NOT_PRESENT",
        ),
        (
            "C_DecryptInit 0x80000123",
            "C_DecryptInit answers 0x80000123",
        ),
    ] {
        hsm.set_faults(fault);
        let said = unreachable(root.unwrap(&wrapped, &place()).await);
        assert!(said.contains(name), "{fault}: {said}");
        hsm.set_faults("");
        until_it_answers(&root).await;
    }
    for (fault, name) in [
        (
            "C_Decrypt 0x40",
            "C_Decrypt answers CKR_ENCRYPTED_DATA_INVALID",
        ),
        ("C_Decrypt 0x42", "C_Decrypt answers 0x42"),
    ] {
        hsm.set_faults(fault);
        let said = corrupt(root.unwrap(&wrapped, &place()).await);
        assert!(said.contains(name), "{fault}: {said}");
    }
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_lost_session_costs_one_new_login() {
    let (hsm, config) = with_key(FOR_GCM);
    let root = SoftHsm::root(&config);
    round_trip(&root).await.unwrap();
    round_trip(&root).await.unwrap();
    assert_eq!(hsm.calls("C_Login"), 1);
    // As after C_CloseAllSessions or a token that was out for a moment: the daemon's process is of no more use.
    hsm.set_faults("C_FindObjectsInit 0xb3");
    let said = unreachable(root.version().await);
    assert!(said.contains("CKR_SESSION_HANDLE_INVALID"), "{said}");
    assert_eq!(hsm.calls("C_Login"), 2);
    hsm.set_faults("");
    until_it_answers(&root).await;
    assert_eq!(hsm.calls("C_Login"), 3);
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_crash_mid_call_is_answered_and_the_next_process_works() {
    let (hsm, config) = with_key(FOR_GCM);
    for function in ["C_Initialize", "C_GetSlotList", "C_Login", "C_Encrypt"] {
        let root = SoftHsm::root(&config);
        if function == "C_Encrypt" {
            round_trip(&root).await.unwrap();
        }
        hsm.set_faults(&format!("{function} crash"));
        let said = unreachable(root.wrap(&local_kek(), &place()).await);
        assert!(
            said.contains("its process ended (signal: 11"),
            "{function}: {said}"
        );
        hsm.set_faults("");
        until_it_answers(&root).await;
    }
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_hang_mid_call_is_answered_in_time_and_leaves_no_process() {
    let (hsm, mut config) = with_key(FOR_GCM);
    config.timeout = Duration::from_millis(1500);
    for function in ["C_Initialize", "C_Login", "C_Encrypt"] {
        let root = SoftHsm::root(&config);
        hsm.set_faults(&format!("{function} hang"));
        let start = Instant::now();
        let said = unreachable(root.wrap(&local_kek(), &place()).await);
        assert!(
            said.ends_with("the module did not answer within 1.5s; its process was ended"),
            "{said}"
        );
        assert!(start.elapsed() < Duration::from_secs(15), "{function}");
        eventually_no_process(&config.module).await;
        hsm.set_faults("");
        until_it_answers(&root).await;
    }
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_call_that_is_given_up_half_way_does_no_harm() {
    let (hsm, mut config) = with_key(FOR_GCM);
    config.timeout = Duration::from_secs(4);
    let root = SoftHsm::root(&config);
    let wrapped = round_trip(&root).await.unwrap();
    let given_up = async || {
        let (bound, limit) = (place(), Duration::from_millis(200));
        tokio::time::timeout(limit, root.unwrap(&wrapped, &bound))
            .await
            .is_err()
    };
    hsm.set_faults("C_FindObjectsInit slow");
    assert!(given_up().await);
    hsm.set_faults("");
    round_trip(&root).await.unwrap();

    hsm.set_faults("C_Decrypt hang");
    assert!(given_up().await && given_up().await);
    eventually_no_process(&config.module).await;
    hsm.set_faults("");
    until_it_answers(&root).await;
    assert_eq!(hsm.calls("C_Login"), 2);
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_start_that_takes_longer_than_its_call_is_not_begun_anew() {
    let (hsm, config) = with_key(FOR_GCM);
    hsm.set_faults("C_Initialize slow");
    let root = SoftHsm::root(&config);
    let limit = Duration::from_millis(300);
    let start = Instant::now();
    let mut given_up = 0;
    while tokio::time::timeout(limit, root.version()).await.is_err() {
        given_up += 1;
        assert!(start.elapsed() < Duration::from_secs(60));
    }
    assert!(given_up > 1, "{given_up}");
    until_it_answers(&root).await;
    assert_eq!(hsm.calls("C_Initialize"), 1);
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn the_process_is_started_anew_less_and_less_often() {
    let (hsm, config) = with_key(FOR_GCM);
    hsm.set_faults("C_Initialize crash");
    let root = SoftHsm::root(&config);
    let mut paused = 0;
    for _ in 0..100 {
        let said = unreachable(root.version().await);
        paused += usize::from(said.contains("; tried again in "));
    }
    let started = hsm.calls("C_Initialize");
    assert_eq!(started + paused, 100);
    assert!((1..50).contains(&started), "{started}");
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn the_process_dies_with_the_root() {
    let (_hsm, config) = with_key(FOR_GCM);
    let root = SoftHsm::root(&config);
    round_trip(&root).await.unwrap();
    assert_eq!(processes(&config.module).len(), 1);
    drop(root);
    eventually_no_process(&config.module).await;
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn the_process_has_nothing_of_our_environment_and_dumps_no_core() {
    let (_hsm, config) = with_key(FOR_GCM);
    let root = SoftHsm::root(&config);
    round_trip(&root).await.unwrap();
    let [process] = processes(&config.module)[..] else {
        panic!("not one process");
    };
    let of = |name: &str| std::fs::read(format!("/proc/{process}/{name}")).unwrap();
    let environment = of("environ");
    let environment: Vec<_> = environment
        .split(|byte| *byte == 0)
        .filter(|variable| !variable.is_empty())
        .collect();
    assert_eq!(environment.len(), config.environment.len());
    let arguments = of("cmdline");
    assert_eq!(arguments, b"kms-plugin\0pkcs11-module\0");
    let limits = String::from_utf8(of("limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let core: Vec<_> = core.unwrap().split_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"]);
    assert!(!String::from_utf8_lossy(&of("environ")).contains(PIN));
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_wrong_pin_is_tried_once_until_the_file_changes() {
    let (hsm, config) = with_key(FOR_GCM);
    hsm.write_pin("a wrong PIN");
    let root = SoftHsm::root(&config);
    let ask = async || unreachable(root.wrap(&local_kek(), &place()).await);
    for _ in 0..5 {
        let said = ask().await;
        assert!(said.contains("C_Login answers CKR_PIN_INCORRECT"), "{said}");
        assert!(
            said.contains("not tried again until") && !said.contains("wrong"),
            "{said}"
        );
    }
    assert_eq!(hsm.calls("C_Login"), 1);

    // Not even a process is started for it.
    assert_eq!(hsm.calls("C_Initialize"), 1);

    hsm.write_pin("another wrong PIN");
    ask().await;
    ask().await;
    assert_eq!(hsm.calls("C_Login"), 2);

    hsm.write_pin(PIN);
    round_trip(&root).await.unwrap();
    assert_eq!(hsm.calls("C_Login"), 3);
}

/// Tokens may take their time over a wrong PIN, longer than a call of the daemon.
#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_wrong_pin_is_tried_once_although_the_call_was_given_up() {
    let (hsm, config) = with_key(FOR_GCM);
    hsm.write_pin("a wrong PIN");
    hsm.set_faults("C_Login slow");
    let root = SoftHsm::root(&config);
    let start = Instant::now();
    let said = loop {
        let limit = Duration::from_millis(300);
        if let Ok(answer) = tokio::time::timeout(limit, root.version()).await {
            break unreachable(answer);
        }
        assert!(start.elapsed() < Duration::from_secs(60));
    };
    assert!(start.elapsed() > Duration::from_secs(1));
    assert!(said.contains("CKR_PIN_INCORRECT"), "{said}");
    assert_eq!(hsm.calls("C_Login"), 1);
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_locked_or_expired_pin_is_tried_once() {
    for (answer, name) in [("0xa4", "CKR_PIN_LOCKED"), ("0xa3", "CKR_PIN_EXPIRED")] {
        let (hsm, config) = with_key(FOR_GCM);
        hsm.set_faults(&format!("C_Login {answer}"));
        let root = SoftHsm::root(&config);
        for _ in 0..3 {
            let said = unreachable(root.version().await);
            assert!(said.contains(name), "{said}");
        }
        assert_eq!(hsm.calls("C_Login"), 1);
    }
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn the_last_try_before_the_token_locks_is_left_to_a_person() {
    const LOCKED: &str = "C_GetTokenInfo 0x40000";
    const FINAL_TRY: &str = "C_GetTokenInfo 0x20000";
    for (flags, words) in [
        (FINAL_TRY, "takes one more wrong PIN"),
        (LOCKED, "has locked its user PIN"),
    ] {
        let (hsm, config) = with_key(FOR_GCM);
        hsm.set_faults(flags);
        let root = SoftHsm::root(&config);
        let said = unreachable(root.version().await);
        assert!(said.contains(words), "{said}");
        assert_eq!(hsm.calls("C_Login"), 0);
    }
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

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn what_cannot_be_loaded_is_said() {
    let (hsm, mut config) = with_key(FOR_GCM);
    config.module = hsm.path("pin");
    let said = unreachable(SoftHsm::root(&config).version().await);
    assert!(said.contains("cannot load the module "), "{said}");
    let root = Pkcs11::open_with(&config, Path::new("/nonexistent"));
    let said = unreachable(root.version().await);
    assert!(said.contains("cannot start /nonexistent "), "{said}");
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn the_review_finds_what_an_operator_will_regret() {
    let (hsm, mut config) = with_key(FOR_GCM);
    config.module = config.environment["REAL_MODULE"].clone().into();
    let root = SoftHsm::root(&config);
    assert_eq!(root.review().await.unwrap(), [""; 0]);

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
    let sentences = root.review().await.unwrap();
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
    let sample = include_str!("../../../config/pkcs11/key-attributes");
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
    assert_eq!(root.review().await.unwrap(), [""; 0]);
    for at in 0..attributes.len() {
        // Less than enough makes another sentence than too much; the one that wraps is left alone.
        if ["encrypt", "decrypt"].contains(&attributes[at].0.as_str()) {
            continue;
        }
        let mut other = attributes.clone();
        other[at].1 ^= true;
        make("01", &other, &hsm);
        assert_ne!(root.review().await.unwrap(), [""; 0], "{}", other[at].0);
        hsm.destroy_key(LABEL, "01");
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
