//! `make kms-contract SOCKET=...`: tries on any plugin what a KMS v2 plugin must do, one line a
//! rule. `docs/kms-contract.md` says more.
//!
//! Exits with 0 if no rule was broken, 1 if one was, and 64 if it was not told what to do.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{self, Write},
    process::{Command, ExitCode, Stdio},
    sync::Arc,
};

#[path = "../../tests/kms_contract/contract/mod.rs"]
mod contract;

use contract::{Target, check, rules::table};

const USAGE: &str =
    "usage: make kms-contract SOCKET=/path/to.sock [ROTATE_CMD='...'] [RESTART_CMD='...']
       cargo run --example kms-contract -- --table

SOCKET       the plugin's socket; @NAME for an abstract one
ROTATE_CMD   makes the plugin change its key, once
RESTART_CMD  ends the plugin, better with SIGKILL than without, and starts it again";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let socket = variable("SOCKET");
    let done = match (arguments.as_slice(), socket) {
        ([flag], _) if flag == "--table" => io::stdout()
            .write_all(table().as_bytes())
            .map(|()| ExitCode::SUCCESS),
        ([], Some(socket)) => try_out(socket),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(64);
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("kms-contract: {error}");
        ExitCode::from(2)
    })
}

/// A variable that is set to something: make sets those that were given no value, too.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// Runs a command line; what it prints goes to stderr.
fn run(line: &OsStr) -> Result<(), String> {
    let status = Command::new("sh")
        .arg("-c")
        .arg(line)
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .status()
        .map_err(|error| format!("cannot run sh: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("the command ended with {status}")),
    }
}

fn try_out(socket: OsString) -> io::Result<ExitCode> {
    let target = Target {
        rotate: variable("ROTATE_CMD").map(|line| Arc::new(move || run(&line)) as _),
        restart: variable("RESTART_CMD").map(|line| Arc::new(move || run(&line)) as _),
        ..Target::new(socket)
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(check(&target, |tried| println!("{tried}")));
    println!("{report}");
    Ok(match report.failed().is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
