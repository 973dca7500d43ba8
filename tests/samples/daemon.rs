//! The daemon, started by the commands of the samples on a copy of the sample configuration.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{pod, sample, unit};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kms-plugin");

/// A daemon and the folder that stands for the root of its node; killed when dropped.
struct Daemon {
    node: TempDir,
    child: Child,
    http: String,
}

impl Daemon {
    /// Starts `command` as a node would, its paths moved into a folder and its port to a free one.
    fn start(command: &[String]) -> Self {
        let node = tempfile::tempdir().unwrap();
        for directory in ["etc/kms-plugin/keys", "var/run/kmsplugin"] {
            let mut make = fs::DirBuilder::new();
            make.recursive(true)
                .mode(0o750)
                .create(node.path().join(directory))
                .unwrap();
        }
        for key in ["2026-11", "2027-05"] {
            let file = node.path().join(format!("etc/kms-plugin/keys/{key}.key"));
            let made = Command::new(PROGRAM)
                .arg("keygen")
                .arg(file)
                .output()
                .unwrap();
            assert!(made.status.success(), "{made:?}");
        }
        install(node.path(), "kms-plugin.yaml");

        let mut words = command.iter();
        assert_eq!(words.next().unwrap(), "/usr/local/bin/kms-plugin");
        let mut child = Command::new(PROGRAM)
            .args(words.map(|word| moved(word, node.path())))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        let http = address(&line).unwrap_or_else(|| panic!("not serving: {line}"));
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { node, child, http }
    }

    fn status(&self) -> Output {
        let config = self.node.path().join("etc/kms-plugin/config.yaml");
        Command::new(PROGRAM)
            .args(["status", "--config"])
            .arg(config)
            .output()
            .unwrap()
    }

    /// The name of the KEK that wraps.
    fn primary(&self) -> String {
        let output = self.status();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let wraps = text.lines().find(|line| line.contains(" wraps ")).unwrap();
        wraps.split_whitespace().next().unwrap().to_owned()
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn send(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Sends SIGTERM, as kubelet and systemd do, and waits for the end.
    fn stop(mut self) {
        self.send(Signal::TERM);
        assert!(self.child.wait().unwrap().success());
        assert!(
            !self
                .node
                .path()
                .join("var/run/kmsplugin/socket.sock")
                .exists()
        );
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Puts a sample in place as `config.yaml`, in one step.
fn install(node: &Path, name: &str) {
    let text = moved(&sample(name), node).replace("127.0.0.1:8082", "127.0.0.1:0");
    let config = node.join("etc/kms-plugin/config.yaml");
    let new = config.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, config).unwrap();
}

fn moved(text: &str, node: &Path) -> String {
    let to = |path: &str| -> PathBuf { node.join(path.trim_start_matches('/')) };
    ["/etc/kms-plugin", "/var/run/kmsplugin"]
        .into_iter()
        .fold(text.to_owned(), |text, path| {
            text.replace(path, to(path).to_str().unwrap())
        })
}

/// The address for probes in the line that says that the daemon serves, in either log format.
fn address(line: &str) -> Option<String> {
    let rest = &line[line
        .find("127.0.0.1:")
        .filter(|_| line.contains("serving"))?..];
    let end = rest.find(|c: char| !(c.is_ascii_digit() || ".:".contains(c)))?;
    Some(rest[..end].to_owned())
}

#[test]
fn the_pod_starts_a_daemon_that_its_probes_reach() {
    let daemon = Daemon::start(&pod::command());
    assert!(daemon.get("/livez").starts_with("HTTP/1.1 200"));
    assert!(daemon.get("/readyz").starts_with("HTTP/1.1 200"));
    assert!(daemon.get("/metrics").contains("# EOF"));
    assert_eq!(daemon.primary(), "2026-11");
    daemon.stop();
}

#[test]
fn the_unit_starts_a_daemon_and_its_reload_rotates_the_kek() {
    let daemon = Daemon::start(&unit::setting("ExecStart"));
    assert_eq!(daemon.primary(), "2026-11");

    install(daemon.node.path(), "kms-plugin-rotated.yaml");
    let reload = ["/bin/kill", "-HUP", "$MAINPID"];
    assert_eq!(unit::setting("ExecReload"), reload);
    daemon.send(Signal::HUP);
    let deadline = Instant::now() + Duration::from_secs(60);
    while daemon.primary() != "2027-05" {
        assert!(Instant::now() < deadline, "{:?}", daemon.status());
        std::thread::sleep(Duration::from_millis(20));
    }
    daemon.stop();
}
