//! What the answers of a token mean.

use kms_plugin::root::remote::RemoteRoot;

use super::{place, round_trip, until_it_answers, with_key};
use crate::{
    roots::{corrupt, local_kek, refused, unreachable},
    support::softhsm::{FOR_GCM, FOR_KEY_WRAP, LABEL, SoftHsm},
};

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
        // What was just wrapped is not to blame.
        let said = unreachable(root.wrap(&local_kek(), &place()).await);
        assert!(
            said.contains("does not open what it has just wrapped"),
            "{said}"
        );
        hsm.set_faults("");
        until_it_answers(&root).await;
    }
}
