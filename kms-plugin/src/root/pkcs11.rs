//! The PKCS#11 root: an AES key in a token, such as an HSM, that wraps local KEKs.
//!
//! The vendor's module is code that we did not write, in an address space where it could read every key,
//! crash or wait for ever. So it is loaded only by a process of its own, which this one starts when it
//! is needed, asks over a socket, and ends when it does not answer.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Instant, timeout},
};
use zeroize::Zeroizing;

use super::{
    local::KeyMaterial,
    remote::{Binding, RemoteRoot, RootError, RootVersion, WrappedKek},
};
use crate::fields;

mod config;
pub mod module;
mod pin;
mod process;
mod wire;

pub(crate) use config::Written;
pub use config::{Config, Key, Mechanism, Token};

use pin::{Edition, PinFile};
use process::Process;
use wire::{Failure, Reply, Request, Version};

/// The subcommand of this program that loads a module.
pub const SUBCOMMAND: &str = "pkcs11-module";

/// The name of its kind, as it stands in the configuration and in a [`RootVersion`].
const KIND: &str = "pkcs11";
/// Names this construction in everything wrapped with it.
const LABEL: &[u8] = b"ringfence/pkcs11/v1";
/// This program, also when its file was replaced since.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// How long no process is started after one that did not answer, doubled with each in a row.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// AES keys in a token. See [`Key`] for which of them wraps.
///
/// The version is `pkcs11:SERIAL/LABEL#ID`: serial number of the token, `CKA_LABEL` and `CKA_ID` of the key. Any
/// token that has the key unwraps, whatever its serial number, so that a restored backup opens everything.
pub struct Pkcs11 {
    config: Config,
    program: PathBuf,
    state: Mutex<State>,
}

/// What lasts from call to call.
struct State {
    process: Option<Process>,
    /// The process that will be there next. Its start may take longer than the call that asked for it, which must
    /// not keep us from learning what the token says to the PIN.
    starting: JoinSet<Result<Process, (Failure, Edition)>>,
    pin: PinFile,
    pause: Pause,
}

/// When a process may be started again.
#[derive(Default)]
struct Pause {
    /// How often in a row one did not answer.
    failures: u32,
    until: Option<Instant>,
    /// Why the last one did not.
    reason: String,
}

impl Pkcs11 {
    /// Starts nothing yet. Must be used within one tokio runtime, on threads that live as long as it.
    pub fn open(config: &Config) -> Self {
        Self::open_with(config, Path::new(THIS_PROGRAM))
    }

    /// The same where another file is `kms-plugin`: for tests, which are programs of their own.
    pub fn open_with(config: &Config, program: &Path) -> Self {
        Self {
            program: program.to_owned(),
            state: Mutex::new(State {
                process: None,
                starting: JoinSet::new(),
                pin: PinFile::new(config.pin_file.clone()),
                pause: Pause::default(),
            }),
            config: config.clone(),
        }
    }

    /// Asks the module, in a new process if there is none or if the present one fails.
    async fn ask(&self, request: &Request) -> Result<Reply, RootError> {
        let mut state = self.state.lock().await;
        state.ask(request, &self.program, &self.config).await
    }

    fn version_of(&self, version: &Version) -> Result<RootVersion, RootError> {
        let key = format!(
            "{}/{}",
            config::escape(&version.serial),
            config::escape(&self.config.key.label)
        );
        RootVersion::new(KIND, &key, &version.id).map_err(|error| {
            RootError::unreachable(format!(
                "the token's serial number {:?} and the key's CKA_ID {:?} are {error}",
                version.serial, version.id
            ))
        })
    }

    /// The `CKA_ID` in a version of this key.
    fn id_in<'a>(&self, version: &'a RootVersion) -> Option<&'a str> {
        let (token, id) = version.as_str().strip_prefix("pkcs11:")?.rsplit_once('#')?;
        let (_, label) = token.split_once('/')?;
        let listed =
            self.config.key.ids.is_empty() || self.config.key.ids.iter().any(|one| one == id);
        (label == config::escape(&self.config.key.label) && listed).then_some(id)
    }
}

impl State {
    /// Whatever says that this cannot be done is believed of a new process only, which logged in afresh.
    async fn ask(
        &mut self,
        request: &Request,
        program: &Path,
        config: &Config,
    ) -> Result<Reply, RootError> {
        loop {
            let (mut process, is_new) = match self.process.take() {
                Some(process) => (process, false),
                None => (self.start(program, config).await?, true),
            };
            // This call may be dropped at any await, and the process with it. So until it has answered it counts
            // as one that did not.
            self.pause.begin();
            let Ok(answer) = timeout(config.timeout, process.ask(request)).await else {
                return Err(self.pause.failed(no_answer(config.timeout)));
            };
            match answer.unwrap_or_else(|error| Reply::Failed(Failure::Unreachable(broken(&error))))
            {
                Reply::Failed(
                    Failure::Unreachable(_) | Failure::LoginNeeded | Failure::Refused(_),
                ) if !is_new => self.pause.end(),
                Reply::Failed(Failure::LoginNeeded) => {
                    let what = "the token does not stay logged in";
                    return Err(self.pause.failed(what.to_owned()));
                }
                Reply::Failed(Failure::Unreachable(what)) => return Err(self.pause.failed(what)),
                Reply::Failed(Failure::Pin(_)) => {
                    return Err(self.pause.failed(UNEXPECTED.to_owned()));
                }
                Reply::Failed(Failure::Refused(what)) => {
                    self.pause.end();
                    return Err(RootError::Refused { what });
                }
                Reply::Failed(Failure::Corrupt(what)) => {
                    self.pause.end();
                    self.process = Some(process);
                    return Err(RootError::Corrupt { what });
                }
                reply => {
                    self.pause.end();
                    self.process = Some(process);
                    return Ok(reply);
                }
            }
        }
    }

    /// Waits for a new process that is logged in.
    async fn start(&mut self, program: &Path, config: &Config) -> Result<Process, RootError> {
        if self.starting.is_empty() {
            self.pause.check()?;
            let (pin, edition) = self.pin.read().map_err(RootError::unreachable)?;
            self.pause.begin();
            let (program, config) = (program.to_owned(), config.clone());
            self.starting.spawn(async move {
                let started = timeout(config.timeout, start(&program, &config, pin)).await;
                started
                    .unwrap_or_else(|_| Err(Failure::Unreachable(no_answer(config.timeout))))
                    .map_err(|failure| (failure, edition))
            });
        }
        match self.starting.join_next().await {
            Some(Ok(Ok(process))) => Ok(process),
            Some(Ok(Err((Failure::Pin(what), edition)))) => {
                self.pause.end();
                Err(RootError::unreachable(self.pin.refuse(edition, what)))
            }
            Some(Ok(Err((Failure::Unreachable(what), _)))) => Err(self.pause.failed(what)),
            _ => Err(self.pause.failed(UNEXPECTED.to_owned())),
        }
    }
}

/// Starts a process, has it load the module, and logs in, once.
async fn start(
    program: &Path,
    config: &Config,
    pin: Zeroizing<String>,
) -> Result<Process, Failure> {
    let mut process = Process::start(program, config).map_err(|error| {
        Failure::Unreachable(format!(
            "cannot start {} for the module: {error}",
            program.display()
        ))
    })?;
    let open = Request::Open {
        module: config.module.clone(),
        token: config.token.clone(),
        key: config.key.clone(),
        mechanism: config.mechanism,
    };
    let broken = |error| Failure::Unreachable(broken(&error));
    let mut reply = process.ask(&open).await.map_err(broken)?;
    if matches!(reply, Reply::Failed(Failure::LoginNeeded)) {
        reply = process.ask(&Request::Login { pin }).await.map_err(broken)?;
    }
    match reply {
        Reply::Done => Ok(process),
        Reply::Failed(failure) => Err(failure),
        _ => Err(Failure::Unreachable(UNEXPECTED.to_owned())),
    }
}

/// The process is dropped, and so killed.
fn no_answer(limit: Duration) -> String {
    format!("the module did not answer within {limit:?}; its process was ended")
}

impl Pause {
    /// Whether a process may be started now.
    fn check(&self) -> Result<(), RootError> {
        let Some(left) = self
            .until
            .and_then(|until| until.checked_duration_since(Instant::now()))
        else {
            return Ok(());
        };
        Err(RootError::unreachable(format!(
            "{}; tried again in {} ms",
            self.reason,
            left.as_millis()
        )))
    }

    fn begin(&mut self) {
        let pause = SHORTEST_PAUSE.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        self.until = Some(Instant::now() + pause.min(LONGEST_PAUSE));
        "the last call to the module was given up".clone_into(&mut self.reason);
    }

    fn failed(&mut self, what: String) -> RootError {
        self.reason.clone_from(&what);
        RootError::unreachable(what)
    }

    fn end(&mut self) {
        *self = Self::default();
    }
}

const UNEXPECTED: &str = "the module's process gave another answer than was asked for";

fn broken(error: &std::io::Error) -> String {
    format!("the module did not answer: {error}")
}

fn bound(binding: &Binding) -> Vec<u8> {
    fields::encode([LABEL, binding.context.as_bytes(), &binding.kek])
}

#[async_trait]
impl RemoteRoot for Pkcs11 {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn version(&self) -> Result<RootVersion, RootError> {
        match self.ask(&Request::Version).await? {
            Reply::Version(version) => self.version_of(&version),
            _ => Err(RootError::unreachable(UNEXPECTED)),
        }
    }

    async fn wrap(&self, kek: &KeyMaterial, binding: &Binding) -> Result<WrappedKek, RootError> {
        let request = Request::Wrap {
            kek: Zeroizing::new(*kek.expose()),
            bound: bound(binding),
        };
        match self.ask(&request).await? {
            Reply::Wrapped {
                version,
                ciphertext,
            } => Ok(WrappedKek {
                version: self.version_of(&version)?,
                ciphertext,
            }),
            _ => Err(RootError::unreachable(UNEXPECTED)),
        }
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedKek,
        binding: &Binding,
    ) -> Result<KeyMaterial, RootError> {
        let id = self
            .id_in(&wrapped.version)
            .ok_or_else(|| RootError::Corrupt {
                what: format!("{} is no key of this root's", wrapped.version),
            })?;
        let request = Request::Unwrap {
            id: id.to_owned(),
            ciphertext: wrapped.ciphertext.clone(),
            bound: bound(binding),
        };
        match self.ask(&request).await? {
            Reply::Unwrapped { kek } => Ok(KeyMaterial::new(Box::new(*kek))),
            _ => Err(RootError::unreachable(UNEXPECTED)),
        }
    }

    async fn review(&self) -> Result<Vec<String>, RootError> {
        match self.ask(&Request::Review).await? {
            Reply::Review(sentences) => Ok(sentences),
            _ => Err(RootError::unreachable(UNEXPECTED)),
        }
    }
}

impl fmt::Debug for Pkcs11 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pkcs11")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
