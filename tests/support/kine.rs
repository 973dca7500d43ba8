//! A real kine before SQLite, as k3s has it, and a second way into it.

use std::{
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use hyper_util::rt::TokioIo;
use prost::bytes::Bytes;
use tempfile::TempDir;
use tokio::net;
use tonic::{Request, Status, client::Grpc, codegen::http::uri::PathAndQuery, transport::Endpoint};
use tonic_prost::ProstCodec;
use tower::service_fn;

use super::{
    etcd::{
        Certificates,
        gateway::Stored,
        wire::{KeyValue, RangeRequest, RangeResponse},
    },
    server::{Server, binary},
};

/// Listens on a socket in a folder of its own, where its database is too; killed when dropped.
pub(crate) struct Kine {
    name: &'static str,
    scheme: &'static str,
    flags: Vec<String>,
    server: Server,
    folder: TempDir,
}

impl Kine {
    /// One that `tests/servers` knows under this name, with more flags.
    pub(crate) fn start(name: &'static str, flags: &[&str]) -> Self {
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        Self::start_as(name, "unix", flags)
    }

    /// With a certificate that [`Certificates`] made; there is no second way into it.
    pub(crate) fn start_tls(name: &'static str, files: &Certificates) -> Self {
        let flag = |flag: &str, file: &str| format!("--{flag}={}", files.path(file).display());
        let flags = [
            flag("server-cert-file", "server.pem"),
            flag("server-key-file", "server.key"),
        ];
        Self::start_as(name, "unixs", flags.into())
    }

    fn start_as(name: &'static str, scheme: &'static str, flags: Vec<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut kine = Self {
            name,
            scheme,
            server: spawn(name, &folder, &flags),
            flags,
            folder,
        };
        kine.wait_until_ready();
        kine
    }

    /// Ends it with SIGKILL and starts it again.
    pub(crate) fn restart(&mut self) {
        self.server.kill();
        self.server = spawn(self.name, &self.folder, &self.flags);
        self.wait_until_ready();
    }

    fn wait_until_ready(&mut self) {
        let (socket, scheme) = (self.socket(), self.scheme);
        self.server.wait_until("answers", || match scheme {
            "unix" => range(&socket, b"/registry/health", b"").map(drop).ok(),
            _ => UnixStream::connect(&socket).map(drop).ok(),
        });
    }

    /// `unix:///PATH`, or unixs.
    pub(crate) fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.socket().display())
    }

    /// Everything in a directory, which the prefix must name.
    pub(crate) fn list(&self, prefix: &str) -> Vec<Stored> {
        let end = prefix.strip_suffix('/').unwrap().to_owned() + "0";
        range(&self.socket(), prefix.as_bytes(), end.as_bytes()).unwrap()
    }

    /// What the files of its database hold, one after the other.
    pub(crate) fn database(&self) -> Vec<u8> {
        let files = fs::read_dir(self.folder.path().join("db")).unwrap();
        files
            .flat_map(|file| fs::read(file.unwrap().path()).unwrap())
            .collect()
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("kine.sock")
    }
}

fn spawn(name: &'static str, folder: &TempDir, flags: &[String]) -> Server {
    let mut command = Command::new(binary(name));
    command
        .current_dir(folder)
        // As k3s does: a relative path.
        .arg("--listen-address=unix://kine.sock")
        .arg("--metrics-bind-address=0")
        .args(flags);
    Server::start("kine", &mut command, folder.path())
}

/// One answer to a range, without the code under test; on a thread of its own, for a test may have a
/// runtime.
fn range(socket: &Path, key: &[u8], end: &[u8]) -> Result<Vec<Stored>, Status> {
    let request = RangeRequest {
        key: Bytes::copy_from_slice(key),
        range_end: Bytes::copy_from_slice(end),
        ..RangeRequest::default()
    };
    let ask = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(ask(socket.to_path_buf(), request))
    };
    let answer = thread::scope(|scope| scope.spawn(ask).join().unwrap())?;
    let stored = |kv: KeyValue| Stored {
        key: String::from_utf8(kv.key.into()).unwrap(),
        value: kv.value.into(),
        revision: kv.mod_revision,
        version: kv.version,
        lease: kv.lease,
    };
    Ok(answer.kvs.into_iter().map(stored).collect())
}

async fn ask(socket: PathBuf, request: RangeRequest) -> Result<RangeResponse, Status> {
    let channel = Endpoint::from_static("http://localhost").connect_with_connector_lazy(
        service_fn(move |_| {
            let socket = socket.clone();
            async move { net::UnixStream::connect(socket).await.map(TokioIo::new) }
        }),
    );
    let mut client = Grpc::new(channel).max_decoding_message_size(64 << 20);
    let ready = client.ready().await;
    ready.map_err(|error| Status::unavailable(error.to_string()))?;
    let answer = client
        .unary(
            Request::new(request),
            PathAndQuery::from_static("/etcdserverpb.KV/Range"),
            ProstCodec::default(),
        )
        .await?;
    Ok(answer.into_inner())
}
