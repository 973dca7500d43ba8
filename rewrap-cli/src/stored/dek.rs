//! DEK sources: what must be unwrapped before a value can be opened, what is known so far, and what
//! new values are sealed with.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use kms_proto::{
    DekSourceType, EncryptedDekSource, EncryptedDekSourceRef, EncryptedObject, Envelope, KeyId,
    LOCAL_KEK_ANNOTATION, RootVersion,
};

use crate::chain::Chain;

mod known;
mod read;
mod write;

pub use known::KnownDeks;
pub use read::ReadDek;
pub use write::{FreshDekSource, WriteDek};

/// The name of a KMS provider: part of every value it protects, and unique among its version.
pub type KmsName = Arc<str>;

/// A wrapped DEK source of a stored value, with the provider that can unwrap it.
///
/// Equal exactly where kube-apiserver's cache has one entry: everything that is asked of the plugin
/// is part of it (`generateCacheKey`,
/// `k8s.io/apiserver/pkg/storage/value/encrypt/envelope/kmsv2/envelope.go`). Nothing in it is
/// secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DekRef {
    /// Of a KMS v1 envelope: one DEK for every value.
    V1 {
        /// The provider's name.
        provider: KmsName,
        /// What the plugin made of the DEK; up to 65,535 bytes.
        cipher: Box<[u8]>,
    },
    /// Of a KMS v2 envelope: shared by all values that one apiserver writes under one key id.
    V2 {
        /// The provider's name.
        provider: KmsName,
        /// What the DEK source is when unwrapped.
        kind: DekSourceType,
        /// What the plugin is asked to unwrap.
        source: EncryptedDekSource,
    },
}

impl DekRef {
    pub(in crate::stored) fn v1(provider: &KmsName, cipher: &[u8]) -> Self {
        Self::V1 {
            provider: provider.clone(),
            cipher: cipher.into(),
        }
    }

    /// The versions of the roots' keys that wrapped its local KEK; none if a plugin without any wrapped it.
    pub fn roots(&self) -> Vec<RootVersion> {
        let Self::V2 { source, .. } = self else {
            return Vec::new();
        };
        let annotation = source.annotations.get(LOCAL_KEK_ANNOTATION);
        let envelope = annotation.and_then(|bytes| Envelope::parse(bytes).ok());
        envelope.map_or_else(Vec::new, |envelope| envelope.versions().cloned().collect())
    }

    /// The provider that can unwrap it.
    pub fn provider(&self) -> &KmsName {
        match self {
            Self::V1 { provider, .. } | Self::V2 { provider, .. } => provider,
        }
    }

    /// What the DEK source is when unwrapped; that of KMS v1 is a key.
    pub fn kind(&self) -> DekSourceType {
        match self {
            Self::V1 { .. } => DekSourceType::AesGcmKey,
            Self::V2 { kind, .. } => *kind,
        }
    }

    /// The wrapped bytes.
    pub fn ciphertext(&self) -> &[u8] {
        match self {
            Self::V1 { cipher, .. } => cipher,
            Self::V2 { source, .. } => source.ciphertext.as_bytes(),
        }
    }

    /// The KEK version that wrapped it; KMS v1 does not say.
    pub fn key_id(&self) -> Option<&KeyId> {
        match self {
            Self::V1 { .. } => None,
            Self::V2 { source, .. } => Some(&source.key_id),
        }
    }
}

impl Hash for DekRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Wrapping is randomised, so the ciphertext alone tells nearly all of them apart.
        self.ciphertext().hash(state);
    }
}

/// A [`DekRef`] that is borrowed from a stored value: one is looked up for every value.
#[derive(Debug)]
pub enum DekView<'a> {
    /// Of a KMS v1 envelope.
    V1 {
        /// The provider's name.
        provider: &'a KmsName,
        /// What the plugin made of the DEK.
        cipher: &'a [u8],
    },
    /// Of a KMS v2 envelope.
    V2 {
        /// The provider's name.
        provider: &'a KmsName,
        /// What the DEK source is when unwrapped.
        kind: DekSourceType,
        /// What the plugin is asked to unwrap.
        source: EncryptedDekSourceRef<'a>,
    },
}

impl<'a> DekView<'a> {
    pub(in crate::stored) fn v2(provider: &'a KmsName, object: EncryptedObject<'a>) -> Self {
        Self::V2 {
            provider,
            kind: object.dek_source_type(),
            source: object.into_dek_source(),
        }
    }

    /// The wrapped bytes.
    pub fn ciphertext(&self) -> &[u8] {
        match self {
            Self::V1 { cipher, .. } => cipher,
            Self::V2 { source, .. } => source.ciphertext(),
        }
    }

    /// Whether it is this one.
    pub fn is(&self, dek: &DekRef) -> bool {
        match (self, dek) {
            (Self::V1 { provider, cipher }, DekRef::V1 { .. }) => {
                *provider == dek.provider() && *cipher == dek.ciphertext()
            }
            (
                Self::V2 {
                    provider,
                    kind,
                    source,
                },
                DekRef::V2 {
                    kind: other_kind,
                    source: other,
                    ..
                },
            ) => *provider == dek.provider() && kind == other_kind && source == other,
            _ => false,
        }
    }

    /// The same with its own bytes.
    pub fn to_ref(&self) -> DekRef {
        match self {
            Self::V1 { provider, cipher } => DekRef::v1(provider, cipher),
            Self::V2 {
                provider,
                kind,
                source,
            } => DekRef::V2 {
                provider: (*provider).clone(),
                kind: *kind,
                source: source.to_source(),
            },
        }
    }
}

/// The DEK sources known so far.
///
/// Failures are known too: opening a value goes on with the next provider after one, as
/// kube-apiserver does, and asks nobody twice.
pub trait DekSources {
    /// The unwrapped DEK source, or why it cannot be unwrapped. `None`: nobody has asked yet.
    fn get(&self, dek: &DekView<'_>) -> Option<Result<Known<'_>, &UnwrapError>>;

    /// The source that [`Self::get`] found last, if the KMS v2 values of it end so: see
    /// [`EncryptedObject::split`]. A shortcut, which nobody needs to offer.
    fn by_ending(&self, _provider: &KmsName, _ending: &[u8]) -> Option<Known<'_>> {
        None
    }
}

/// A DEK source that was unwrapped.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Which it is; shared by all values that were written with it.
    pub reference: &'a Arc<DekRef>,
    /// The source, to open values with.
    pub dek: &'a ReadDek,
}

/// Why a DEK source cannot be unwrapped: the text of the KMS client's error, remembered for every
/// value that needs it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnwrapError(Box<str>);

impl UnwrapError {
    /// Keeps the text of an error and of all its sources.
    pub fn new(error: &dyn std::error::Error) -> Self {
        Self(Chain(error).to_string().into())
    }
}

/// An answer, or the DEK source that must be unwrapped first.
///
/// Whoever gets a need unwraps it, remembers the outcome in a [`DekSources`] and asks again; one
/// value has at most as many needs as its rule has KMS providers.
#[must_use]
pub enum Step<T> {
    /// The answer.
    Done(T),
    /// Unwrap this, then ask again.
    Need(DekRef),
}

impl<T> fmt::Debug for Step<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(_) => f.debug_tuple("Done").finish_non_exhaustive(),
            Self::Need(dek) => f.debug_tuple("Need").field(dek).finish(),
        }
    }
}

impl<T> Step<T> {
    /// Applies a function to the answer.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Step<U> {
        match self {
            Self::Done(answer) => Step::Done(f(answer)),
            Self::Need(dek) => Step::Need(dek),
        }
    }
}
