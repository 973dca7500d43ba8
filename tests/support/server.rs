//! A server process of a test: its binary, its log, its end.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use rustix::process::{Pid, Signal, kill_process};

use super::eventually;

/// A running server. Dropping it kills it, and shows the end of its log if the test is failing.
pub(crate) struct Server {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `command` with its output appended to `<name>.log` in `folder`.
    pub(crate) fn start(name: &'static str, command: &mut Command, folder: &Path) -> Self {
        let log = folder.join(name).with_extension("log");
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self { name, child, log }
    }

    /// Asks `ready` again and again until it answers; fails if the server ends first.
    pub(crate) fn wait_until<T>(&mut self, what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
        let name = self.name;
        eventually(&format!("{name} {what}"), || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{name} ended with {status} before it was ready");
            }
            ready()
        })
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it with a signal that ends it.
    pub(crate) fn end(&mut self, signal: Signal) {
        self.signal(signal);
        let name = self.name;
        eventually(&format!("{name} ends"), || self.child.try_wait().unwrap());
    }

    /// Ends it with SIGKILL, unless it has ended before.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the process is gone already, which is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read(&self.log).unwrap_or_default();
            let end = &log[log.len().saturating_sub(4096)..];
            eprintln!(
                "--- the end of {}'s log\n{}",
                self.name,
                String::from_utf8_lossy(end)
            );
        }
    }
}

/// The path of a server or client binary; `tests/servers/get` builds it if need be. Looked for once.
pub(crate) fn binary(name: &str) -> PathBuf {
    static KNOWN: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap();
    known
        .entry(name.to_owned())
        .or_insert_with(|| get(name))
        .clone()
}

fn get(name: &str) -> PathBuf {
    let get = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/get");
    let answer = Command::new(get)
        .arg(name)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(
        answer.status.success(),
        "{get} {name} failed; its reason is above"
    );
    PathBuf::from(String::from_utf8(answer.stdout).unwrap().trim_end())
}

/// A port of 127.0.0.1 that nobody listens at.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
