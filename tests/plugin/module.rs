//! The process that a PKCS#11 module is loaded in, without one.

use std::{
    io::{Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Command, Stdio},
};

use crate::support::DEADLINE;

const PROGRAM: &str = env!("CARGO_BIN_EXE_kms-plugin");

#[test]
fn it_is_not_for_people() {
    let output = Command::new(PROGRAM)
        .arg("pkcs11-module")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the daemon starts this for itself"), "{said}");
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    assert!(!String::from_utf8(help.stdout).unwrap().contains("pkcs11"));
}

#[test]
fn it_ends_when_the_other_end_is_closed() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut child = Command::new(PROGRAM)
        .arg("pkcs11-module")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .unwrap();
    drop(ours);
    assert!(child.wait().unwrap().success());
}

#[test]
fn it_dies_with_its_parent_although_the_other_end_is_open() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    // The shell is the parent; it waits for its own input, which is not the socket.
    let mut parent = Command::new("sh")
        .args([
            "-c",
            "\"$0\" pkcs11-module 0<&1 >/dev/null & read -r line",
            PROGRAM,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .unwrap();
    ours.set_read_timeout(Some(DEADLINE)).unwrap();
    // It answers, so it has told the kernel what to do.
    ours.write_all(b"\0\0\0\x08\"Review\"").unwrap();
    let mut len = [0; 4];
    ours.read_exact(&mut len).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(len) as usize];
    ours.read_exact(&mut answer).unwrap();
    assert_eq!(
        answer,
        br#"{"Failed":{"Unreachable":"no module is loaded yet"}}"#
    );

    parent.kill().unwrap();
    parent.wait().unwrap();
    let mut rest = Vec::new();
    ours.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
}
