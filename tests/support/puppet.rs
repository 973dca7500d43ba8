//! A KMS plugin on strings: it keeps every rule until a test has it break one.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::Duration,
};

use futures_util::stream;
use kms_plugin::socket::authority::Front;
use kms_proto::{
    EncryptedDekSource,
    wire::{
        v1beta1::{self, key_management_service_server as server_v1},
        v2::{
            DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, StatusRequest,
            StatusResponse, key_management_service_server as server_v2,
        },
    },
};
use tempfile::TempDir;
use tokio::{net::UnixListener, sync::oneshot, time::sleep};
use tonic::{Request, Response, Status, async_trait, transport::Server};

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
    /// To Encrypt: changes what would be right, or refuses.
    pub(crate) encrypt: fn(&mut EncryptResponse) -> Result<(), Status>,
    /// To Decrypt: changes the plaintext, or refuses.
    pub(crate) decrypt: fn(&mut Vec<u8>) -> Result<(), Status>,
    /// To Version.
    pub(crate) version: String,
    /// The call that gets no answer as long as it stands here, or until it is [released](Puppet::release).
    pub(crate) withheld: Option<Call>,
}

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
    pub(crate) fn answer_after(&self, answered: usize, call: Call, change: fn(&mut Answers)) {
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
            encrypt: |_| Ok(()),
            decrypt: |_| Ok(()),
            version: "v1beta1".to_owned(),
            withheld: None,
        }
    }
}

/// What the test and the services share.
#[derive(Clone)]
struct Strings(Arc<Mutex<State>>);

pub(crate) type Change = fn(&mut Answers);

struct State {
    answers: Answers,
    /// After how many answers to which call what changes.
    change: Option<(usize, Call, Change)>,
    calls: Vec<Call>,
    /// So many of them are not withheld any more.
    released: usize,
    secrets: Vec<Vec<u8>>,
}

impl Default for Strings {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            answers: Answers::right(),
            change: None,
            calls: Vec::new(),
            released: 0,
            secrets: Vec::new(),
        })))
    }
}

impl Strings {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Takes a call down, and waits while it is withheld.
    async fn answers(&self, call: Call) -> Answers {
        let before = self.lock().take_down(call);
        loop {
            {
                let state = self.lock();
                if state.answers.withheld != Some(call) || before < state.released {
                    return state.answers.clone();
                }
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    async fn unwrap(&self, ciphertext: &[u8]) -> Result<Vec<u8>, Status> {
        let answers = self.answers(Call::Decrypt).await;
        let mut plaintext = wrap(ciphertext);
        (answers.decrypt)(&mut plaintext)?;
        Ok(plaintext)
    }
}

impl State {
    /// Takes a call down, changes what is to change at it, and says how many calls there were before.
    fn take_down(&mut self, call: Call) -> usize {
        match &mut self.change {
            Some((0, awaited, change)) if *awaited == call => {
                let change = *change;
                change(&mut self.answers);
                self.change = None;
            }
            Some((answered, awaited, _)) if *awaited == call => *answered -= 1,
            _ => {}
        }
        self.calls.push(call);
        self.calls.len() - 1
    }
}

#[async_trait]
impl server_v2::KeyManagementService for Strings {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        Ok(Response::new(self.answers(Call::Status).await.status))
    }

    async fn encrypt(
        &self,
        request: Request<EncryptRequest>,
    ) -> Result<Response<EncryptResponse>, Status> {
        let answers = self.answers(Call::Encrypt).await;
        let plaintext = &request.get_ref().plaintext;
        self.lock().secrets.push(plaintext.clone());
        let mut answer = right(plaintext, &answers.status.key_id);
        (answers.encrypt)(&mut answer)?;
        Ok(Response::new(answer))
    }

    async fn decrypt(
        &self,
        request: Request<DecryptRequest>,
    ) -> Result<Response<DecryptResponse>, Status> {
        let plaintext = self.unwrap(&request.get_ref().ciphertext).await?;
        Ok(Response::new(DecryptResponse { plaintext }))
    }
}

#[async_trait]
impl server_v1::KeyManagementService for Strings {
    async fn version(
        &self,
        request: Request<v1beta1::VersionRequest>,
    ) -> Result<Response<v1beta1::VersionResponse>, Status> {
        assert_eq!(request.get_ref().version, "v1beta1");
        Ok(Response::new(v1beta1::VersionResponse {
            version: self.answers(Call::Version).await.version,
            runtime_name: "puppet".to_owned(),
            runtime_version: "1".to_owned(),
        }))
    }

    async fn decrypt(
        &self,
        request: Request<v1beta1::DecryptRequest>,
    ) -> Result<Response<v1beta1::DecryptResponse>, Status> {
        assert_eq!(request.get_ref().version, "v1beta1");
        let plain = self.unwrap(&request.get_ref().cipher).await?;
        Ok(Response::new(v1beta1::DecryptResponse { plain }))
    }

    async fn encrypt(
        &self,
        request: Request<v1beta1::EncryptRequest>,
    ) -> Result<Response<v1beta1::EncryptResponse>, Status> {
        assert_eq!(request.get_ref().version, "v1beta1");
        let answers = self.answers(Call::Encrypt).await;
        let dek = &request.get_ref().plain;
        self.lock().secrets.push(dek.clone());
        let mut answer = right(dek, &answers.status.key_id);
        (answers.encrypt)(&mut answer)?;
        let cipher = answer.ciphertext;
        Ok(Response::new(v1beta1::EncryptResponse { cipher }))
    }
}
