//! A KMS plugin on strings: it keeps every rule until a test has it break one.

use std::{
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
};

use futures_util::stream;
use kms_plugin::socket::authority::Front;
use kms_proto::{
    EncryptedDekSource,
    wire::{
        v1beta1::key_management_service_server as server_v1,
        v2::{EncryptResponse, StatusResponse, key_management_service_server as server_v2},
    },
};
use tempfile::TempDir;
use tokio::{net::UnixListener, sync::oneshot};
use tonic::{Status, transport::Server};

mod services;

use services::Strings;

/// A plugin of KMS v1 and v2 with a socket and a thread of its own, both gone when it is dropped.
pub(crate) struct Puppet {
    directory: TempDir,
    strings: Strings,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The calls of both versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Decrypt,
    Encrypt,
    Status,
    /// Of KMS v1 only.
    Version,
}

/// What it answers.
#[derive(Clone)]
pub(crate) struct Answers {
    /// To Status.
    pub(crate) status: StatusResponse,
    /// To Encrypt: changes what would be right.
    pub(crate) encrypt: fn(&mut EncryptResponse),
    /// To Decrypt: changes the DEK source.
    pub(crate) decrypt: fn(&mut Vec<u8>),
    /// To Version.
    pub(crate) version: String,
    /// The call that gets no answer as long as it stands here, or until it is [released](Puppet::release).
    pub(crate) withheld: Option<Call>,
    /// The call that is answered with an error.
    pub(crate) refused: Option<(Call, Status)>,
}

/// A change to what it answers.
pub(crate) type Change = fn(&mut Answers);

impl Puppet {
    /// Starts one that keeps every rule; its key id is `one`.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = socket(directory.path());
        let strings = Strings::default();
        let (stop, stopped) = oneshot::channel();
        let (bound, wait) = std::sync::mpsc::channel();
        let services = strings.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = UnixListener::bind(path).unwrap();
                bound.send(()).unwrap();
                // Every kube-apiserver names the socket's path as `:authority` in KMS v1.
                let incoming = stream::unfold(listener, |listener| async {
                    let accepted = listener.accept().await;
                    Some((accepted.map(|(stream, _)| Front::new(stream)), listener))
                });
                let serving = Server::builder()
                    .add_service(server_v1::KeyManagementServiceServer::new(services.clone()))
                    .add_service(server_v2::KeyManagementServiceServer::new(services))
                    .serve_with_incoming(incoming);
                tokio::select! {
                    served = serving => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        wait.recv().unwrap();
        Self {
            directory,
            strings,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        socket(self.directory.path())
    }

    /// From now on it answers like this.
    pub(crate) fn answer(&self, change: impl FnOnce(&mut Answers)) {
        change(&mut self.strings.lock().answers);
    }

    /// It answers like this once it has answered so many calls of this kind from now on.
    pub(crate) fn answer_after(&self, answered: usize, call: Call, change: Change) {
        self.strings.lock().change = Some((answered, call, change));
    }

    /// It keeps every rule again.
    pub(crate) fn behave(&self) {
        let mut state = self.strings.lock();
        state.answers = Answers::right();
        state.change = None;
    }

    /// The call that gets no answer.
    pub(crate) fn withholds(&self) -> Option<Call> {
        self.strings.lock().answers.withheld
    }

    /// Answers the calls that were withheld until now; the next ones are withheld as before.
    pub(crate) fn release(&self) {
        let mut state = self.strings.lock();
        state.released = state.calls.len();
    }

    /// How often it was asked.
    pub(crate) fn asked(&self, call: Call) -> usize {
        let state = self.strings.lock();
        state.calls.iter().filter(|asked| **asked == call).count()
    }

    /// Every DEK source that it was given to wrap.
    pub(crate) fn secrets(&self) -> Vec<Vec<u8>> {
        self.strings.lock().secrets.clone()
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A panic in there has been printed already.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// What Encrypt answers to this DEK source.
pub(crate) fn wrapped(dek_source: &[u8]) -> EncryptedDekSource {
    let right = right(dek_source, "one");
    EncryptedDekSource::from_wire(right.ciphertext, &right.key_id, right.annotations).unwrap()
}

fn right(plaintext: &[u8], key_id: &str) -> EncryptResponse {
    EncryptResponse {
        ciphertext: wrap(plaintext),
        key_id: key_id.to_owned(),
        annotations: [("kek.example.com".to_owned(), vec![1])].into(),
    }
}

/// Wraps a DEK source, and unwraps it.
pub(crate) fn wrap(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte ^ 0xa5).collect()
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("kms.sock")
}

impl Answers {
    fn right() -> Self {
        Self {
            status: StatusResponse {
                version: "v2beta1".to_owned(),
                healthz: "ok".to_owned(),
                key_id: "one".to_owned(),
            },
            encrypt: |_| {},
            decrypt: |_| {},
            version: "v1beta1".to_owned(),
            withheld: None,
            refused: None,
        }
    }
}
