use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use kms_proto::{DekSource, DekSourceType, EncryptedDekSource, EncryptedObject};
use zeroize::Zeroizing;

use super::{DekRef, KmsName, Known, ReadDek};
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

/// What new values of one KMS provider are sealed with: a DEK source of our own and what the plugin
/// made of it. Of KMS v2 for any number of values, of KMS v1 for one.
pub struct WriteDek {
    reference: Arc<DekRef>,
    dek: ReadDek,
    /// What every value has in common: before the payload of KMS v1, behind the encrypted data of
    /// KMS v2.
    constant: Box<[u8]>,
    /// The next value of the nonce's counter, type 0 of KMS v2 only.
    counter: AtomicU64,
}

impl WriteDek {
    /// The first counter value of kube-apiserver: high enough that a short random nonce is never
    /// mistaken for it (`k8s.io/apiserver/pkg/storage/value/encrypt/aes/aes.go`).
    const FIRST_COUNT: u64 = 1_000_000_001;

    /// Puts together what was made and what a KMS v1 plugin answered to it; `None` where the answer
    /// is longer than the 65,535 bytes that a value can say.
    pub fn v1(provider: &KmsName, source: FreshDekSource, cipher: &[u8]) -> Option<Self> {
        let len = u16::try_from(cipher.len()).ok()?;
        let constant = [&len.to_be_bytes(), cipher].concat();
        let reference = DekRef::v1(provider, cipher);
        Some(Self::new(reference, source, constant.into()))
    }

    /// Puts together what was made and what a KMS v2 plugin answered to it.
    ///
    /// `encrypted` must be the answer to this `source`: the plugin is trusted with it, and a value
    /// that does not open again is never written.
    pub fn v2(
        provider: KmsName,
        kind: DekSourceType,
        source: FreshDekSource,
        encrypted: EncryptedDekSource,
    ) -> Self {
        let constant = ending(&encrypted, kind);
        let reference = DekRef::V2 {
            provider,
            kind,
            source: encrypted,
        };
        Self::new(reference, source, constant)
    }

    fn new(reference: DekRef, FreshDekSource(source): FreshDekSource, constant: Box<[u8]>) -> Self {
        Self {
            reference: Arc::new(reference),
            dek: ReadDek::new(source),
            constant,
            counter: AtomicU64::new(Self::FIRST_COUNT),
        }
    }

    /// The provider whose values are sealed with it.
    pub fn provider(&self) -> &KmsName {
        self.reference.provider()
    }

    /// How the values that are sealed with it refer to it.
    pub fn reference(&self) -> &Arc<DekRef> {
        &self.reference
    }

    /// The same, to open values with.
    pub(in crate::stored) fn known(&self) -> Known<'_> {
        Known {
            reference: &self.reference,
            dek: &self.dek,
        }
    }

    pub(in crate::stored) fn source(&self) -> &DekSource {
        self.dek.source()
    }

    pub(in crate::stored) fn seed(&self) -> &Seed {
        self.dek.seed().expect("a fresh source is long enough")
    }

    pub(in crate::stored) fn constant(&self) -> &[u8] {
        &self.constant
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
            .field("reference", &self.reference)
            .finish_non_exhaustive()
    }
}

/// What every stored object of a DEK source has behind its encrypted data.
pub(super) fn ending(encrypted: &EncryptedDekSource, kind: DekSourceType) -> Box<[u8]> {
    let mut bytes = Vec::new();
    EncryptedObject::new(&[0], encrypted.into(), kind)
        .expect("one byte is not empty")
        .encode(&mut bytes);
    let (_, ending) = EncryptedObject::split(&bytes).expect("the data comes first");
    ending.into()
}
