//! A real etcd that syncs to disk, as in production.

use std::{
    fs::File,
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Long enough for a loaded machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// One member on free ports of loopback, its data in a temporary folder; killed when dropped.
pub(crate) struct Etcd {
    child: Child,
    client: SocketAddr,
    _data: TempDir,
}

impl Etcd {
    /// Starts it and waits until it takes connections, which it does when it can serve them.
    pub(crate) fn start() -> io::Result<Self> {
        let data = tempfile::tempdir()?;
        let [client, peer] = free_addresses()?;
        let child = Command::new(binary()?)
            .args(["--name=bench", "--log-level=error"])
            // A million objects, and what they were before.
            .arg("--quota-backend-bytes=17179869184")
            .arg("--data-dir")
            .arg(data.path().join("data"))
            .arg(format!("--listen-client-urls=http://{client}"))
            .arg(format!("--advertise-client-urls=http://{client}"))
            .arg(format!("--listen-peer-urls=http://{peer}"))
            .arg(format!("--initial-advertise-peer-urls=http://{peer}"))
            .arg(format!("--initial-cluster=bench=http://{peer}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(data.path().join("log"))?)
            .spawn()?;
        let etcd = Self {
            child,
            client,
            _data: data,
        };
        let start = Instant::now();
        while let Err(error) = TcpStream::connect(client) {
            if start.elapsed() > DEADLINE {
                return Err(error);
            }
            sleep(Duration::from_millis(20));
        }
        Ok(etcd)
    }

    /// Where clients connect.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.client)
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn binary() -> io::Result<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/get");
    let output = Command::new(script)
        .arg("etcd")
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other("tests/servers/get etcd: no etcd"));
    }
    let path = String::from_utf8(output.stdout).map_err(io::Error::other)?;
    Ok(path.trim_end().to_owned())
}

fn free_addresses<const N: usize>() -> io::Result<[SocketAddr; N]> {
    // All are bound before any is given back, so that they differ.
    let listeners: Vec<_> = (0..N)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()?;
    let addresses: Vec<_> = listeners
        .iter()
        .map(TcpListener::local_addr)
        .collect::<Result<_, _>>()?;
    Ok(addresses.try_into().expect("as many as listeners"))
}
