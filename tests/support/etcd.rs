//! A real etcd, and a second way into it.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::server;

mod certificates;
pub(crate) mod gateway;

pub(crate) use certificates::Certificates;

/// One member on free ports of loopback, its data in a temporary folder; killed when dropped.
pub(crate) struct Etcd {
    child: Child,
    client: u16,
    /// Where the JSON gateway answers without TLS.
    gateway: u16,
    scheme: &'static str,
    dir: TempDir,
    /// The header with the token of `root`, once authentication is on.
    authorization: OnceLock<String>,
}

impl Etcd {
    pub(crate) fn start() -> Self {
        Self::start_with(&[] as &[&str])
    }

    /// With more flags of etcd.
    pub(crate) fn start_with(flags: &[impl AsRef<OsStr>]) -> Self {
        Self::start_as("http", flags)
    }

    /// With TLS files that [`Certificates`] made: etcd wants a client certificate. Only the second way
    /// into it goes without.
    pub(crate) fn start_tls(files: &Certificates) -> Self {
        Self::start_as(
            "https",
            &[
                flag("cert-file", &files.path("server.pem")),
                flag("key-file", &files.path("server.key")),
                flag("trusted-ca-file", &files.path("ca.pem")),
                "--client-cert-auth".to_owned(),
            ],
        )
    }

    fn start_as(scheme: &'static str, flags: &[impl AsRef<OsStr>]) -> Self {
        // A free port may be taken by somebody else before etcd binds it; then etcd ends, and other
        // ports are tried.
        for _ in 0..5 {
            if let Some(etcd) = Self::try_start(scheme, flags) {
                return etcd;
            }
        }
        panic!("etcd ended at its start five times; its last words are above");
    }

    fn try_start(scheme: &'static str, flags: &[impl AsRef<OsStr>]) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let [client, plain, peer, metrics] = free_ports();
        let client_url = format!("{scheme}://127.0.0.1:{client}");
        let (gateway, urls) = match scheme {
            "http" => (client, client_url.clone()),
            _ => (plain, format!("{client_url},http://127.0.0.1:{plain}")),
        };
        let peer_url = format!("http://127.0.0.1:{peer}");
        let child = Command::new(binary())
            .args(["--name=test", "--log-level=error", "--unsafe-no-fsync"])
            .arg(flag("data-dir", &dir.path().join("data")))
            .arg(format!("--listen-client-urls={urls}"))
            .arg(format!("--advertise-client-urls={client_url}"))
            .arg(format!("--listen-peer-urls={peer_url}"))
            .arg(format!("--initial-advertise-peer-urls={peer_url}"))
            .arg(format!("--initial-cluster=test={peer_url}"))
            .arg(format!("--listen-metrics-urls=http://127.0.0.1:{metrics}"))
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut etcd = Self {
            child,
            client,
            gateway,
            scheme,
            dir,
            authorization: OnceLock::new(),
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let health = http(metrics, "GET /health HTTP/1.0\r\n\r\n");
            if health.is_ok_and(|answer| answer.contains(r#""health":"true""#)) {
                return Some(etcd);
            }
            if let Some(status) = etcd.child.try_wait().unwrap() {
                eprintln!("etcd ended with {status}: {}", etcd.log());
                return None;
            }
            assert!(
                Instant::now() < deadline,
                "etcd is not healthy after 60 s: {}",
                etcd.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// `http://127.0.0.1:PORT`, or https.
    pub(crate) fn endpoint(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.client)
    }

    /// The port for clients.
    pub(crate) fn port(&self) -> u16 {
        self.client
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An endpoint where nobody listens.
pub(crate) fn unused_endpoint() -> String {
    let [port] = free_ports();
    format!("http://127.0.0.1:{port}")
}

/// Looked for once; built into the user's cache where there is none.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| server::binary("etcd"))
}

/// Ports that are free at this moment, all different.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: [_; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn http(port: u16, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}
