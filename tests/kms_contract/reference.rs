//! Kubernetes' own library for plugins, `k8s.io/kms/pkg/service`, under an honest plugin
//! (`tests/servers/kms-reference`): the suite asks for nothing that upstream does not do.

use std::{
    fs,
    os::unix::net::UnixStream,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    contract::{Target, check},
    support::server::{Server, binary},
};

#[tokio::test]
#[ignore = "needs Go's reference service; `make conformance` runs it"]
async fn the_reference_service_keeps_the_contract() {
    assert_eq!(broken_when_ended_by(Signal::TERM).await, [""; 0]);
}

/// The library listens at its path and looks at nothing that is there: what a killed process left
/// keeps the next one out. It is for each plugin to clean up, and most do not.
#[tokio::test]
#[ignore = "needs Go's reference service; `make conformance` runs it"]
async fn a_killed_reference_service_does_not_come_back() {
    assert_eq!(
        broken_when_ended_by(Signal::KILL).await,
        ["restart-answers"]
    );
}

/// The rules that it breaks, of all that can be tried on it.
async fn broken_when_ended_by(end: Signal) -> Vec<&'static str> {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    fs::create_dir(folder.path().join("keys")).unwrap();
    let mut server = start(&folder);
    let socket = folder.path().join("kms.sock");
    server.wait_until("serves", || UnixStream::connect(&socket).ok());

    let server = Arc::new(Mutex::new(server));
    let rotating = Arc::clone(&server);
    let target = Target {
        rotate: Some(Arc::new(move || {
            rotating.lock().unwrap().signal(Signal::HUP);
            Ok(())
        })),
        restart: Some(Arc::new(move || {
            let mut server = server.lock().unwrap();
            server.end(end);
            *server = start(&folder);
            Ok(())
        })),
        patience: Duration::from_secs(15),
        ..Target::new(socket)
    };
    let report = check(&target, |tried| println!("{tried}")).await;
    println!("{report}");
    for (_, why) in report.not_run() {
        assert_eq!(why, "restart-answers was not kept");
    }
    report.failed()
}

fn start(folder: &TempDir) -> Server {
    let mut command = Command::new(binary("kms-reference"));
    command.arg("-socket").arg(folder.path().join("kms.sock"));
    command.arg("-keys").arg(folder.path().join("keys"));
    Server::start("kms-reference", &mut command, folder.path())
}
