//! Two configurations compared by what they mean.

mod rollout;

use std::collections::BTreeSet;

use kms_proto::inventory::{API_VERSION, KeyRef};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{EncryptionConfig, KmsProvider, KmsVersion};
use crate::stored::{GroupResource, Provider, ProviderKind, Rule};

/// What changes from one configuration to another: `kind: EncryptionConfigDiff`. Nothing in it is
/// secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigDiff {
    /// [`API_VERSION`].
    pub api_version: &'static str,
    /// `EncryptionConfigDiff`.
    pub kind: &'static str,
    /// Whether they mean the same: every resource is written and read alike, and the KMS plugins are
    /// asked alike.
    pub equal: bool,
    /// The hashes of the files, as `rewrap config hash` and kube-apiserver's metrics show them.
    pub hash: Change<String>,
    /// Resources that are treated differently; `*` stands for those of a group, or all, that neither
    /// file names.
    pub resources: Vec<ResourceDiff>,
    /// KMS providers of both that are asked differently.
    pub kms_providers: Vec<KmsDiff>,
    /// Whether the new file can take the place of the old one on one apiserver after another: each
    /// reads what the others write in the meantime.
    pub rolls_out_directly: bool,
    /// How to get from the old file to the new one next to live apiservers.
    pub steps: Vec<String>,
}

/// What something was, and what it will be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change<T> {
    /// In the old file.
    pub from: T,
    /// In the new one.
    pub to: T,
}

impl<T: PartialEq> Change<T> {
    /// None where nothing changes.
    fn of(from: T, to: T) -> Option<Self> {
        (from != to).then_some(Self { from, to })
    }
}

/// How the rule of a resource changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceDiff {
    /// `secrets`, `deployments.apps`, `*.apps`, `*.*`.
    pub resource: String,
    /// The first provider with its first key.
    pub writes_with: Change<KeyRef>,
    /// What only the new file reads.
    pub added: Vec<KeyRef>,
    /// What only the old file reads.
    pub removed: Vec<KeyRef>,
    /// Keys whose name stays and whose secret does not.
    pub another_secret: Vec<KeyRef>,
    /// Whether what both read is tried in another order.
    pub reordered: bool,
    /// Whether an apiserver with the old file reads what one with the new file writes.
    pub old_reads_new: bool,
    /// Whether an apiserver with the new file reads what one with the old file writes.
    pub new_reads_old: bool,
}

/// How a KMS provider is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KmsDiff {
    /// `kms-v1` or `kms-v2`, and its name.
    #[serde(flatten)]
    pub key: KeyRef,
    /// Where its plugin listens, if that changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Change<String>>,
    /// How many milliseconds a call may take, if that changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_millis: Option<Change<u64>>,
}

impl EncryptionConfig {
    /// What changes from this configuration to another.
    pub fn diff(&self, to: &Self) -> ConfigDiff {
        let named: BTreeSet<_> = self.rules.keys().chain(to.rules.keys()).collect();
        let resources: Vec<_> = named
            .into_iter()
            .filter_map(|resource| {
                let [old, new] = [self, to].map(|config| readers(config.rule(resource)));
                (old != new).then(|| resource_diff(resource, &old, &new))
            })
            .collect();
        let kms_providers: Vec<_> = self
            .kms_providers
            .iter()
            .filter_map(|old| {
                let new = to
                    .kms_providers
                    .iter()
                    .find(|new| new.name == old.name && new.version == old.version)?;
                kms_diff(old, new)
            })
            .collect();
        ConfigDiff {
            api_version: API_VERSION,
            kind: "EncryptionConfigDiff",
            equal: resources.is_empty() && kms_providers.is_empty(),
            hash: Change {
                from: self.hash.clone(),
                to: to.hash.clone(),
            },
            rolls_out_directly: resources
                .iter()
                .all(|diff| diff.old_reads_new && diff.new_reads_old),
            steps: rollout::steps(&resources, &kms_providers),
            resources,
            kms_providers,
        }
    }
}

/// What reads a value, and is not the same if its secret is another.
#[derive(Clone, PartialEq, Eq)]
struct Reader {
    key: KeyRef,
    /// SHA-256 of the key, for the providers that have it in the file.
    digest: Option<[u8; 32]>,
}

/// What a resource is read with, in order; the first also writes. What stands twice is tried once.
fn readers(rule: Option<&std::sync::Arc<Rule>>) -> Vec<Reader> {
    let plain = Rule::identity();
    let mut readers: Vec<Reader> = Vec::new();
    for provider in rule.map_or(&plain, |rule| rule).providers() {
        let mut add = |name: &str, secret: Option<&[u8]>| {
            let reader = Reader {
                key: key_ref(provider.kind(), name),
                digest: secret.map(|secret| Sha256::digest(secret).into()),
            };
            if !readers.contains(&reader) {
                readers.push(reader);
            }
        };
        match provider {
            Provider::Identity => add("", None),
            Provider::AesCbc(keys) | Provider::AesGcm(keys) | Provider::Secretbox(keys) => {
                for key in keys {
                    add(key.name(), Some(key.expose()));
                }
            }
            Provider::KmsV1(name) | Provider::KmsV2(name) => add(name, None),
        }
    }
    readers
}

fn key_ref(provider: ProviderKind, name: &str) -> KeyRef {
    KeyRef {
        provider: provider.as_str().to_owned(),
        key: name.to_owned(),
    }
}

fn resource_diff(resource: &GroupResource, old: &[Reader], new: &[Reader]) -> ResourceDiff {
    let only = |these: &[Reader], those: &[Reader]| -> Vec<KeyRef> {
        let only = these.iter().filter(|reader| !those.contains(reader));
        only.map(|reader| reader.key.clone()).collect()
    };
    let (added, removed) = (only(new, old), only(old, new));
    let (another_secret, added): (Vec<_>, _) =
        added.into_iter().partition(|key| removed.contains(key));
    let common = |these: &[Reader], those: &[Reader]| -> Vec<Reader> {
        let common = these.iter().filter(|reader| those.contains(reader));
        common.cloned().collect()
    };
    ResourceDiff {
        resource: match &*resource.resource {
            // Without the dot it would mean something else.
            "*" => format!("*.{}", resource.group),
            _ => resource.to_string(),
        },
        writes_with: Change {
            from: old[0].key.clone(),
            to: new[0].key.clone(),
        },
        removed: removed
            .into_iter()
            .filter(|key| !another_secret.contains(key))
            .collect(),
        added,
        another_secret,
        reordered: common(old, new) != common(new, old),
        old_reads_new: old.contains(&new[0]),
        new_reads_old: new.contains(&old[0]),
    }
}

fn kms_diff(old: &KmsProvider, new: &KmsProvider) -> Option<KmsDiff> {
    let millis =
        |provider: &KmsProvider| u64::try_from(provider.timeout.as_millis()).unwrap_or(u64::MAX);
    let kind = match old.version {
        KmsVersion::V1 => ProviderKind::KmsV1,
        KmsVersion::V2 => ProviderKind::KmsV2,
    };
    let diff = KmsDiff {
        key: key_ref(kind, &old.name),
        endpoint: Change::of(old.endpoint.to_string(), new.endpoint.to_string()),
        timeout_millis: Change::of(millis(old), millis(new)),
    };
    (diff.endpoint.is_some() || diff.timeout_millis.is_some()).then_some(diff)
}

#[cfg(test)]
mod tests;
