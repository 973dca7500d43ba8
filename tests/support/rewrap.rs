//! The program `rewrap`, as a person or a script runs it.

use std::{
    ffi::OsStr,
    fmt,
    fs::File,
    io::{Read, Seek},
    os::unix::fs::FileExt,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use super::within;

/// How one invocation ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Nothing if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// Fails unless it ended with `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Its one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "exit code {code:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        )
    }
}

/// `rewrap` with these arguments, and none of the variables it would take settings from.
pub(crate) fn command(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rewrap"));
    command.args(arguments);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"ETCDCTL_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs [`command`] to its end.
pub(crate) fn run(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Finished {
    Running::start(&mut command(arguments)).finish()
}

/// A started `rewrap`; its output is kept in files, so that nobody has to read while it runs.
pub(crate) struct Running {
    pub(crate) child: Child,
    stdout: File,
    stderr: File,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let stdout = tempfile::tempfile().unwrap();
        let stderr = tempfile::tempfile().unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(stdout.try_clone().unwrap())
            .stderr(stderr.try_clone().unwrap())
            .spawn()
            .unwrap();
        Self {
            child,
            stdout,
            stderr,
        }
    }

    /// What it has printed on stdout and stderr so far.
    pub(crate) fn so_far(&self) -> [String; 2] {
        [&self.stdout, &self.stderr].map(|file| {
            let mut bytes = vec![0; file.metadata().unwrap().len().try_into().unwrap()];
            // Not from where it writes, which is the same place for both processes.
            file.read_exact_at(&mut bytes, 0).unwrap();
            String::from_utf8(bytes).unwrap()
        })
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Finished {
        let status = within(Duration::from_secs(180), "rewrap ends", || {
            self.child.try_wait().unwrap()
        });
        Finished {
            code: status.code(),
            stdout: text(self.stdout),
            stderr: text(self.stderr),
        }
    }
}

fn text(mut file: File) -> String {
    file.rewind().unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    text
}
