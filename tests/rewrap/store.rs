//! An etcd with Secrets, its EncryptionConfiguration, and `rewrap` pointed at both.

use std::{collections::BTreeMap, path::PathBuf};

use tempfile::TempDir;

use crate::support::{
    dice::Dice,
    encryption::{self, Provider},
    etcd::Etcd,
    rewrap::{self, Finished, Running},
    sealed::{open, seal, secret_json, secret_protobuf},
};

/// The keys of all Secrets.
pub(crate) const SECRETS: &str = "/registry/secrets/";

/// A store that an apiserver left behind.
pub(crate) struct Store {
    pub(crate) etcd: Etcd,
    folder: TempDir,
}

impl Store {
    /// One with no more than the namespace by which a cluster is known, and an
    /// EncryptionConfiguration for Secrets.
    pub(crate) fn start(providers: &[Provider<'_>]) -> Self {
        let store = Self {
            etcd: Etcd::start(),
            folder: tempfile::tempdir().unwrap(),
        };
        let namespace = br#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-system","uid":"cluster"}}"#;
        store
            .etcd
            .put("/registry/namespaces/kube-system", namespace);
        store.configure(providers);
        store
    }

    /// Writes the EncryptionConfiguration.
    pub(crate) fn configure(&self, providers: &[Provider<'_>]) {
        encryption::write(&self.encryption(), &["secrets"], providers);
    }

    /// The EncryptionConfiguration.
    pub(crate) fn encryption(&self) -> PathBuf {
        self.folder.path().join("encryption.yaml")
    }

    /// Stores Secrets, in JSON and in protobuf; every tenth is under a lease. Returns the
    /// plaintexts by key.
    pub(crate) fn fill(
        &self,
        count: usize,
        provider: Provider<'_>,
        dice: &mut Dice,
    ) -> BTreeMap<String, Vec<u8>> {
        let lease = self.etcd.lease(3600);
        let mut plaintexts = BTreeMap::new();
        for number in 0..count {
            let name = format!("secret-{number:05}");
            let path = format!("{SECRETS}default/{name}");
            let plaintext = match number % 2 {
                0 => secret_json(
                    "default",
                    &name,
                    &format!("{:032x}", dice.below(usize::MAX)),
                ),
                _ => secret_protobuf("default", &name, &dice.bytes(200)),
            };
            let value = seal(provider, &path, &plaintext, dice);
            self.etcd
                .put_with_lease(&path, &value, if number % 10 == 0 { lease } else { 0 });
            plaintexts.insert(path, plaintext);
        }
        plaintexts
    }

    /// The plaintexts of all Secrets by key, and how many there are under each key's name.
    pub(crate) fn opened(&self) -> (BTreeMap<String, Vec<u8>>, BTreeMap<String, usize>) {
        let (mut plaintexts, mut names) = (BTreeMap::new(), BTreeMap::new());
        for stored in self.etcd.list(SECRETS) {
            let (name, plaintext) = open(&stored.key, &stored.value);
            *names.entry(name).or_default() += 1;
            plaintexts.insert(stored.key, plaintext);
        }
        (plaintexts, names)
    }

    /// A verb of `rewrap`, with the flags that show it the way, run to its end.
    pub(crate) fn rewrap(&self, verb: &str, more: &[&str]) -> Finished {
        self.start_rewrap(verb, more).finish()
    }

    /// The same, not waited for.
    pub(crate) fn start_rewrap(&self, verb: &str, more: &[&str]) -> Running {
        let mut command = rewrap::command([verb]);
        command
            .arg(format!("--endpoints={}", self.etcd.endpoint()))
            .arg(format!(
                "--encryption-provider-config={}",
                self.encryption().display()
            ))
            .args(more);
        Running::start(&mut command)
    }
}
