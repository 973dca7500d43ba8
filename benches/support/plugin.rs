//! The real `kms-plugin` with a generated key.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Long enough for a loaded machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running daemon, with everything it needs in a folder of its own; killed when dropped.
pub(crate) struct Plugin {
    child: Child,
    folder: TempDir,
}

impl Plugin {
    /// Starts it and waits until it takes connections.
    pub(crate) fn start() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        // The folder of a socket must be closed to others.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700))?;
        let [key, config] = ["kek.key", "config.yaml"].map(|name| folder.path().join(name));
        let socket = folder.path().join("socket.sock");
        let made = command().arg("keygen").arg(&key).output()?;
        if !made.status.success() {
            return Err(io::Error::other(format!("kms-plugin keygen: {made:?}")));
        }
        let text = format!(
            "apiVersion: ringfence.dev/v1alpha1
kind: KmsPluginConfiguration
context: bench
socket: {{path: {}}}
http: {{address: \"127.0.0.1:0\"}}
keks: [{{name: bench, local: {{keyFile: {}}}}}]
",
            socket.display(),
            key.display(),
        );
        fs::write(&config, text)?;
        let child = command()
            .args(["serve", "--log-level=warn", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .spawn()?;
        let plugin = Self { child, folder };
        let start = Instant::now();
        while let Err(error) = UnixStream::connect(&socket) {
            if start.elapsed() > DEADLINE {
                return Err(error);
            }
            sleep(Duration::from_millis(5));
        }
        Ok(plugin)
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket.sock")
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_kms-plugin"))
}
