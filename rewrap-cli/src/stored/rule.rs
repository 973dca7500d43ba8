//! The ordered providers of one resource: the first writes, all read.

use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

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

/// The name of a KMS provider: part of every value it protects, and unique among its version.
pub type KmsName = Arc<str>;

/// A key of a local provider with the name that stands in the stored values.
///
/// Shared, wiped when the last user drops it, and never printed.
#[derive(Clone)]
pub struct NamedKey {
    name: Arc<str>,
    secret: Arc<Zeroizing<Vec<u8>>>,
}

impl NamedKey {
    /// Takes over a decoded key; whoever builds a [`Provider`] has checked its length.
    pub fn new(name: &str, secret: Zeroizing<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            secret: Arc::new(secret),
        }
    }

    /// The name, as in the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key itself.
    pub fn expose(&self) -> &[u8] {
        &self.secret
    }
}

impl fmt::Debug for NamedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
