//! The ordered providers of one resource: the first writes, all read.

use std::{fmt, sync::Arc};

use kms_proto::KeyId;

use crate::stored::dek::{DekRef, KmsName, WriteDek};

mod check;
mod classify;
mod error;
mod named_key;
mod open;
mod seal;
mod state;

pub use classify::Class;
pub use error::{Attempt, OpenError};
pub use named_key::NamedKey;
pub use open::Opened;
pub use seal::SealError;
pub use state::{CurrentKey, CurrentKeys, Reason, Reasons, State};

/// The ordered transformers that kube-apiserver uses for one resource.
///
/// The first provider, with its first key, writes. Reading tries every provider whose prefix the
/// value has, in order, and goes on after an error
/// (`k8s.io/apiserver/pkg/storage/value/transformer.go`).
#[derive(Debug, Clone)]
pub struct Rule {
    providers: Vec<Provider>,
}

impl Rule {
    /// A rule of at least one provider, in the order of the file.
    pub fn new(first: Provider, others: impl IntoIterator<Item = Provider>) -> Self {
        Self {
            providers: std::iter::once(first).chain(others).collect(),
        }
    }

    /// The rule of a resource that no entry of the configuration names: plain text is read and
    /// written, an encrypted value is an error.
    pub fn identity() -> Self {
        Self::new(Provider::Identity, [])
    }

    /// All providers, in order.
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// What new values are written with: the first provider with its first key.
    pub fn writes_with(&self) -> (ProviderKind, Option<&Arc<str>>) {
        let provider = &self.providers[0];
        let name = match provider {
            Provider::Identity => None,
            Provider::AesCbc(keys) | Provider::AesGcm(keys) | Provider::Secretbox(keys) => {
                keys.first().map(NamedKey::shared_name)
            }
            Provider::KmsV1(name) | Provider::KmsV2(name) => Some(name),
        };
        (provider.kind(), name)
    }

    /// What a value is under that this rule seals with this DEK source.
    pub fn target(&self, dek: Option<&WriteDek>) -> WrittenWith {
        match (self.writes_with(), dek) {
            ((ProviderKind::KmsV1 | ProviderKind::KmsV2, _), Some(dek)) => {
                WrittenWith::Dek(Arc::clone(dek.reference()))
            }
            ((provider, Some(name)), _) => WrittenWith::Key {
                provider,
                name: Arc::clone(name),
            },
            ((_, None), _) => WrittenWith::Nothing,
        }
    }

    /// The same rule with more providers behind: what kube-apiserver makes of a second entry that
    /// names the same resource.
    pub fn extend(&mut self, providers: impl IntoIterator<Item = Provider>) {
        self.providers.extend(providers);
    }
}

/// One provider of a rule. Keys are never empty lists.
#[derive(Debug, Clone)]
pub enum Provider {
    /// Plain text.
    Identity,
    /// AES-CBC with PKCS#7 padding, not authenticated; keys of 16, 24 or 32 bytes.
    AesCbc(Vec<NamedKey>),
    /// AES-GCM with random 12-byte nonces, bound to the etcd key; keys of 16, 24 or 32 bytes.
    AesGcm(Vec<NamedKey>),
    /// XSalsa20-Poly1305; keys of 32 bytes.
    Secretbox(Vec<NamedKey>),
    /// A KMS v1 envelope.
    KmsV1(KmsName),
    /// A KMS v2 envelope.
    KmsV2(KmsName),
}

impl Provider {
    /// Which transformer it is.
    pub fn kind(&self) -> ProviderKind {
        match self {
            Self::Identity => ProviderKind::Identity,
            Self::AesCbc(_) => ProviderKind::AesCbc,
            Self::AesGcm(_) => ProviderKind::AesGcm,
            Self::Secretbox(_) => ProviderKind::Secretbox,
            Self::KmsV1(_) => ProviderKind::KmsV1,
            Self::KmsV2(_) => ProviderKind::KmsV2,
        }
    }
}

/// The transformers of Kubernetes, as reports name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProviderKind {
    /// `aescbc`
    AesCbc,
    /// `aesgcm`
    AesGcm,
    /// `identity`
    Identity,
    /// `kms-v1`
    KmsV1,
    /// `kms-v2`
    KmsV2,
    /// `secretbox`
    Secretbox,
}

impl ProviderKind {
    fn of(dek: &DekRef) -> Self {
        match dek {
            DekRef::V1 { .. } => Self::KmsV1,
            DekRef::V2 { .. } => Self::KmsV2,
        }
    }

    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AesCbc => "aescbc",
            Self::AesGcm => "aesgcm",
            Self::Identity => "identity",
            Self::KmsV1 => "kms-v1",
            Self::KmsV2 => "kms-v2",
            Self::Secretbox => "secretbox",
        }
    }

    /// What every value of the transformer begins with; a name and `:` follow, except for plain
    /// text.
    fn prefix(self) -> &'static str {
        match self {
            Self::AesCbc => "k8s:enc:aescbc:v1:",
            Self::AesGcm => "k8s:enc:aesgcm:v1:",
            Self::Identity => "",
            Self::KmsV1 => "k8s:enc:kms:v1:",
            Self::KmsV2 => "k8s:enc:kms:v2:",
            Self::Secretbox => "k8s:enc:secretbox:v1:",
        }
    }
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who wrote a stored value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum WrittenWith {
    /// Nobody: plain text.
    Nothing,
    /// A key of a local provider.
    Key {
        /// The transformer.
        provider: ProviderKind,
        /// The name of the key.
        name: Arc<str>,
    },
    /// A DEK source that a KMS provider wrapped.
    Dek(Arc<DekRef>),
}

impl WrittenWith {
    /// The transformer.
    pub fn provider(&self) -> ProviderKind {
        match self {
            Self::Nothing => ProviderKind::Identity,
            Self::Key { provider, .. } => *provider,
            Self::Dek(dek) => ProviderKind::of(dek),
        }
    }

    /// The name of the key or of the KMS provider; none for plain text.
    pub fn key(&self) -> Option<&Arc<str>> {
        match self {
            Self::Nothing => None,
            Self::Key { name, .. } => Some(name),
            Self::Dek(dek) => Some(dek.provider()),
        }
    }

    /// The KEK version of a KMS v2 envelope.
    pub fn key_id(&self) -> Option<&KeyId> {
        match self {
            Self::Dek(dek) => dek.key_id(),
            Self::Nothing | Self::Key { .. } => None,
        }
    }
}

/// What stands behind `name` and `:`, where the value begins so.
fn strip_name<'a>(value: &'a [u8], name: &str) -> Option<&'a [u8]> {
    value.strip_prefix(name.as_bytes())?.strip_prefix(b":")
}

#[cfg(test)]
mod tests;
