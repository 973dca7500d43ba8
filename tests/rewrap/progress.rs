//! What a person sees while a run works.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read as _},
    process::Stdio,
    thread,
};

use rustix::{
    fs::OFlags,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use super::store::Store;
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesCbc, AesGcm, Identity},
    rewrap,
};

/// So slow that it takes more than the 5 s after which a line is printed.
const OBJECTS: usize = 70;
const SLOWLY: [&str; 3] = ["--yes", "--assume-converged", "--rate=10"];

fn stale() -> Store {
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    store.fill(OBJECTS, AesCbc("old"), &mut Dice::new());
    store
}

/// What a run prints on a terminal of 100 columns that stderr is.
fn on_a_terminal(store: &Store, more: &[&str], variables: &[(&str, &str)]) -> String {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let size = Winsize {
        ws_row: 24,
        ws_col: 100,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&master, size).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let mut options = OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, OFlags::NOCTTY.bits() as i32);
    let terminal = options
        .read(true)
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    let mut master = File::from(master);
    let read = thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut some = [0; 4096];
        loop {
            match master.read(&mut some) {
                Ok(0) => break,
                Ok(length) => bytes.extend(&some[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Linux says EIO when nobody has the terminal open any more.
                Err(_) => break,
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let mut command = rewrap::command(["run"]);
    command
        .arg(format!("--endpoints={}", store.etcd.endpoint()))
        .arg("--encryption-provider-config")
        .arg(store.encryption())
        .args(["--yes", "--assume-converged"])
        .args(more)
        .env_remove("NO_COLOR")
        .env("TERM", "xterm")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(terminal);
    let mut child = command.spawn().unwrap();
    // It keeps the terminal open.
    drop(command);
    assert!(child.wait().unwrap().success());
    read.join().unwrap()
}

/// Whether a text changes colours or the like: escape, bracket, numbers, `m`.
fn is_coloured(text: &str) -> bool {
    text.split("\x1b[").skip(1).any(|sequence| {
        let numbers = |char: char| char.is_ascii_digit() || char == ';';
        sequence.trim_start_matches(numbers).starts_with('m')
    })
}

#[test]
fn a_terminal_shows_a_bar_for_the_resource_and_one_for_all() {
    let store = stale();
    let shown = on_a_terminal(&store, &["--rate=70"], &[]);
    for words in [
        "secrets ",
        "all, resource 1 of 1",
        "/70",
        "ETA 00:00:",
        " objects/s, ",
        " MiB/s, 0 conflicts, database ",
        " of 2.00 GiB",
        "70/70 in 00:00:",
    ] {
        assert!(shown.contains(words), "{words:?} is not in {shown:?}");
    }
    assert!(is_coloured(&shown), "{shown:?}");
}

#[test]
fn colours_are_not_for_those_who_want_none() {
    let store = stale();
    let shown = on_a_terminal(&store, &["--rate=70"], &[("NO_COLOR", "1")]);
    assert!(shown.contains("all, resource 1 of 1"), "{shown:?}");
    assert!(!is_coloured(&shown), "{shown:?}");
}

#[test]
fn quiet_shows_no_progress_and_keeps_what_it_says() {
    let store = stale();
    let shown = on_a_terminal(&store, &["--rate=70", "--quiet"], &[]);
    let hint = "next: `rewrap verify` proves it at one revision\r\n";
    assert_eq!(shown, hint);
    let store = stale();
    let told = store
        .rewrap("run", &[&SLOWLY[..], &["--quiet"]].concat())
        .expect(0);
    assert_eq!(told.stderr, hint.replace('\r', ""));
    assert!(told.stdout.contains("70 rewrapped"), "{told}");
    for verb in ["status", "plan", "verify"] {
        store.rewrap(verb, &["-q"]).expect(0);
    }
}

#[test]
fn without_a_terminal_a_line_says_the_same() {
    let store = stale();
    let told = store.rewrap("run", &SLOWLY).expect(0);
    let line = told
        .stderr
        .lines()
        .find(|line| line.starts_with("rewriting secrets "));
    let line = line.unwrap_or_else(|| panic!("no line of progress: {told}"));
    let words = [
        " of 70, all ",
        " of 70 objects, ETA 00:00:",
        " objects/s, ",
        " MiB/s, 0 conflicts, database ",
        " of 2.00 GiB",
    ];
    for words in words {
        assert!(line.contains(words), "{words:?} is not in {line:?}");
    }
    assert!(!told.stderr.contains('\x1b'), "{told}");
}
