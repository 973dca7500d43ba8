//! A real kine before SQLite, as k3s has it, and a second way into it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use hyper_util::rt::TokioIo;
use prost::bytes::Bytes;
use tempfile::TempDir;
use tokio::net::UnixStream;
use tonic::transport::Endpoint;
use tower::service_fn;

use super::{
    etcd::gateway::Stored,
    server::{Server, binary},
};

/// Listens on a socket in a folder of its own, where its database is too; killed when dropped.
pub(crate) struct Kine {
    name: &'static str,
    flags: Vec<String>,
    server: Server,
    folder: TempDir,
}

impl Kine {
    /// One that `tests/servers` knows under this name, with more flags.
    pub(crate) fn start(name: &'static str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let flags: Vec<_> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let mut kine = Self {
            name,
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
        let socket = self.socket();
        self.server
            .wait_until("answers", || range(&socket, b"/registry/health", b"").ok());
    }

    /// `unix:///PATH`.
    pub(crate) fn endpoint(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Everything in a directory, which the prefix must name.
    pub(crate) fn list(&self, prefix: &str) -> Vec<Stored> {
        let end = prefix.strip_suffix('/').unwrap().to_owned() + "0";
        range(&self.socket(), prefix.as_bytes(), end.as_bytes()).unwrap()
    }

    /// The folder of the files of its database.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("db")
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

/// One answer to a range, without the code under test.
fn range(socket: &Path, key: &[u8], end: &[u8]) -> Result<Vec<Stored>, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let socket = socket.to_path_buf();
        let channel = Endpoint::from_static("http://localhost")
            .connect_with_connector(service_fn(move |_| {
                let socket = socket.clone();
                async move { UnixStream::connect(socket).await.map(TokioIo::new) }
            }))
            .await?;
        let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(64 << 20);
        client.ready().await?;
        let request = RangeRequest {
            key: Bytes::copy_from_slice(key),
            range_end: Bytes::copy_from_slice(end),
        };
        let answer: tonic::Response<RangeResponse> = client
            .unary(
                tonic::Request::new(request),
                "/etcdserverpb.KV/Range".parse()?,
                tonic_prost::ProstCodec::default(),
            )
            .await?;
        let stored = answer.into_inner().kvs.into_iter().map(|kv| {
            Ok(Stored {
                key: String::from_utf8(kv.key.into())?,
                value: kv.value.into(),
                revision: kv.mod_revision,
                version: 0,
                lease: kv.lease,
            })
        });
        stored.collect()
    })
}

// What of etcd's messages is needed here; numbers as in `go.etcd.io/etcd/api/v3`.

#[derive(Clone, PartialEq, prost::Message)]
struct RangeRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    range_end: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RangeResponse {
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyValue {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(int64, tag = "3")]
    mod_revision: i64,
    #[prost(bytes = "bytes", tag = "5")]
    value: Bytes,
    #[prost(int64, tag = "6")]
    lease: i64,
}
