//! The process that the module is loaded in, as the daemon sees it.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
    path::Path,
    process::Stdio,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixStream, unix::pipe},
    process::{Child, Command},
};
use tracing::debug;

use super::{
    Config, SUBCOMMAND,
    wire::{self, PREFIX_LEN, Reply, Request},
};

/// The most of a line of the module's that is logged, in bytes.
const MAX_LINE_LEN: u64 = 256;

/// A running process. Dropping it kills it, and the runtime reaps it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    stream: UnixStream,
}

impl Process {
    /// Starts it from `program`, with nothing of our environment. It dies with the thread that calls this.
    pub(super) fn start(program: &Path, config: &Config) -> io::Result<Self> {
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let (reader, writer) = io::pipe()?;
        let child = Command::new(program)
            .arg0("kms-plugin")
            .arg(SUBCOMMAND)
            .env_clear()
            .envs(&config.environment)
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .kill_on_drop(true)
            .spawn()?;
        let output = pipe::Receiver::from_owned_fd(reader.into())?;
        tokio::spawn(log(output, child.id().unwrap_or_default()));
        Ok(Self {
            child,
            stream: UnixStream::from_std(ours)?,
        })
    }

    /// Asks for one thing. If this is dropped half-way, so must the process be.
    pub(super) async fn ask(&mut self, request: &Request) -> io::Result<Reply> {
        match self.exchange(request).await {
            Ok(reply) => Ok(reply),
            // It may have ended a moment ago; then its exit status says more than the broken socket.
            Err(error) if is_end(&error) => {
                self.child.start_kill()?;
                Err(io::Error::other(format!(
                    "its process ended ({})",
                    self.child.wait().await?
                )))
            }
            Err(error) => Err(error),
        }
    }

    async fn exchange(&mut self, request: &Request) -> io::Result<Reply> {
        self.stream.write_all(&wire::frame(request)?).await?;
        let mut prefix = [0; PREFIX_LEN];
        self.stream.read_exact(&mut prefix).await?;
        let mut bytes = wire::room(prefix)?;
        self.stream.read_exact(&mut bytes).await?;
        wire::parse(&bytes)
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

/// Logs what the module prints, a line at a time, until its process ends.
async fn log(output: pipe::Receiver, pid: u32) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut output)
            .take(MAX_LINE_LEN)
            .read_until(b'\n', &mut line)
            .await
        {
            Ok(1..) => {
                let line = String::from_utf8_lossy(line.trim_ascii_end());
                debug!(pid, ?line, "the PKCS#11 module says");
            }
            Ok(0) | Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::PermissionsExt,
        sync::{Arc, Mutex},
        time::{Duration, Instant},
    };

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::root::pkcs11::{Key, Mechanism, Token};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Log {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[tokio::test]
    async fn what_the_module_prints_is_logged_at_debug_and_only_its_environment_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        let script = "#!/bin/sh\necho \"$# $1\"\nprintf 'a\\033b%0300d\\n' 7 >&2\nenv\necho end\n";
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let config = Config {
            module: "/module".into(),
            token: Token::Label("kms".to_owned()),
            key: Key {
                label: "kek".to_owned(),
                ids: Vec::new(),
            },
            mechanism: Mechanism::Auto,
            pin_file: "/pin".into(),
            environment: [("VENDOR_CONF".to_owned(), "/etc/vendor".to_owned())].into(),
            timeout: Duration::from_secs(1),
        };

        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let _process = Process::start(&program, &config).unwrap();
        let start = Instant::now();
        let lines = loop {
            let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
            if text.contains("\"end\"") {
                break text;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{text}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert!(
            lines.lines().all(|line| line.contains(" DEBUG ")),
            "{lines}"
        );
        assert!(lines.contains("line=\"1 pkcs11-module\""), "{lines}");
        assert!(
            lines.contains("line=\"VENDOR_CONF=/etc/vendor\""),
            "{lines}"
        );
        assert!(
            !lines.contains("CARGO") && !lines.contains("HOME="),
            "{lines}"
        );
        assert!(lines.contains("line=\"a\\u{1b}b000"), "{lines}");
        assert!(lines.lines().all(|line| line.len() < 400), "{lines}");
    }
}
