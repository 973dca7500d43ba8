//! A plugin on tonic that keeps the contract but for one fault, which can be chosen.

use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread::JoinHandle,
};

use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::contract::Target;

mod door;
mod service;

/// What a plugin does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Nothing either: every limit is reached and none passed.
    AtTheLimits,

    // Messages.
    /// Speaks `v2alpha1`, as plugins for 1.25 and 1.26 did.
    AnotherPackage,
    /// Numbers the fields of Status differently.
    SwapsFields,
    HangsInStatus,
    RefusesEncrypt,
    LosesAByte,
    RefusesUnknownFields,
    TakesAnyMessage,

    // Status.
    UnknownVersion,
    ChangesVersion,
    Sick,
    FallsSick,
    /// Takes a while for each Status, as a plugin does that asks its key server.
    AsksSomebodyForStatus,

    // Limits.
    LongKeyId,
    LongCiphertext,
    ManyAnnotations,
    ShortAnnotationKey,

    // Encrypt and Decrypt.
    /// Names a key differently in Status and in Encrypt.
    AnotherKeyIdInEncrypt,
    /// Always takes the same nonce.
    RepeatsItself,
    CutsPlaintexts,
    NeedsAUid,
    OpensAnyKeyId,
    OpensAnyCiphertext,
    OpensAnyAnnotations,
    /// Shows a plaintext when it refuses a Decrypt.
    Tells,
    /// Shows a plaintext when it refuses an Encrypt.
    TellsInNumbers,

    // Load and transport.
    Slow,
    HangsUpAtThe300thCall,
    LosesConnections,
    NeedsWholeFrames,
    TakesMessagesOfAnySize,
    HangsUpAfterNoise,
    HangsUpAfterARefusal,
    HangsUpAfterADeadline,
    /// Serves no `:authority` that begins with `@`.
    NeedsAHostName,
    /// Lets everybody connect.
    OpenToAll,

    // Rotation and restart.
    NeverRotates,
    /// Encrypt knows the new key some calls later than Status.
    EncryptRotatesLater,
    /// Status and Encrypt say the old key id again for a while.
    GoesBack,
    ForgetsOldKeys,
    StaysDown,
    /// Cannot bind where its predecessor left a socket.
    LeavesTheSocket,
    RotatesAtRestart,
    ForgetsAtRestart,
}

/// A running plugin with a fault, in a directory of its own.
pub(crate) struct Faulty {
    directory: TempDir,
    state: Arc<State>,
    server: Mutex<Option<Server>>,
}

/// What all its connections share.
pub(crate) struct State {
    fault: Fault,
    keys: Mutex<Vec<Key>>,
    rotated: AtomicBool,
    connections: AtomicUsize,
    noise: AtomicUsize,
}

/// One version of its KEK.
struct Key {
    id: String,
    cipher: LessSafeKey,
}

impl State {
    fn add_key(&self) {
        let mut bytes = [0; 8 + 32];
        getrandom::fill(&mut bytes).unwrap();
        let (name, material) = bytes.split_at(8);
        let mut id = hex::encode(name);
        match self.fault {
            Fault::AtTheLimits => id += &"k".repeat(1024 - id.len()),
            Fault::LongKeyId => id += &"k".repeat(1025 - id.len()),
            _ => {}
        }
        let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, material).unwrap());
        self.keys.lock().unwrap().push(Key { id, cipher });
    }
}

impl Faulty {
    pub(crate) fn start(fault: Fault) -> Arc<Self> {
        let state = State {
            fault,
            keys: Mutex::default(),
            rotated: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            noise: AtomicUsize::new(0),
        };
        state.add_key();
        let directory = match fault {
            // Whatever TMPDIR says: everybody must be able to reach it.
            Fault::OpenToAll => tempfile::tempdir_in("/tmp").unwrap(),
            _ => tempfile::tempdir().unwrap(),
        };
        let faulty = Self {
            directory,
            state: Arc::new(state),
            server: Mutex::default(),
        };
        if fault == Fault::OpenToAll {
            fs::set_permissions(faulty.directory.path(), Permissions::from_mode(0o755)).unwrap();
        }
        faulty.serve().unwrap();
        Arc::new(faulty)
    }

    /// The plugin as the contract sees it.
    pub(crate) fn target(self: &Arc<Self>) -> Target {
        let (rotating, restarting) = (Arc::clone(self), Arc::clone(self));
        Target {
            rotate: Some(Arc::new(move || {
                rotating.rotate();
                Ok(())
            })),
            restart: Some(Arc::new(move || restarting.restart())),
            ..Target::new(self.socket())
        }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("kms.sock")
    }

    fn rotate(&self) {
        match self.state.fault {
            Fault::NeverRotates => return,
            Fault::ForgetsOldKeys => {
                self.state.add_key();
                self.state.keys.lock().unwrap().remove(0);
            }
            _ => self.state.add_key(),
        }
        self.state.rotated.store(true, SeqCst);
    }

    fn restart(&self) -> Result<(), String> {
        drop(self.server.lock().unwrap().take());
        match self.state.fault {
            Fault::StaysDown => return Ok(()),
            Fault::RotatesAtRestart => self.state.add_key(),
            Fault::ForgetsAtRestart => drop(self.state.keys.lock().unwrap().remove(0)),
            _ => {}
        }
        self.serve()
    }

    fn serve(&self) -> Result<(), String> {
        let socket = self.socket();
        if self.state.fault != Fault::LeavesTheSocket && socket.exists() {
            fs::remove_file(&socket).map_err(|error| error.to_string())?;
        }
        let listener = UnixListener::bind(&socket).map_err(|error| error.to_string())?;
        listener.set_nonblocking(true).unwrap();
        if self.state.fault == Fault::OpenToAll {
            fs::set_permissions(&socket, Permissions::from_mode(0o666)).unwrap();
        }
        *self.server.lock().unwrap() = Some(Server::start(listener, Arc::clone(&self.state)));
        Ok(())
    }
}

/// A thread that serves until this is dropped. What it leaves behind is what a process leaves that
/// was killed: cut connections and a dead socket.
struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(listener: UnixListener, state: Arc<State>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(async {
                tokio::select! {
                    () = door::serve(listener, state) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
