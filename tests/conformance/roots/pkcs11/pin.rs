//! PINs that the token refuses.

use std::time::{Duration, Instant};

use kms_plugin::root::remote::RemoteRoot;

use super::{place, round_trip, with_key};
use crate::{
    roots::{local_kek, unreachable},
    support::softhsm::{FOR_GCM, PIN, SoftHsm},
};

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
