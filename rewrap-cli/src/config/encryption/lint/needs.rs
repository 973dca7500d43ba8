//! What stored values need, and a file lacks.

use kms_proto::inventory::KeyRef;

use super::{Regret, Warning};
use crate::{
    config::EncryptionConfig,
    stored::{GroupResource, Provider},
};

/// So many objects of a resource are stored under one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredUnder {
    /// The resource.
    pub resource: GroupResource,
    /// What they are stored under.
    pub key: KeyRef,
    /// How many.
    pub objects: u64,
}

impl EncryptionConfig {
    /// Which of the stored objects kube-apiserver could not read with this file. A key of the right name
    /// is taken for the right key.
    pub fn lacks<'s>(&self, stored: impl IntoIterator<Item = &'s StoredUnder>) -> Vec<Warning> {
        let unreadable = stored.into_iter().filter(|stored| !self.reads(stored));
        unreadable
            .map(|stored| Warning {
                path: String::new(),
                line: None,
                regret: Regret::StillNeeded {
                    resource: stored.resource.to_string(),
                    objects: stored.objects,
                    key: match stored.key.key.as_str() {
                        "" => stored.key.provider.clone(),
                        name => format!("{} {name:?}", stored.key.provider),
                    },
                },
            })
            .collect()
    }

    fn reads(&self, stored: &StoredUnder) -> bool {
        let StoredUnder {
            key: KeyRef {
                provider: kind,
                key,
            },
            ..
        } = stored;
        let Some(rule) = self.rule(&stored.resource) else {
            return kind == "identity";
        };
        rule.providers().iter().any(|provider| {
            let named = match provider {
                Provider::Identity => true,
                Provider::AesCbc(keys) | Provider::AesGcm(keys) | Provider::Secretbox(keys) => {
                    keys.iter().any(|named| named.name() == key)
                }
                Provider::KmsV1(name) | Provider::KmsV2(name) => **name == *key,
            };
            named && provider.kind().as_str() == kind
        })
    }
}
