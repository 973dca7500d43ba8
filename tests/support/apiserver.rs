//! A real kube-apiserver on loopback.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use rcgen::KeyPair;
use tempfile::TempDir;

use super::{
    kube::Kube,
    server::{Server, binary, free_port},
};

/// The bearer token of a cluster administrator.
const TOKEN: &str = "tok";

/// A minor release of Kubernetes 1 that `tests/servers` can build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Release(pub(crate) u32);

impl Release {
    /// The newest one.
    pub(crate) const NEWEST: Self = Self(37);

    fn server(self) -> String {
        match self {
            Self::NEWEST => "kube-apiserver-fast".to_owned(),
            Self(minor) => format!("kube-apiserver-1.{minor}-fast"),
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

/// kube-apiserver with the clocks of encryption at rest 20 times as fast; see `tests/servers`.
pub(crate) struct Apiserver {
    server: Server,
    release: Release,
    folder: TempDir,
    port: u16,
    etcd: String,
    flags: Vec<String>,
}

impl Apiserver {
    /// Starts the newest one on the etcd at `etcd` and waits until it is ready. `encryption` is its
    /// EncryptionConfiguration, if any; `flags` are passed on as they are.
    pub(crate) fn start(etcd: &str, encryption: Option<&Path>, flags: &[&str]) -> Self {
        Self::of(Release::NEWEST, etcd, encryption, flags)
    }

    /// The same of another release.
    pub(crate) fn of(
        release: Release,
        etcd: &str,
        encryption: Option<&Path>,
        flags: &[&str],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("token"), TOKEN).unwrap();
        let users = format!("{TOKEN},admin,admin,\"system:masters\"\n");
        fs::write(folder.path().join("users.csv"), users).unwrap();
        let key = KeyPair::generate().unwrap();
        fs::write(folder.path().join("sa.key"), key.serialize_pem()).unwrap();
        fs::write(folder.path().join("sa.pub"), key.public_key_pem()).unwrap();

        let flags: Vec<_> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let (port, etcd) = (free_port(), etcd.to_owned());
        let server = spawn(release, folder.path(), port, &etcd, encryption, &flags);
        let mut apiserver = Self {
            server,
            release,
            folder,
            port,
            etcd,
            flags,
        };
        apiserver.wait_until_ready();
        apiserver
    }

    /// Kills it and starts it again with another EncryptionConfiguration: nothing that it had in
    /// memory is left.
    pub(crate) fn restart(&mut self, encryption: Option<&Path>) {
        self.spawn_again(encryption);
        self.wait_until_ready();
    }

    /// The same while its KMS plugins are away: waits only until it is alive. Until 1.28 that means
    /// that the plugins are well, and from 1.36 on for the first minute that all that is stored can
    /// be read; both are left out.
    pub(crate) fn restart_without_plugins(&mut self, encryption: &Path) {
        self.spawn_again(Some(encryption));
        let left_out = ["kms-providers", "poststarthook/storage-readiness"];
        self.wait_until(&format!("/livez?exclude={}", left_out.join("&exclude=")));
    }

    fn spawn_again(&mut self, encryption: Option<&Path>) {
        self.kill();
        self.server = spawn(
            self.release,
            self.folder.path(),
            self.port,
            &self.etcd,
            encryption,
            &self.flags,
        );
    }

    /// Which it is.
    pub(crate) fn release(&self) -> Release {
        self.release
    }

    /// Ends it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.server.kill();
    }

    /// A client that may do everything.
    pub(crate) fn client(&self) -> Kube {
        Kube::new(&self.url(), TOKEN, &fs::read(self.ca()).unwrap())
    }

    /// Where it listens: `https://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// A file with the CA of its certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        // It signs its own certificate and keeps the chain, CA included, in this file.
        self.folder.path().join("apiserver.crt")
    }

    /// A file with the token of a cluster administrator.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    fn wait_until_ready(&mut self) {
        self.wait_until("/readyz");
    }

    /// Waits until `path` answers `ok`.
    fn wait_until(&mut self, path: &str) {
        let (url, ca) = (self.url(), self.ca());
        self.server.wait_until("is ready", || {
            let kube = Kube::new(&url, TOKEN, &fs::read(&ca).ok()?);
            (kube.text(path).ok()? == "ok").then_some(())
        });
    }
}

fn spawn(
    release: Release,
    folder: &Path,
    port: u16,
    etcd: &str,
    encryption: Option<&Path>,
    flags: &[String],
) -> Server {
    let mut command = Command::new(binary(&release.server()));
    command
        .arg(format!("--etcd-servers={etcd}"))
        .arg(format!("--secure-port={port}"))
        .arg(format!("--cert-dir={}", folder.display()))
        .arg(format!(
            "--token-auth-file={}",
            folder.join("users.csv").display()
        ))
        .arg(format!(
            "--service-account-signing-key-file={}",
            folder.join("sa.key").display()
        ))
        .arg(format!(
            "--service-account-key-file={}",
            folder.join("sa.pub").display()
        ))
        .args([
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=AlwaysAllow",
            "--disable-admission-plugins=ServiceAccount",
            "--service-account-issuer=https://kubernetes.default.svc",
        ])
        .args(flags);
    if let Some(file) = encryption {
        command
            .arg(format!("--encryption-provider-config={}", file.display()))
            .arg("--encryption-provider-config-automatic-reload");
    }
    Server::start("kube-apiserver", &mut command, folder)
}
