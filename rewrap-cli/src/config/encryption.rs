//! EncryptionConfiguration: the same files accepted and the same refused as by kube-apiserver
//! (`k8s.io/apiserver/pkg/server/options/encryptionconfig`), with the rule of every resource.

mod decode;
mod diff;
mod error;
mod keys;
mod kms;
mod lint;
mod resources;
mod schema;
mod validate;
mod version;

use std::{collections::HashMap, sync::Arc};

use sha2::{Digest, Sha256};

use self::{decode::Report, schema::Schema};
use crate::stored::{GroupResource, Rule};

pub use diff::{Change, ConfigDiff, KmsDiff, ResourceDiff};
pub use error::{ConfigError, ConfigErrors, Problem};
pub use kms::{KmsProvider, KmsVersion, SocketAddress};
pub use lint::{Regret, StoredUnder, Warning};
pub use version::{KubernetesVersion, VersionError};

/// A configuration that kube-apiserver would load, and what it makes of it.
#[derive(Debug)]
pub struct EncryptionConfig {
    entries: Vec<Entry>,
    rules: HashMap<GroupResource, Arc<Rule>>,
    kms_providers: Vec<KmsProvider>,
    warnings: Vec<Warning>,
    hash: String,
}

/// What else decides whether kube-apiserver accepts a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ParseOptions {
    /// The release of kube-apiserver.
    pub version: KubernetesVersion,
    /// Its `--encryption-provider-config-automatic-reload`, which tightens one rule.
    pub automatic_reload: bool,
    /// The feature gate `KMSv1`, where it is set; else the default of the release.
    pub kms_v1: Option<bool>,
}

/// One entry of `resources`, in the order of the file.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What it names; a resource or a group may be `*`.
    pub resources: Vec<GroupResource>,
    /// Its own providers. Another entry may add to the rule of a resource: ask
    /// [`EncryptionConfig::rule`] for that.
    pub rule: Arc<Rule>,
}

impl EncryptionConfig {
    /// Reads a file as kube-apiserver does.
    ///
    /// # Errors
    /// What kube-apiserver would refuse, every finding of the stage that fails: syntax, then kind and
    /// fields, then the rules of `pkg/apis/apiserver/validation`, then what its loader checks. No
    /// error repeats anything of the file.
    pub fn parse(bytes: &[u8], options: &ParseOptions) -> Result<Self, ConfigErrors> {
        let mut report = Report::new(options.version.is_strict());
        let schema = Schema::read(bytes, &mut report);
        report.check()?;
        let valid = validate::validate(&schema, options, &mut report);
        report.check()?;
        resources::check_masks(&valid.entries, &mut report);
        kms::check_load(&valid.kms_providers, options, &mut report);
        report.check()?;
        Ok(Self {
            warnings: lint::lint(&valid, &report),
            rules: rules(&valid.entries),
            entries: valid.entries,
            kms_providers: valid
                .kms_providers
                .into_iter()
                .map(|found| found.provider)
                .collect(),
            hash: format!("sha256:{}", hex::encode(Sha256::digest(bytes))),
        })
    }

    /// The entries, in the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The rule of a resource: that of its own name, else of `*.<group>`, else of `*.*`
    /// (`transformerFromOverrides`). None means plain text, [`Rule::identity`].
    pub fn rule(&self, resource: &GroupResource) -> Option<&Arc<Rule>> {
        self.rules
            .get(resource)
            .or_else(|| self.rules.get(&GroupResource::new("*", &resource.group)))
            .or_else(|| self.rules.get(&GroupResource::new("*", "*")))
    }

    /// Every KMS provider, in the order of the file.
    pub fn kms_providers(&self) -> &[KmsProvider] {
        &self.kms_providers
    }

    /// What kube-apiserver accepts but the operator may regret.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The hash of the file as the metric `apiserver_encryption_config_controller_last_config_info`
    /// shows it: `sha256:` and 64 hex digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// The rule of every name: where several entries repeat it, their providers in the order of the file.
fn rules(entries: &[Entry]) -> HashMap<GroupResource, Arc<Rule>> {
    let mut rules: HashMap<GroupResource, Arc<Rule>> = HashMap::new();
    for entry in entries {
        for resource in &entry.resources {
            rules
                .entry(resource.clone())
                .and_modify(|rule| {
                    Arc::make_mut(rule).extend(entry.rule.providers().iter().cloned())
                })
                .or_insert_with(|| Arc::clone(&entry.rule));
        }
    }
    rules
}

#[cfg(test)]
mod tests;
