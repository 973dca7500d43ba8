//! The clocks of encryption at rest: when kube-apiserver asks a KMS v2 plugin, how long it goes on
//! without a good answer, and when it takes over another EncryptionConfiguration
//! (`pkg/server/options/encryptionconfig` of `k8s.io/apiserver`; Kubernetes' own
//! `test/integration/controlplane/transformation` tests them likewise).

use std::{path::Path, time::Duration};

use kms_proto::{EncryptedDekSource, EncryptedObject};
use sha2::{Digest, Sha256};

use crate::{
    agreement::Object,
    churn::secret,
    cluster::Cluster,
    ledger::Ledger,
    support::{
        apiserver::Release,
        dice::Dice,
        encryption::Provider::{self, Identity, Kms},
        etcd::gateway::Stored,
        kube::{Kube, KubeError},
        within,
    },
};

pub(crate) mod away;
pub(crate) mod disagreement;
mod disaster;
mod moving;
pub(crate) mod outage;
pub(crate) mod refusals;
pub(crate) mod reload;
pub(crate) mod rotation;

/// What is encrypted.
const SECRETS: [&str; 1] = ["secrets"];
const COLLECTION: &str = "/api/v1/namespaces/default/secrets";

/// The KMS provider, and what all under it begins with.
const PLUGIN: &str = "plugin";
const KMS: &str = "k8s:enc:kms:v2:plugin:";

/// Longer than any of the clocks as they are released: the longest is three minutes of writing
/// without a plugin, and a poll.
const LIMIT: Duration = Duration::from_secs(300);

/// The last release whose gRPC client names the socket's path as `:authority`.
const OLD: Release = Release(31);

/// A cluster with some Secrets under a KMS plugin.
struct Scene {
    cluster: Cluster,
    kube: Kube,
    secrets: Ledger,
    dice: Dice,
}

impl Scene {
    /// A plugin serves the socket; nothing is stored yet.
    fn begin(release: Release, socket: &Path) -> Self {
        Self::begin_with(release, &[Kms(PLUGIN, socket), Identity])
    }

    /// The same with any providers for Secrets.
    fn begin_with(release: Release, providers: &[Provider<'_>]) -> Self {
        let cluster = Cluster::encrypting(release, &[(&SECRETS, providers)]);
        let kube = cluster.kube();
        Self {
            cluster,
            kube,
            secrets: Ledger::new(COLLECTION),
            dice: Dice::new(),
        }
    }

    /// Creates a Secret or replaces it.
    fn put(&mut self, name: &str) -> Result<(), KubeError> {
        let object = secret(name, &mut self.dice);
        if self.secrets.names().iter().any(|known| known == name) {
            self.secrets.update(&self.kube, &object)
        } else {
            self.secrets.create(&self.kube, &object)
        }
    }

    /// The same, and says what DEK source it is stored under.
    fn write(&mut self, name: &str) -> Result<EncryptedDekSource, KubeError> {
        self.put(name)?;
        Ok(self.dek_source(name))
    }

    /// Creates so many Secrets under one DEK source.
    fn fill(&mut self, prefix: &str, count: usize) -> EncryptedDekSource {
        let first = self.write(&format!("{prefix}-0")).unwrap();
        for number in 1..count {
            let source = self.write(&format!("{prefix}-{number}")).unwrap();
            assert_eq!(source, first);
        }
        first
    }

    /// A Secret as it lies in etcd.
    fn stored(&self, name: &str) -> Stored {
        let key = format!("/registry/secrets/default/{name}");
        self.cluster.etcd.stored(&key).unwrap()
    }

    /// The DEK source that a Secret is stored under.
    fn dek_source(&self, name: &str) -> EncryptedDekSource {
        let stored = self.stored(name);
        let envelope = stored
            .value
            .strip_prefix(KMS.as_bytes())
            .unwrap_or_else(|| panic!("{name} is not under {PLUGIN}"));
        let envelope = EncryptedObject::decode(envelope).unwrap();
        envelope.into_dek_source().to_source()
    }

    /// Whether a Secret is stale, for the apiserver and for `rewrap`. If it was, it is not any more.
    #[track_caller]
    fn is_stale(&self, name: &str) -> bool {
        let secret = Object::new("secrets", COLLECTION, name);
        self.cluster.agrees_is_stale(&secret)
    }

    /// Fails unless the apiserver shows all Secrets as they were written.
    fn read_back(&self) {
        self.secrets.read_back(&self.kube);
    }

    /// How many Secrets `rewrap status` says are in this state.
    fn counted(&self, state: &str) -> u64 {
        let inventory = self.cluster.status(&["--resource=secrets"]);
        let rows = inventory["resources"].as_array().unwrap();
        let [row] = &rows[..] else {
            panic!("not one row: {inventory:#}")
        };
        assert_eq!(row["total"], self.secrets.len(), "{row:#}");
        row[state].as_u64().unwrap()
    }

    /// What the apiserver says of its KMS plugins while something is wrong with them.
    fn complaint(&self) -> String {
        let complaint = within(LIMIT, "the apiserver complains of its plugin", || {
            self.kube.text("/readyz/kms-providers").err()
        });
        assert_eq!(complaint.status, Some(500), "{complaint}");
        complaint.to_string()
    }
}

/// Waits until the apiserver is content with its plugins.
fn wait_until_content(kube: &Kube) {
    within(LIMIT, "the apiserver is content with its plugins", || {
        kube.text("/readyz").ok()
    });
}

/// Fails unless a write was refused because too long ago the plugin last gave a good answer, which
/// named this key id.
fn assert_expired(refusal: &KubeError, key_id: &str) {
    assert_eq!(refusal.status, Some(500), "{refusal}");
    let refusal = refusal.to_string();
    for words in ["encryptedDEKSource", &hash(key_id), "expired at"] {
        assert!(refusal.contains(words), "no {words} in {refusal}");
    }
}

/// A key id as the apiserver shows it.
fn hash(key_id: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(key_id)))
}
