//! The suite can fail: whatever a plugin does wrong breaks the rules about that and no others.

use std::{
    collections::BTreeSet,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use tokio::{io::copy_bidirectional, net::UnixStream};

use crate::{
    contract::{Report, Target, check, rules},
    faulty::{Fault, Faulty},
};

/// What every plugin on tonic breaks: its HTTP/2 library takes no path for an authority.
const OF_TONIC: [&str; 2] = ["authority-path", "authority-escaped-path"];

/// Every fault and the rules it breaks.
const FAULTS: &[(Fault, &[&str])] = &[
    (Fault::None, &[]),
    (Fault::AtTheLimits, &[]),
    (Fault::AnotherPackage, &["status-call"]),
    (Fault::SwapsFields, &["version", "healthz"]),
    (Fault::HangsInStatus, &["status-call"]),
    (Fault::RefusesEncrypt, &["encrypt-call"]),
    (Fault::LosesAByte, &["decrypt-call"]),
    (Fault::RefusesUnknownFields, &["unknown-fields"]),
    (Fault::TakesAnyMessage, &["malformed-messages"]),
    (Fault::UnknownVersion, &["version"]),
    (Fault::ChangesVersion, &["status-constant"]),
    (Fault::Sick, &["healthz"]),
    (Fault::FallsSick, &["status-constant"]),
    (Fault::AsksSomebodyForStatus, &["status-under-load"]),
    (Fault::LongKeyId, &["key-id-limits"]),
    (Fault::LongCiphertext, &["ciphertext-limits"]),
    (Fault::ManyAnnotations, &["annotation-limits"]),
    (Fault::ShortAnnotationKey, &["annotation-keys"]),
    // Its two key ids are never the same, nor is one of them ever left.
    (
        Fault::AnotherKeyIdInEncrypt,
        &["key-id-agrees", "rotation-agrees", "rotation-never-back"],
    ),
    (Fault::RepeatsItself, &["encrypt-randomised"]),
    (Fault::CutsPlaintexts, &["plaintext-lengths"]),
    (Fault::NeedsAUid, &["uid-empty"]),
    (
        Fault::OpensAnyKeyId,
        &["unknown-key-id", "rotation-binds-key-id"],
    ),
    (Fault::OpensAnyCiphertext, &["altered-ciphertext"]),
    (Fault::OpensAnyAnnotations, &["altered-annotations"]),
    (Fault::Tells, &["error-text"]),
    (Fault::TellsInNumbers, &["error-text"]),
    (Fault::Slow, &["in-time"]),
    (Fault::HangsUpAtThe300thCall, &["burst-one-connection"]),
    (Fault::LosesConnections, &["burst-many-connections"]),
    (Fault::NeedsWholeFrames, &["split-frames"]),
    (Fault::TakesMessagesOfAnySize, &["oversized-messages"]),
    (Fault::HangsUpAfterNoise, &["oversized-frames", "noise"]),
    // Whatever goes on after a refusal.
    (
        Fault::HangsUpAfterARefusal,
        &[
            "malformed-messages",
            "unknown-key-id",
            "altered-ciphertext",
            "altered-annotations",
            "rotation-binds-key-id",
        ],
    ),
    (Fault::HangsUpAfterADeadline, &["abandoned-calls"]),
    (Fault::NeedsAHostName, &["authority-abstract"]),
    (Fault::OpenToAll, &["socket-permissions"]),
    (Fault::NeverRotates, &["rotation-arrives"]),
    // An Encrypt that is late still answers the old key id.
    (
        Fault::EncryptRotatesLater,
        &["rotation-agrees", "rotation-never-back"],
    ),
    (Fault::GoesBack, &["rotation-never-back"]),
    (
        Fault::ForgetsOldKeys,
        &["rotation-opens-old", "restart-opens-old"],
    ),
    (Fault::StaysDown, &["restart-answers"]),
    (Fault::LeavesTheSocket, &["restart-answers"]),
    (Fault::RotatesAtRestart, &["restart-same-key-id"]),
    (Fault::ForgetsAtRestart, &["restart-opens-old"]),
];

#[test]
fn every_rule_can_be_broken() {
    let broken: BTreeSet<_> = FAULTS
        .iter()
        .flat_map(|(_, rules)| *rules)
        .copied()
        .collect();
    let broken: BTreeSet<_> = broken.into_iter().chain(OF_TONIC).collect();
    let all: BTreeSet<_> = rules::all().map(|rule| rule.name).collect();
    assert_eq!(broken, all);
}

/// Most of them wait for something most of the time, so there are some at once.
#[test]
fn every_fault_breaks_its_rules_and_no_others() {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((fault, broken)) = FAULTS.get(next.fetch_add(1, SeqCst)) {
                    let report = try_out(*fault);
                    if let Err(why) = judge(&report, broken) {
                        wrong.lock().unwrap().push(format!("{fault:?}: {why}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Without commands, and on a socket that is no file.
#[tokio::test]
async fn what_cannot_be_tried_is_not_run() {
    let faulty = Faulty::start(Fault::None);
    let name = format!("ringfence-contract-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::UnixListener::from_std(listener).unwrap();
    let socket = faulty.target().socket;
    tokio::spawn(async move {
        while let Ok((mut here, _)) = listener.accept().await {
            let mut there = UnixStream::connect(&socket).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut here, &mut there).await });
        }
    });

    let report = check(&Target::new(format!("@{name}")), |_| ()).await;
    assert_eq!(report.failed(), OF_TONIC);
    let not_run: Vec<_> = report.not_run();
    let without_a_mode = ("socket-permissions", "an abstract socket has no mode");
    assert_eq!(not_run[0], without_a_mode);
    for (rule, why) in &not_run[1..] {
        let (subject, _) = rule.split_once('-').unwrap();
        let command = match subject {
            "rotation" => "ROTATE_CMD",
            _ => "RESTART_CMD",
        };
        assert_eq!(*why, format!("there is no {command}"), "{rule}");
    }
    assert_eq!(not_run.len(), 9);
    assert_eq!(report.to_string(), "30 passed, 2 failed, 9 not run");
}

fn try_out(fault: Fault) -> Report {
    let faulty = Faulty::start(fault);
    let mut target = faulty.target();
    target.burst = 64;
    match fault {
        Fault::HangsUpAtThe300thCall => target.burst = 400,
        Fault::AsksSomebodyForStatus => target.patience = Duration::from_secs(8),
        Fault::HangsInStatus | Fault::StaysDown => target.patience = Duration::from_secs(5),
        Fault::NeverRotates => target.rotation = Duration::from_secs(1),
        Fault::Slow => target.budget = Duration::from_millis(50),
        _ => {}
    }
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(check(&target, |_| ()))
}

/// Exactly these rules are broken, and what was not tried waits for one of them.
fn judge(report: &Report, broken: &[&str]) -> Result<(), String> {
    let mut expected: BTreeSet<_> = broken.iter().copied().collect();
    if !expected.contains("status-call") {
        expected.extend(OF_TONIC);
    }
    let failed: BTreeSet<_> = report.failed().into_iter().collect();
    if failed != expected {
        let lines: Vec<_> = report.0.iter().map(ToString::to_string).collect();
        return Err(format!("not {expected:?} but\n{}", lines.join("\n")));
    }
    for (rule, why) in report.not_run() {
        if !failed.iter().any(|failed| why.starts_with(failed)) {
            return Err(format!("{rule} was not run: {why}"));
        }
    }
    Ok(())
}
