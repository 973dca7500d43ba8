//! The PKCS#11 root: an AES key in a token, such as an HSM, that wraps local KEKs.
//!
//! The vendor's module is code that we did not write, in an address space where it could read every key,
//! crash or wait for ever. So it is loaded only by a process of its own, which this one starts when it
//! is needed, asks over a socket, and ends when it does not answer.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use async_trait::async_trait;
use tokio::{
    sync::{mpsc, oneshot},
    task::AbortHandle,
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
mod supervisor;
mod wire;

pub(crate) use config::Written;
pub use config::{Config, Key, Mechanism, Token};

use supervisor::{Call, Supervisor, unexpected};
use wire::{Reply, Request, Version};

/// The subcommand of this program that loads a module.
pub const SUBCOMMAND: &str = "pkcs11-module";

/// The name of its kind, as it stands in the configuration and in a [`RootVersion`].
const KIND: &str = "pkcs11";
/// Names this construction in everything wrapped with it.
const LABEL: &[u8] = b"ringfence/pkcs11/v1";
/// This program, also when its file was replaced since.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// AES keys in a token. See [`Key`] for which of them wraps.
///
/// The version is `pkcs11:SERIAL/LABEL#ID`: serial number of the token, `CKA_LABEL` and `CKA_ID` of the key. Any
/// token that has the key unwraps, whatever its serial number, so that a restored backup opens everything.
pub struct Pkcs11 {
    config: Config,
    program: PathBuf,
    supervisor: OnceLock<(mpsc::Sender<Call>, AbortHandle)>,
}

impl Pkcs11 {
    /// Starts nothing yet. Must be used within one tokio runtime, on threads that live as long as it.
    pub fn open(config: &Config) -> Self {
        Self::open_with(config, Path::new(THIS_PROGRAM))
    }

    /// The same where another file is `kms-plugin`: for tests, which are programs of their own.
    pub fn open_with(config: &Config, program: &Path) -> Self {
        Self {
            config: config.clone(),
            program: program.to_owned(),
            supervisor: OnceLock::new(),
        }
    }

    /// Asks the module; nothing is lost but the answer if this is dropped.
    async fn ask(&self, request: Request) -> Result<Reply, RootError> {
        let (calls, _) = self.supervisor.get_or_init(|| {
            let (calls, received) = mpsc::channel(1);
            let supervisor = Supervisor::new(self.config.clone(), self.program.clone());
            (calls, tokio::spawn(supervisor.run(received)).abort_handle())
        });
        let (answer, answered) = oneshot::channel();
        let ended = || RootError::unreachable("the runtime that this root was used in has ended");
        calls.send((request, answer)).await.map_err(|_| ended())?;
        answered.await.unwrap_or_else(|_| Err(ended()))
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

impl Drop for Pkcs11 {
    fn drop(&mut self) {
        // With it goes the process, whatever it does.
        if let Some((_, supervisor)) = self.supervisor.get() {
            supervisor.abort();
        }
    }
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
        match self.ask(Request::Version).await? {
            Reply::Version(version) => self.version_of(&version),
            _ => Err(unexpected()),
        }
    }

    async fn wrap(&self, kek: &KeyMaterial, binding: &Binding) -> Result<WrappedKek, RootError> {
        let request = Request::Wrap {
            kek: Zeroizing::new(*kek.expose()),
            bound: bound(binding),
        };
        match self.ask(request).await? {
            Reply::Wrapped {
                version,
                ciphertext,
            } => Ok(WrappedKek {
                version: self.version_of(&version)?,
                ciphertext,
            }),
            _ => Err(unexpected()),
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
        match self.ask(request).await? {
            Reply::Unwrapped { kek } => Ok(KeyMaterial::new(Box::new(*kek))),
            _ => Err(unexpected()),
        }
    }

    async fn review(&self) -> Result<Vec<String>, RootError> {
        match self.ask(Request::Review).await? {
            Reply::Review(sentences) => Ok(sentences),
            _ => Err(unexpected()),
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
