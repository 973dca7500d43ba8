use std::{collections::BTreeMap, fmt};

use kms_proto::{DekSourceType, KeyId};

use super::{KmsName, ProviderKind};
use crate::stored::dek::DekRef;

/// What a stored value is, compared with what its rule would write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Written as it would be written now; plain text too, where that is what the rule writes.
    Current,
    /// Encrypted, but not as it would be now. Never empty.
    Stale(Reasons),
    /// Plain text where the rule encrypts.
    Plaintext,
    /// Nothing says it is stale, and nothing can say it is not: KMS v1 stores no key id, or the
    /// current key id of a KMS v2 provider is not known.
    Unknowable,
}

impl State {
    pub(super) fn of(
        provider: ProviderKind,
        index: usize,
        mut reasons: Reasons,
        knowable: bool,
    ) -> Self {
        reasons.add_if(index != 0, Reason::Provider);
        match (provider, reasons.is_empty()) {
            (ProviderKind::Identity, false) => Self::Plaintext,
            (_, false) => Self::Stale(reasons),
            (_, true) if knowable => Self::Current,
            (_, true) => Self::Unknowable,
        }
    }
}

/// Why a value is stale: at least one of the reasons for which kube-apiserver itself takes it for
/// stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Its provider is not the first of the rule.
    Provider,
    /// Its key is not the first of the provider.
    Key,
    /// KMS v1: its payload is the AES-CBC of Kubernetes 1.24 and older.
    LegacyPayload,
    /// KMS v2: another key id than the current one.
    KeyId,
    /// KMS v2: another type of DEK source than the current one.
    DekType,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Provider => "not the first provider",
            Self::Key => "not the first key",
            Self::LegacyPayload => "legacy AES-CBC payload",
            Self::KeyId => "old key id",
            Self::DekType => "other type of DEK source",
        })
    }
}

/// A set of [`Reason`]s.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Reasons(u8);

impl Reasons {
    const ALL: [Reason; 5] = [
        Reason::Provider,
        Reason::Key,
        Reason::LegacyPayload,
        Reason::KeyId,
        Reason::DekType,
    ];

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this is one of them.
    pub fn contains(self, reason: Reason) -> bool {
        self.0 & bit(reason) != 0
    }

    /// All of them, in the order of the enum.
    pub fn iter(self) -> impl Iterator<Item = Reason> {
        Self::ALL
            .into_iter()
            .filter(move |reason| self.contains(*reason))
    }

    pub(super) fn add_if(&mut self, stale: bool, reason: Reason) {
        if stale {
            self.0 |= bit(reason);
        }
    }
}

impl FromIterator<Reason> for Reasons {
    fn from_iter<I: IntoIterator<Item = Reason>>(reasons: I) -> Self {
        Self(
            reasons
                .into_iter()
                .fold(0, |bits, reason| bits | bit(reason)),
        )
    }
}

impl fmt::Debug for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

fn bit(reason: Reason) -> u8 {
    1 << reason as u8
}

/// What every KMS v2 provider writes with now: the answers of Status, and the type of DEK source
/// that the apiservers use.
///
/// A provider that is not in here is unknown: its values can be opened, but whether they are stale
/// cannot be said.
#[derive(Debug, Clone, Default)]
pub struct CurrentKeys(BTreeMap<KmsName, CurrentKey>);

/// What one KMS v2 provider writes with now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentKey {
    /// The key id that Status answers.
    pub key_id: KeyId,
    /// The type of DEK source that is written.
    pub dek_type: DekSourceType,
}

impl CurrentKeys {
    /// Sets what a provider writes with; gives back what it was.
    pub fn insert(&mut self, provider: KmsName, key: CurrentKey) -> Option<CurrentKey> {
        self.0.insert(provider, key)
    }

    /// What a provider writes with.
    pub fn get(&self, provider: &str) -> Option<&CurrentKey> {
        self.0.get(provider)
    }

    /// What is stale about a KMS envelope, and whether that can be known at all.
    pub(super) fn judge(&self, dek: &DekRef) -> (Reasons, bool) {
        let mut reasons = Reasons::default();
        let DekRef::V2 {
            provider,
            kind,
            source,
        } = dek
        else {
            return (reasons, false);
        };
        let current = self.get(provider);
        if let Some(CurrentKey { key_id, dek_type }) = current {
            reasons.add_if(source.key_id != *key_id, Reason::KeyId);
            reasons.add_if(kind != dek_type, Reason::DekType);
        }
        (reasons, current.is_some())
    }
}

impl FromIterator<(KmsName, CurrentKey)> for CurrentKeys {
    fn from_iter<I: IntoIterator<Item = (KmsName, CurrentKey)>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}
