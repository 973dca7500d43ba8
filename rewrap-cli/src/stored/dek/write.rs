use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use kms_proto::{DekSource, DekSourceType, EncryptedDekSource, EncryptedObject, KeyId};
use zeroize::Zeroizing;

use super::{DekRef, KmsName, ReadDek};
use crate::stored::transformer::kms_v2::Seed;

/// A DEK source that this process has just made and nobody else encrypts with.
///
/// Only such a source may become a [`WriteDek`]: under type 0 the nonces are counted from a fixed
/// start, so encrypting with a DEK that came out of etcd would repeat nonces under one key.
#[derive(Debug)]
pub struct FreshDekSource(DekSource);

impl FreshDekSource {
    /// 32 random bytes of the operating system.
    ///
    /// # Errors
    /// The operating system has no randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new(vec![0; DekSource::SEED_LEN]);
        getrandom::fill(&mut bytes)?;
        Ok(Self(DekSource::new(bytes)))
    }

    /// The secret, for the plugin to wrap.
    pub fn source(&self) -> &DekSource {
        &self.0
    }
}

/// What new values of one KMS v2 provider are sealed with: a DEK source of our own and what the
/// plugin made of it.
pub struct WriteDek {
    provider: KmsName,
    kind: DekSourceType,
    dek: ReadDek,
    encrypted: EncryptedDekSource,
    /// The stored object behind its first field, which is the same for every value.
    tail: Box<[u8]>,
    /// The next value of the nonce's counter, type 0 only.
    counter: AtomicU64,
}

impl WriteDek {
    /// The first counter value of kube-apiserver: high enough that a short random nonce is never
    /// mistaken for it (`k8s.io/apiserver/pkg/storage/value/encrypt/aes/aes.go`).
    const FIRST_COUNT: u64 = 1_000_000_001;

    /// Puts together what was made and what the plugin answered to it.
    ///
    /// `encrypted` must be the answer to this `source`: the plugin is trusted with it, and a value
    /// that does not open again is never written.
    pub fn new(
        provider: KmsName,
        kind: DekSourceType,
        FreshDekSource(source): FreshDekSource,
        encrypted: EncryptedDekSource,
    ) -> Self {
        Self {
            provider,
            kind,
            dek: ReadDek::new(source),
            tail: tail(encrypted.clone(), kind),
            encrypted,
            counter: AtomicU64::new(Self::FIRST_COUNT),
        }
    }

    /// The provider whose values are sealed with it.
    pub fn provider(&self) -> &KmsName {
        &self.provider
    }

    /// The KEK version that wrapped it.
    pub fn key_id(&self) -> &KeyId {
        &self.encrypted.key_id
    }

    /// What the DEK source is used as.
    pub fn kind(&self) -> DekSourceType {
        self.kind
    }

    /// How the values that are sealed with it refer to it.
    pub fn dek_ref(&self) -> DekRef {
        DekRef::V2 {
            provider: self.provider.clone(),
            kind: self.kind,
            source: self.encrypted.clone(),
        }
    }

    /// Whether a stored value needs this DEK source.
    pub(in crate::stored) fn is(&self, dek: &DekRef) -> bool {
        matches!(dek, DekRef::V2 { provider, kind, source }
            if *provider == self.provider && *kind == self.kind && *source == self.encrypted)
    }

    /// The same, to open values with.
    pub(in crate::stored) fn as_read(&self) -> &ReadDek {
        &self.dek
    }

    pub(in crate::stored) fn seed(&self) -> &Seed {
        self.dek.seed().expect("a fresh source is long enough")
    }

    pub(in crate::stored) fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// A counter value that no other call gets; `None` once all are used.
    pub(in crate::stored) fn next_count(&self) -> Option<u64> {
        self.counter
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                count.checked_add(1)
            })
            .ok()
    }
}

impl fmt::Debug for WriteDek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteDek")
            .field("provider", &self.provider)
            .field("kind", &self.kind)
            .field("encrypted", &self.encrypted)
            .finish_non_exhaustive()
    }
}

/// Everything of a stored object behind its first field.
fn tail(encrypted: EncryptedDekSource, kind: DekSourceType) -> Box<[u8]> {
    const FIRST_FIELD: [u8; 3] = [0x0a, 0x01, 0x00];
    let mut bytes = Vec::new();
    EncryptedObject::new(&[0], encrypted, kind)
        .expect("one byte is not empty")
        .encode(&mut bytes);
    bytes[FIRST_FIELD.len()..].into()
}
