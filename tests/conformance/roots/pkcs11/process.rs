//! The module's process: started, lost, hung, ended.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use kms_plugin::root::{pkcs11::Pkcs11, remote::RemoteRoot};

use super::{eventually_no_process, place, processes, round_trip, until_it_answers, with_key};
use crate::{
    roots::{local_kek, unreachable},
    support::softhsm::{FOR_GCM, PIN, SoftHsm},
};

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
async fn what_cannot_be_loaded_is_said() {
    let (hsm, mut config) = with_key(FOR_GCM);
    config.module = hsm.path("pin");
    let said = unreachable(SoftHsm::root(&config).version().await);
    assert!(said.contains("cannot load the module "), "{said}");
    let root = Pkcs11::open_with(&config, Path::new("/nonexistent"));
    let said = unreachable(root.version().await);
    assert!(said.contains("cannot start /nonexistent "), "{said}");
}
