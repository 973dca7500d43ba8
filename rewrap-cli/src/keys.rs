//! The keys of one session: KMS providers, their current key ids, and every DEK source that was
//! unwrapped so far. The one place where opening a value may have to wait.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{StreamExt as _, stream};
use kms_proto::{DekSource, DekSourceType, KeyId};
use subtle::ConstantTimeEq as _;

use crate::{
    kms::{KmsClient, KmsError, KmsV1Client},
    stored::{
        CurrentKey, CurrentKeys, DekRef, FreshDekSource, KmsName, KnownDeks, OpenError, Opened,
        ReadDek, Rule, Step, UnwrapError, WriteDek,
    },
};

/// Unwrap calls in flight: a plugin must cope with thousands, a key server behind it may not.
const UNWRAPS_IN_FLIGHT: usize = 16;

/// DEK sources that are unwrapped before the values that need them are opened: so few that none is
/// forgotten before.
const UNWRAPS_AT_ONCE: usize = KnownDeks::LIMIT / 2;

/// A connection to one KMS provider.
#[derive(Debug)]
pub enum KmsConnection {
    /// KMS v1.
    V1(KmsV1Client),
    /// KMS v2.
    V2(KmsClient),
}

/// Everything needed to open values, and to make the one DEK source of a run.
#[derive(Debug)]
pub struct Keys {
    providers: BTreeMap<KmsName, KmsConnection>,
    current: CurrentKeys,
    down: BTreeMap<KmsName, UnwrapError>,
    known: Mutex<KnownDeks>,
}

impl Keys {
    /// The keys behind these connections; none has been asked yet.
    pub fn new(providers: BTreeMap<KmsName, KmsConnection>) -> Self {
        Self {
            providers,
            current: CurrentKeys::default(),
            down: BTreeMap::new(),
            known: Mutex::default(),
        }
    }

    /// Asks every KMS v2 provider for its current key id, and every KMS v1 provider for its version. A
    /// provider that does not answer as kube-apiserver demands has no current key until the next
    /// call, and is asked for nothing else: see [`Self::down`].
    pub async fn refresh(&mut self, dek_type: impl Fn(&str) -> DekSourceType) {
        self.current = CurrentKeys::default();
        self.down.clear();
        for (name, connection) in &self.providers {
            let answer = match connection {
                KmsConnection::V1(client) => client.check().await.map(|()| None),
                KmsConnection::V2(client) => client.status().await.map(Some),
            };
            match answer {
                Ok(None) => {}
                Ok(Some(status)) => {
                    let key = CurrentKey {
                        key_id: status.key_id,
                        dek_type: dek_type(name),
                    };
                    self.current.insert(Arc::clone(name), key);
                }
                Err(error) => {
                    self.down.insert(Arc::clone(name), UnwrapError::new(&error));
                }
            }
        }
        // What failed while a provider was down may work now.
        self.lock().forget_failures();
    }

    /// The current key of every KMS v2 provider that is up.
    pub fn current(&self) -> &CurrentKeys {
        &self.current
    }

    /// Takes over which type of DEK source counts as current; the key ids stay.
    pub fn set_dek_types(&mut self, types: &BTreeMap<KmsName, DekSourceType>) {
        for (provider, dek_type) in types {
            if let Some(current) = self.current.get(provider) {
                let key_id = current.key_id.clone();
                let dek_type = *dek_type;
                self.current
                    .insert(Arc::clone(provider), CurrentKey { key_id, dek_type });
            }
        }
    }

    /// The providers whose Status or Version failed, with the reason.
    pub fn down(&self) -> &BTreeMap<KmsName, UnwrapError> {
        &self.down
    }

    /// Opens one value.
    ///
    /// # Errors
    /// Why nothing in the rule opens it.
    pub async fn open(&self, rule: &Rule, path: &[u8], value: &[u8]) -> Result<Opened, OpenError> {
        loop {
            let step = rule.open(path, value, &self.current, &*self.lock());
            match step {
                Step::Done(outcome) => return outcome,
                Step::Need(dek) => self.unwrap_all([dek]).await,
            }
        }
    }

    /// Opens the values of one page; every distinct DEK source is unwrapped once.
    pub async fn open_all(
        &self,
        rule: &Rule,
        values: &[(&[u8], &[u8])],
    ) -> Vec<Result<Opened, OpenError>> {
        let mut outcomes: Vec<_> = values.iter().map(|_| None).collect();
        loop {
            let needs = self.open_known(rule, values, &mut outcomes);
            if needs.is_empty() {
                // Without a need every value has its outcome.
                return outcomes.into_iter().flatten().collect();
            }
            self.unwrap_all(needs).await;
        }
    }

    /// Opens what the known DEK sources open, and says what else is needed next.
    fn open_known(
        &self,
        rule: &Rule,
        values: &[(&[u8], &[u8])],
        outcomes: &mut [Option<Result<Opened, OpenError>>],
    ) -> HashSet<DekRef> {
        let known = self.lock();
        let mut needs = HashSet::new();
        for ((path, value), outcome) in values.iter().zip(outcomes) {
            if outcome.is_none() {
                match rule.open(path, value, &self.current, &*known) {
                    Step::Done(done) => *outcome = Some(done),
                    Step::Need(dek) if needs.len() < UNWRAPS_AT_ONCE => drop(needs.insert(dek)),
                    Step::Need(_) => {}
                }
            }
        }
        needs
    }

    /// Makes a DEK source to write with: random bytes, wrapped under the provider's current KEK and
    /// unwrapped again, so that nothing is written that the plugin cannot give back.
    ///
    /// # Errors
    /// The plugin fails, wraps under another key id than its Status named, or unwraps something
    /// else than it wrapped.
    pub async fn fresh(&self, provider: &KmsName) -> Result<WriteDek, WriteDekError> {
        let failed = |source| WriteDekError::Kms {
            provider: Arc::clone(provider),
            source,
        };
        let fresh = FreshDekSource::generate().map_err(WriteDekError::Random)?;
        let given_back = |unwrapped: &DekSource| {
            if bool::from(unwrapped.expose().ct_eq(fresh.source().expose())) {
                Ok(())
            } else {
                Err(WriteDekError::NotGivenBack(Arc::clone(provider)))
            }
        };
        match (self.providers.get(provider), self.current.get(provider)) {
            (Some(KmsConnection::V1(client)), _) => {
                let cipher = client.encrypt(fresh.source()).await.map_err(failed)?;
                given_back(&client.decrypt(&cipher).await.map_err(failed)?)?;
                WriteDek::v1(provider, fresh, &cipher)
                    .ok_or_else(|| WriteDekError::TooLong(Arc::clone(provider), cipher.len()))
            }
            (Some(KmsConnection::V2(client)), Some(current)) => {
                let encrypted = client
                    .encrypt(fresh.source(), &current.key_id)
                    .await
                    .map_err(failed)?;
                given_back(&client.decrypt(&encrypted).await.map_err(failed)?)?;
                let provider = Arc::clone(provider);
                Ok(WriteDek::v2(provider, current.dek_type, fresh, encrypted))
            }
            _ => Err(WriteDekError::NoCurrentKey(Arc::clone(provider))),
        }
    }

    /// Asks a KMS v2 provider whether its key id is still the one this session began with.
    ///
    /// # Errors
    /// The provider does not answer, or answers another key id.
    pub async fn still_current(&self, provider: &KmsName) -> Result<(), KeyChange> {
        let (Some(KmsConnection::V2(client)), Some(current)) =
            (self.providers.get(provider), self.current.get(provider))
        else {
            return Ok(());
        };
        let provider = Arc::clone(provider);
        match client.status().await {
            Ok(status) if status.key_id == current.key_id => Ok(()),
            Ok(status) => Err(KeyChange::Rotated {
                provider,
                from: current.key_id.clone(),
                to: status.key_id,
            }),
            Err(source) => Err(KeyChange::Down { provider, source }),
        }
    }

    async fn unwrap_all(&self, needs: impl IntoIterator<Item = DekRef>) {
        let mut answers = stream::iter(needs)
            .map(|dek| async {
                let outcome = self.unwrap(&dek).await;
                (dek, outcome)
            })
            .buffer_unordered(UNWRAPS_IN_FLIGHT);
        while let Some((dek, outcome)) = answers.next().await {
            self.lock().insert(dek, outcome);
        }
    }

    async fn unwrap(&self, dek: &DekRef) -> Result<ReadDek, UnwrapError> {
        if let Some(reason) = self.down.get(dek.provider()) {
            return Err(reason.clone());
        }
        let mut outcome = self.ask(dek).await;
        // One DEK source may stand for a whole resource: a hiccup must not make all of it unreadable.
        if let Some(Err(KmsError::Timeout { .. } | KmsError::Unreachable { .. })) = outcome {
            outcome = self.ask(dek).await;
        }
        match outcome {
            Some(Ok(source)) => Ok(ReadDek::new(source)),
            Some(Err(error)) => Err(UnwrapError::new(&error)),
            None => Err(UnwrapError::new(&NoProvider)),
        }
    }

    /// Nothing where no such provider is configured.
    async fn ask(&self, dek: &DekRef) -> Option<Result<DekSource, KmsError>> {
        match (self.providers.get(dek.provider())?, dek) {
            (KmsConnection::V1(client), DekRef::V1 { cipher, .. }) => {
                Some(client.decrypt(cipher).await)
            }
            (KmsConnection::V2(client), DekRef::V2 { source, .. }) => {
                Some(client.decrypt(source).await)
            }
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, KnownDeks> {
        // A panic elsewhere cannot leave the map half written.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no KMS provider of this name and version is configured")]
struct NoProvider;

/// Why no DEK source for writing can be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteDekError {
    /// The plugin refused, or broke the contract.
    #[error("the KMS provider {provider} gives no DEK source to write with")]
    Kms {
        /// Which.
        provider: KmsName,
        /// Why.
        source: KmsError,
    },
    /// Its Status failed.
    #[error("the KMS provider {0} names no current key; nothing can be written under it")]
    NoCurrentKey(KmsName),
    /// What the plugin unwraps is not what it wrapped: whatever was written under it would be lost.
    #[error(
        "the KMS provider {0} does not unwrap what it has just wrapped, so nothing was written under \
         it; the plugin must be mended"
    )]
    NotGivenBack(KmsName),
    /// The system gives no random bytes.
    #[error("no random bytes from the system")]
    Random(#[source] getrandom::Error),
    /// A KMS v1 value cannot hold what the plugin made of its DEK.
    #[error(
        "the KMS v1 provider {0} made {1} bytes of a DEK, more than the 65,535 that a value can hold; \
         the plugin must be mended"
    )]
    TooLong(KmsName, usize),
}

/// What happened to the current key of a provider during a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyChange {
    /// It does not say any more.
    #[error("the KMS provider {provider} does not answer any more")]
    Down {
        /// Which.
        provider: KmsName,
        /// Why.
        source: KmsError,
    },
    /// Another key is current now.
    #[error("the KMS provider {provider} rotated from key id {from} to {to} during the run")]
    Rotated {
        /// Which.
        provider: KmsName,
        /// The key id this session began with.
        from: KeyId,
        /// The key id now.
        to: KeyId,
    },
}
