//! A real etcd, and a second way into it.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use tempfile::TempDir;

use super::{eventually, server};

mod certificates;
pub(crate) mod gateway;
pub(crate) mod liar;
pub(crate) mod members;
pub(crate) mod wire;

pub(crate) use certificates::Certificates;

/// One member on free ports of loopback, its data in a temporary folder; killed when dropped.
pub(crate) struct Etcd {
    child: Child,
    ports: Ports,
    scheme: &'static str,
    /// What starts it again.
    program: PathBuf,
    flags: Vec<OsString>,
    dir: TempDir,
    /// The header with the token of `root`, once authentication is on.
    authorization: OnceLock<String>,
}

/// How long the JSON gateway may take after etcd is healthy.
const GATEWAY: Duration = Duration::from_secs(10);

/// Where a member listens.
#[derive(Clone, Copy)]
struct Ports {
    client: u16,
    /// Where the JSON gateway answers without TLS.
    gateway: u16,
    peer: u16,
    metrics: u16,
    /// Where one with failpoints takes orders.
    failpoints: u16,
}

impl Etcd {
    pub(crate) fn start() -> Self {
        Self::of("etcd")
    }

    /// One that `tests/servers` knows under this name: `etcd-3.4`.
    pub(crate) fn of(server: &'static str) -> Self {
        Self::start_as(server, "http", &[] as &[&str])
    }

    /// With more flags of etcd.
    pub(crate) fn start_with(flags: &[impl AsRef<OsStr>]) -> Self {
        Self::start_as("etcd", "http", flags)
    }

    /// With TLS files that [`Certificates`] made: etcd wants a client certificate. Only the second way
    /// into it goes without.
    pub(crate) fn start_tls(files: &Certificates) -> Self {
        Self::tls_of("etcd", files)
    }

    /// The same of one that `tests/servers` knows under this name.
    pub(crate) fn tls_of(server: &'static str, files: &Certificates) -> Self {
        Self::start_as(
            server,
            "https",
            &[
                flag("cert-file", &files.path("server.pem")),
                flag("key-file", &files.path("server.key")),
                flag("trusted-ca-file", &files.path("ca.pem")),
                "--client-cert-auth".to_owned(),
            ],
        )
    }

    fn start_as(server: &'static str, scheme: &'static str, flags: &[impl AsRef<OsStr>]) -> Self {
        // A free port may be taken by somebody else before etcd binds it; then etcd ends, and other
        // ports are tried.
        for _ in 0..5 {
            let [ports] = Ports::free(scheme);
            let cluster = format!("test={}", ports.peer_url());
            let mut etcd = Self::spawn(server, scheme, "test", ports, &cluster, flags);
            if etcd.becomes_ready() {
                return etcd;
            }
        }
        panic!("etcd ended at its start five times; its last words are above");
    }

    /// A member of the cluster in which all these are: `NAME=PEER_URL`, with commas.
    fn spawn(
        server: &'static str,
        scheme: &'static str,
        name: &str,
        ports: Ports,
        cluster: &str,
        more: &[impl AsRef<OsStr>],
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let client_url = format!("{scheme}://127.0.0.1:{}", ports.client);
        let urls = match ports.gateway {
            port if port == ports.client => client_url.clone(),
            port => format!("{client_url},http://127.0.0.1:{port}"),
        };
        let peer_url = ports.peer_url();
        let mut flags: Vec<OsString> = [
            format!("--name={name}"),
            "--log-level=error".to_owned(),
            "--unsafe-no-fsync".to_owned(),
            flag("data-dir", &dir.path().join("data")),
            format!("--listen-client-urls={urls}"),
            format!("--advertise-client-urls={client_url}"),
            format!("--listen-peer-urls={peer_url}"),
            format!("--initial-advertise-peer-urls={peer_url}"),
            format!("--initial-cluster={cluster}"),
            format!("--listen-metrics-urls=http://127.0.0.1:{}", ports.metrics),
        ]
        .map(OsString::from)
        .into();
        flags.extend(more.iter().map(OsString::from));
        let program = server::binary(server);
        Self {
            child: run(&program, &flags, ports, dir.path()),
            ports,
            scheme,
            program,
            flags,
            dir,
            authorization: OnceLock::new(),
        }
    }

    /// Waits until it serves; `false` if it ended instead, or has to be started anew.
    fn becomes_ready(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut healthy = None;
        loop {
            let health = http(self.ports.metrics, "GET /health HTTP/1.0\r\n\r\n");
            if health.is_ok_and(|answer| answer.contains(r#""health":"true""#)) {
                if self.gateway_answers() {
                    return true;
                }
                // It has a connection of its own into etcd, which comes later.
                let since: Instant = *healthy.get_or_insert_with(Instant::now);
                if since.elapsed() > GATEWAY {
                    eprintln!("the JSON gateway of etcd does not answer: {}", self.log());
                    return false;
                }
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                eprintln!("etcd ended with {status}: {}", self.log());
                return false;
            }
            assert!(
                Instant::now() < deadline,
                "etcd is not healthy after 60 s: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it with SIGSTOP.
    pub(crate) fn pause(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    /// Has it go on after [`Self::pause`].
    pub(crate) fn resume(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
    }

    /// Lets no write to a file succeed, as on a full disk, and waits until that has ended it.
    ///
    /// The limit stands for the disk: writes to regular files fail with EFBIG instead of ENOSPC, which etcd
    /// treats alike. It goes with the process.
    pub(crate) fn dies_of_a_full_disk(&mut self) {
        let pid = Pid::from_child(&self.child);
        let limit = Rlimit {
            current: Some(0),
            maximum: getrlimit(Resource::Fsize).maximum,
        };
        prlimit(Some(pid), Resource::Fsize, limit).unwrap();
        let status = eventually("etcd dies of a full disk", || {
            self.child.try_wait().unwrap()
        });
        assert!(!status.success(), "etcd ended with {status}");
    }

    /// Has every write to its disk take so much longer, to its log and to its database: for one with
    /// failpoints.
    pub(crate) fn slow_disk_by(&self, delay: Duration) {
        for failpoint in ["walBeforeSync", "beforeCommit"] {
            let order = format!("sleep({})", delay.as_millis());
            let request = format!(
                "PUT /{failpoint} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{order}",
                order.len()
            );
            let answer = http(self.ports.failpoints, &request).unwrap();
            assert!(answer.contains(" 204 "), "{answer}");
        }
    }

    /// Starts it again on the data and ports that it had.
    pub(crate) fn restart(&mut self) {
        self.child = run(&self.program, &self.flags, self.ports, self.dir.path());
        assert!(self.becomes_ready(), "a port was taken meanwhile");
    }

    /// `http://127.0.0.1:PORT`, or https.
    pub(crate) fn endpoint(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.ports.client)
    }

    /// The bytes of the database's file.
    pub(crate) fn database(&self) -> Vec<u8> {
        fs::read(self.dir.path().join("data/member/snap/db")).unwrap()
    }

    /// The port for clients.
    pub(crate) fn port(&self) -> u16 {
        self.ports.client
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

impl Ports {
    /// Those of so many members.
    fn free<const N: usize>(scheme: &str) -> [Self; N] {
        [(); N].map(|()| {
            let [client, plain, peer, metrics, failpoints] = free_ports();
            Self {
                client,
                gateway: if scheme == "http" { client } else { plain },
                peer,
                metrics,
                failpoints,
            }
        })
    }

    fn peer_url(self) -> String {
        format!("http://127.0.0.1:{}", self.peer)
    }
}

fn run(program: &Path, flags: &[OsString], ports: Ports, dir: &Path) -> Child {
    Command::new(program)
        .args(flags)
        .env("GOFAIL_HTTP", format!("127.0.0.1:{}", ports.failpoints))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(dir.join("log")).unwrap())
        .spawn()
        .unwrap()
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
