//! AWS KMS: a key that never leaves Amazon's modules wraps the local KEKs.
//!
//! The calls are `Encrypt`, `Decrypt` and `DescribeKey`, with an encryption context made of the binding.
//! The context shows in CloudTrail; nothing in it is secret.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use aws_sdk_kms::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    operation::decrypt::DecryptOutput,
    primitives::Blob,
    types::{EncryptionAlgorithmSpec, KeyMetadata, KeyState},
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{
    local::KeyMaterial,
    remote::{Binding, RemoteRoot, RootError, RootVersion, WrappedKek},
};

mod arn;
mod config;
mod failure;
mod login;
mod review;
mod roles;

pub use arn::{KeyArn, KeyArnError};
pub(crate) use config::Written;
pub use config::{AssumeRole, Config, Credentials, Place};

use failure::{Class, Failure};
use login::{Login, LoginError, Session};

/// The kind in a [`RootVersion`].
const KIND: &str = "aws-kms";
/// The longest ciphertext that `Decrypt` takes, in bytes.
const MAX_CIPHERTEXT_LEN: usize = 6144;
/// The version of a key whose material AWS does not name: it is never rotated.
const ONLY_VERSION: &str = "1";
/// How long a replica that answered is asked first. Shorter than the daemon waits between two looks at the
/// key, so that each look is one at the first place, which alone can refuse.
const STAY_WITH_REPLICA: Duration = Duration::from_secs(15);

/// A key of AWS KMS, and its replicas in other regions.
///
/// The version of the key is its material: AWS's yearly rotation, and one on demand, change it under
/// the same ARN.
pub struct AwsKms {
    login: Login,
    /// The place that answered last, if it is not the first, and until when it is asked first.
    elsewhere: Mutex<Option<(usize, Instant)>>,
}

impl AwsKms {
    /// Takes the settings; calls nobody.
    pub fn open(config: &Config) -> Self {
        Self {
            login: Login::new(config.clone()),
            elsewhere: Mutex::new(None),
        }
    }

    /// Asks one place after the other until one answers. Only the first of the configuration can refuse:
    /// what a replica denies may be its own policy's mistake.
    async fn first_reached<'a, T>(
        &'a self,
        ask: impl Fn(Call<'a>) -> Answer<'a, T>,
    ) -> Result<T, RootError> {
        let count = 1 + self.login.config().replicas.len();
        let start = self.preferred();
        let mut unreachable: Option<RootError> = None;
        for index in (0..count).map(|offset| (start + offset) % count) {
            let failed = match ask(self.call(index)?).await {
                Ok(answer) => {
                    self.prefer(index);
                    return Ok(answer);
                }
                Err(error @ RootError::Refused { .. }) if index > 0 => error,
                Err(error @ RootError::Unreachable { .. }) => error,
                Err(error) => return Err(error),
            };
            unreachable = Some(match unreachable {
                None => failed,
                Some(before) => {
                    RootError::unreachable(format!("{}; {}", what(before), what(failed)))
                }
            });
        }
        self.prefer(0);
        Err(unreachable.unwrap_or_else(|| RootError::unreachable("no place to ask")))
    }

    fn preferred(&self) -> usize {
        let elsewhere = *self
            .elsewhere
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        elsewhere
            .filter(|&(_, until)| Instant::now() < until)
            .map_or(0, |(index, _)| index)
    }

    fn prefer(&self, index: usize) {
        let mut elsewhere = self
            .elsewhere
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &*elsewhere {
            // Its time is not prolonged by use: the first place is asked again.
            Some((known, until)) if *known == index && Instant::now() < *until => {}
            _ => {
                *elsewhere = (index > 0).then(|| (index, Instant::now() + STAY_WITH_REPLICA));
            }
        }
    }

    fn call(&self, index: usize) -> Result<Call<'_>, RootError> {
        let config = self.login.config();
        Ok(Call {
            login: &self.login,
            session: self.login.session().map_err(cannot_log_in)?,
            index,
            place: match index {
                0 => &config.key,
                _ => &config.replicas[index - 1],
            },
        })
    }
}

#[async_trait]
impl RemoteRoot for AwsKms {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn version(&self) -> Result<RootVersion, RootError> {
        self.first_reached(|call| Box::pin(async move { call.version().await }))
            .await
    }

    async fn wrap(&self, kek: &KeyMaterial, binding: &Binding) -> Result<WrappedKek, RootError> {
        self.first_reached(|call| Box::pin(async move { call.wrap(kek, binding).await }))
            .await
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedKek,
        binding: &Binding,
    ) -> Result<KeyMaterial, RootError> {
        let ciphertext = &wrapped.ciphertext;
        self.first_reached(|call| Box::pin(async move { call.unwrap(ciphertext, binding).await }))
            .await
    }

    async fn review(&self) -> Result<Vec<String>, RootError> {
        self.remarks().await
    }
}

impl fmt::Debug for AwsKms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsKms")
            .field("config", self.login.config())
            .finish_non_exhaustive()
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, RootError>> + Send + 'a>>;

/// A place to ask, and who asks.
struct Call<'a> {
    login: &'a Login,
    session: Arc<Session>,
    index: usize,
    place: &'a Place,
}

impl Call<'_> {
    async fn version(&self) -> Result<RootVersion, RootError> {
        let key = self.describe().await?;
        usable(&key, self.place)?;
        self.version_of(key.current_key_material_id())
    }

    async fn wrap(&self, kek: &KeyMaterial, binding: &Binding) -> Result<WrappedKek, RootError> {
        let key = self.describe().await?;
        usable(&key, self.place)?;
        let ciphertext = self.encrypt(kek.expose(), context(binding)).await?;
        // Encrypt does not say which material it used; Decrypt does. A KMS that cannot open what it
        // has just wrapped must not get a single object.
        let opened = self.decrypt(&ciphertext, context(binding)).await?;
        if !bool::from(opened.plaintext.ct_eq(kek.expose())) {
            return Err(RootError::unreachable(format!(
                "{}: another key came back than was wrapped; the key is not used before this is understood",
                self.doing("kms:Decrypt")
            )));
        }
        // Keys outside of KMS's own store have materials that Decrypt may name but DescribeKey does not.
        let material = key
            .current_key_material_id()
            .and(opened.material.as_deref());
        Ok(WrappedKek {
            version: self.version_of(material)?,
            ciphertext,
        })
    }

    async fn unwrap(&self, ciphertext: &[u8], binding: &Binding) -> Result<KeyMaterial, RootError> {
        if !(1..=MAX_CIPHERTEXT_LEN).contains(&ciphertext.len()) {
            return Err(RootError::Corrupt {
                what: format!("{} bytes are nothing that AWS KMS made", ciphertext.len()),
            });
        }
        let opened = self.decrypt(ciphertext, context(binding)).await?;
        let mut kek = Box::new([0; 32]);
        if opened.plaintext.len() != kek.len() {
            return Err(RootError::Corrupt {
                what: format!(
                    "{}: opened {} bytes, which are no local KEK",
                    self.doing("kms:Decrypt"),
                    opened.plaintext.len()
                ),
            });
        }
        kek.copy_from_slice(&opened.plaintext);
        Ok(KeyMaterial::new(kek))
    }

    async fn describe(&self) -> Result<KeyMetadata, RootError> {
        let answer = self.kms().describe_key().key_id(self.key()).send().await;
        let answer = answer.map_err(|error| self.failed("kms:DescribeKey", &error))?;
        answer
            .key_metadata
            .ok_or_else(|| self.garbled("kms:DescribeKey"))
    }

    async fn encrypt(
        &self,
        plaintext: &[u8],
        context: Option<HashMap<String, String>>,
    ) -> Result<Vec<u8>, RootError> {
        let answer = self
            .kms()
            .encrypt()
            .key_id(self.key())
            .plaintext(Blob::new(plaintext))
            .set_encryption_context(context)
            .encryption_algorithm(EncryptionAlgorithmSpec::SymmetricDefault)
            .send()
            .await
            .map_err(|error| self.failed("kms:Encrypt", &error))?;
        let ciphertext = answer.ciphertext_blob.map(Blob::into_inner);
        ciphertext.ok_or_else(|| self.garbled("kms:Encrypt"))
    }

    /// Always names the key: without it, KMS takes any key that it may use.
    async fn decrypt(
        &self,
        ciphertext: &[u8],
        context: Option<HashMap<String, String>>,
    ) -> Result<Opened, RootError> {
        let answer = self
            .kms()
            .decrypt()
            .key_id(self.key())
            .ciphertext_blob(Blob::new(ciphertext))
            .set_encryption_context(context)
            .encryption_algorithm(EncryptionAlgorithmSpec::SymmetricDefault)
            .send()
            .await;
        let DecryptOutput {
            plaintext,
            key_material_id,
            ..
        } = answer.map_err(|error| self.failed("kms:Decrypt", &error))?;
        Ok(Opened {
            plaintext: plaintext
                .map(|blob| Zeroizing::new(blob.into_inner()))
                .ok_or_else(|| self.garbled("kms:Decrypt"))?,
            material: key_material_id,
        })
    }

    fn kms(&self) -> &aws_sdk_kms::Client {
        &self.session.kms[self.index]
    }

    fn key(&self) -> &str {
        self.place.key.as_str()
    }

    fn doing(&self, action: &str) -> String {
        format!("{action} in {}", self.place.key.region())
    }

    fn version_of(&self, material: Option<&str>) -> Result<RootVersion, RootError> {
        let version = material.unwrap_or(ONLY_VERSION);
        RootVersion::new(KIND, self.place.key.lasting(), version)
            .map_err(|_| self.garbled("the id of the key material"))
    }

    /// Turns an error into the root's. What may come of who we are is tried with a new login next time.
    fn failed<E>(&self, action: &str, error: &SdkError<E, HttpResponse>) -> RootError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let failure = Failure::of(&self.doing(action), error);
        if matches!(failure.class, Class::Login | Class::Refused) {
            self.login.forget(&self.session);
        }
        failure.into()
    }

    fn garbled(&self, what: &str) -> RootError {
        RootError::unreachable(format!(
            "{}: an answer that is none of AWS KMS",
            self.doing(what)
        ))
    }
}

/// What Decrypt answered.
struct Opened {
    plaintext: Zeroizing<Vec<u8>>,
    material: Option<String>,
}

/// What is authenticated beside the local KEK.
fn context(binding: &Binding) -> Option<HashMap<String, String>> {
    let Binding { context, kek } = binding;
    let pairs = [
        ("ringfence.dev/context", context.clone()),
        ("ringfence.dev/kek", hex::encode(kek)),
    ];
    Some(pairs.map(|(name, value)| (name.to_owned(), value)).into())
}

/// Whether a key may be used now, by its state and its kind.
fn usable(key: &KeyMetadata, place: &Place) -> Result<(), RootError> {
    let what = |state: &str| format!("{} is {state}", place.key);
    match key.key_state() {
        // While the primary region of a multi-Region key changes, it goes on working.
        Some(KeyState::Enabled | KeyState::Updating) => {}
        // The key store is disconnected, or the key is being made: nobody has refused anything.
        Some(state @ (KeyState::Unavailable | KeyState::Creating)) => {
            return Err(RootError::unreachable(what(state.as_str())));
        }
        Some(state) => {
            return Err(RootError::Refused {
                what: what(state.as_str()),
            });
        }
        None => return Err(RootError::unreachable(what("without a state"))),
    }
    let symmetric = EncryptionAlgorithmSpec::SymmetricDefault;
    if !key.encryption_algorithms().contains(&symmetric) {
        return Err(RootError::Refused {
            what: what(
                "no symmetric key for encryption; make one of the key spec SYMMETRIC_DEFAULT",
            ),
        });
    }
    Ok(())
}

fn cannot_log_in(error: LoginError) -> RootError {
    RootError::unreachable(format!("cannot log in to AWS: {error}"))
}

fn what(error: RootError) -> String {
    match error {
        RootError::Unreachable { what, .. }
        | RootError::Refused { what }
        | RootError::Corrupt { what } => what,
    }
}
