//! Vault, or OpenBao: a key of its transit secrets engine.
//!
//! The words of its API are those of <https://developer.hashicorp.com/vault/api-docs/secret/transit>; what it
//! answers to a call that fails is nowhere written down and was taken from a running Vault 1.21.

use std::fmt;

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::Method;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use self::{
    answer::Answer,
    key::Key,
    login::Login,
    transport::{Body, Question, Transport},
};
use super::{
    local::KeyMaterial,
    remote::{Binding, RemoteRoot, RootError, RootVersion, WrappedKek},
};
use crate::{fields, file::ReadError};

mod answer;
mod config;
mod key;
mod login;
mod review;
mod transport;

pub(crate) use config::Written;
pub use config::{Address, ApiPath, Auth, ClientCertificate, Config, LoginMethod, RoleId};

/// What the associated data begins with.
const LABEL: &[u8] = b"ringfence/vault/v1";

/// The kind of this root in the words of a [`RootVersion`].
const KIND: &str = "vault";

/// One key of a transit engine.
///
/// A local KEK is encrypted with an explicit version of the key and, as associated data, the base64 of the
/// length-prefixed fields `ringfence/vault/v1`, context and id of the local KEK. [`WrappedKek::ciphertext`] is what
/// follows `vault:vN:` in the answer, decoded; for AES-GCM: nonce (12 bytes), ciphertext, tag (16). The version of the
/// key is named `vault:[NAMESPACE/]MOUNT/KEY#N@T`, T being the second of the version's making: a key that was
/// deleted and made again under its old name has other versions.
pub struct Vault {
    config: Config,
    transport: Transport,
    login: Login,
}

impl Vault {
    /// Prepares for calls; files are read, and servers asked, at the first.
    pub fn open(config: &Config) -> Self {
        Self {
            transport: Transport::new(config),
            login: Login::new(&config.auth),
            config: config.clone(),
        }
    }

    /// The properties of the key.
    async fn key(&self) -> Result<Key, RootError> {
        let path = self.path("keys");
        match self.ask(Method::GET, &path, None).await? {
            Answer::Good(body) => answer::data(&path, &body),
            other => Err(self.refusal(&path, "read", other)),
        }
    }

    fn name_version(&self, key: &Key) -> Result<(u64, RootVersion), RootError> {
        let (number, made) = key.latest().map_err(|what| RootError::Refused {
            what: format!("{}: {what}", self.path("keys")),
        })?;
        let version = RootVersion::new(KIND, &self.config.words(), &format!("{number}@{made}"))
            .map_err(|error| RootError::Refused {
                what: format!("{}: its name is {error}", self.path("keys")),
            })?;
        Ok((number, version))
    }

    /// One question with a token. A token that is denied may have expired or been revoked, which says nothing of
    /// the key: only what a fresh one is denied is.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Body>,
    ) -> Result<Answer, RootError> {
        let token = self.login.token(&self.transport).await?;
        let mut question = Question {
            method,
            path,
            namespace: self.config.namespace.as_ref(),
            token: Some(token.header()),
            body,
        };
        match self.transport.ask(&question).await? {
            Answer::Denied(_) => {}
            answer => return Ok(answer),
        }
        let token = self.login.afresh(&token, &self.transport).await?;
        question.token = Some(token.header());
        self.transport.ask(&question).await
    }

    /// What follows from an answer that is none of the good ones, whatever was asked.
    fn refusal(&self, path: &str, capability: &str, answer: Answer) -> RootError {
        match answer {
            Answer::Denied(words) => RootError::Refused {
                what: format!(
                    "{path}: {words}, after a fresh login; grant {capability} on it, and see that the key is there"
                ),
            },
            Answer::Missing(_) => RootError::Refused {
                what: format!(
                    "{path}: there is no such key, or no transit engine at {}",
                    self.config.mount
                ),
            },
            Answer::Invalid(words) if words.contains(answer::KEY_NOT_FOUND) => RootError::Refused {
                what: format!("{path}: {words}; was the key deleted?"),
            },
            Answer::Good(_) | Answer::Invalid(_) => {
                RootError::unreachable(format!("{path}: {answer}"))
            }
        }
    }

    /// Where an operation on the key is asked for: `transit/encrypt/k8s`.
    fn path(&self, operation: &str) -> String {
        let Config { mount, key, .. } = &self.config;
        format!("{mount}/{operation}/{key}")
    }
}

#[async_trait]
impl RemoteRoot for Vault {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn version(&self) -> Result<RootVersion, RootError> {
        let (_, version) = self.name_version(&self.key().await?)?;
        Ok(version)
    }

    async fn wrap(&self, kek: &KeyMaterial, binding: &Binding) -> Result<WrappedKek, RootError> {
        let (number, version) = self.name_version(&self.key().await?)?;
        let path = self.path("encrypt");
        let plaintext = Zeroizing::new(BASE64_STANDARD.encode(kek.expose()));
        let body = transport::body(&Encrypt {
            plaintext: &plaintext,
            associated_data: &associated_data(binding),
            key_version: number,
        });
        let body = match self.ask(Method::POST, &path, Some(body)).await? {
            Answer::Good(body) => body,
            other => return Err(self.refusal(&path, "update", other)),
        };
        let Encrypted { ciphertext } = answer::data(&path, &body)?;
        // A version other than the one that was asked for would be found out when it is too late.
        let ciphertext = ciphertext
            .strip_prefix(&prefix(number))
            .and_then(|text| BASE64_STANDARD.decode(text).ok())
            .ok_or_else(|| {
                RootError::unreachable(format!(
                    "{path}: answers with no ciphertext of version {number}"
                ))
            })?;
        Ok(WrappedKek {
            version,
            ciphertext,
        })
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedKek,
        binding: &Binding,
    ) -> Result<KeyMaterial, RootError> {
        let number = number(&wrapped.version).ok_or_else(|| RootError::Corrupt {
            what: format!("{} names no version of a transit key", wrapped.version),
        })?;
        let path = self.path("decrypt");
        let body = transport::body(&Decrypt {
            ciphertext: &(prefix(number) + &BASE64_STANDARD.encode(&wrapped.ciphertext)),
            associated_data: &associated_data(binding),
        });
        let body = match self.ask(Method::POST, &path, Some(body)).await? {
            Answer::Good(body) => body,
            Answer::Invalid(words) if answer::is_corrupt(&words) => {
                return Err(RootError::Corrupt {
                    what: format!("{path}: version {number}: {words}"),
                });
            }
            Answer::Invalid(words) if words.contains(answer::TOO_OLD) => {
                return Err(RootError::Refused {
                    what: format!(
                        "{path}: version {number}: {words}; lower min_decryption_version of the key"
                    ),
                });
            }
            other => return Err(self.refusal(&path, "update", other)),
        };
        let Decrypted { plaintext } = answer::data(&path, &body)?;
        let plaintext = Zeroizing::new(plaintext);
        // The decoder wants room for whole groups of three.
        let mut decoded = Zeroizing::new([0; 33]);
        match BASE64_STANDARD.decode_slice(&*plaintext, &mut *decoded) {
            Ok(32) => {
                let mut key = Box::new([0; 32]);
                key.copy_from_slice(&decoded[..32]);
                Ok(KeyMaterial::new(key))
            }
            _ => Err(RootError::Corrupt {
                what: format!("{path}: opens to something that is no local KEK"),
            }),
        }
    }

    async fn review(&self) -> Result<Vec<String>, RootError> {
        review::review(self).await
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Encrypt<'a> {
    plaintext: &'a str,
    associated_data: &'a str,
    key_version: u64,
}

#[derive(Deserialize)]
struct Encrypted {
    ciphertext: String,
}

#[derive(Serialize)]
struct Decrypt<'a> {
    ciphertext: &'a str,
    associated_data: &'a str,
}

#[derive(Deserialize)]
struct Decrypted {
    plaintext: String,
}

/// In base64, as the API wants it.
fn associated_data(binding: &Binding) -> String {
    let Binding { context, kek } = binding;
    BASE64_STANDARD.encode(fields::encode([LABEL, context.as_bytes(), kek]))
}

/// What Vault writes before the base64 of a ciphertext.
fn prefix(number: u64) -> String {
    format!("vault:v{number}:")
}

/// The number that a version of a transit key has in Vault, from 1: Vault takes 0 for 1, which would give a
/// version two names. Which key it is, the ciphertext itself tells.
fn number(version: &RootVersion) -> Option<u64> {
    let (_, version) = version.as_str().rsplit_once('#')?;
    let (number, _) = version.split_once('@')?;
    number.parse().ok().filter(|number| *number > 0)
}

/// A file of ours that cannot be read keeps us from asking, whoever is at fault.
fn unreadable(error: ReadError) -> RootError {
    match error {
        ReadError::Io { path, source } => {
            RootError::unreachable(format!("cannot read {}: {source}", path.display()))
        }
        error => RootError::unreachable(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
