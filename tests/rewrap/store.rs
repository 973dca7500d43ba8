//! An etcd with Secrets, its EncryptionConfiguration, and `rewrap` pointed at both.

use std::{collections::BTreeMap, path::PathBuf};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tempfile::TempDir;

use crate::support::{
    dice::Dice,
    encryption::{self, Provider, secret},
    envelope::Client,
    etcd::Etcd,
    rewrap::{self, Finished, Running},
    sealed::{open, seal, secret_json, secret_protobuf},
};

/// The keys of all Secrets.
pub(crate) const SECRETS: &str = "/registry/secrets/";

/// Part of every Secret.
const UNSAID: &str = "never-to-be-shown";

/// A store that an apiserver left behind.
pub(crate) struct Store {
    pub(crate) etcd: Etcd,
    folder: TempDir,
}

impl Store {
    /// One with no more than the namespace by which a cluster is known, and an
    /// EncryptionConfiguration for Secrets.
    pub(crate) fn start(providers: &[Provider<'_>]) -> Self {
        Self::on(Etcd::start(), providers)
    }

    /// The same on an etcd of a special kind.
    pub(crate) fn on(etcd: Etcd, providers: &[Provider<'_>]) -> Self {
        let store = Self {
            etcd,
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
                    &format!("{UNSAID}{:032x}", dice.below(usize::MAX)),
                ),
                _ => {
                    let data = [UNSAID.as_bytes(), &dice.bytes(200)].concat();
                    secret_protobuf("default", &name, &data)
                }
            };
            let value = seal(provider, &path, &plaintext, dice);
            self.etcd
                .put_with_lease(&path, &value, if number % 10 == 0 { lease } else { 0 });
            plaintexts.insert(path, plaintext);
        }
        plaintexts
    }

    /// Stores Secrets of a size.
    pub(crate) fn fill_large(
        &self,
        count: u64,
        size: usize,
        provider: Provider<'_>,
        dice: &mut Dice,
    ) -> BTreeMap<String, Vec<u8>> {
        let mut plaintexts = BTreeMap::new();
        for number in 0..count {
            let name = format!("large-{number:05}");
            let path = format!("{SECRETS}default/{name}");
            let plaintext = secret_json("default", &name, &UNSAID.repeat(size / UNSAID.len()));
            let value = seal(provider, &path, &plaintext, dice);
            self.etcd.put(&path, &value);
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

    /// The plaintexts of all Secrets by key, and how many of them are under a KMS v2 provider.
    pub(crate) fn opened_with(&self, client: &mut Client) -> (BTreeMap<String, Vec<u8>>, usize) {
        let (mut plaintexts, mut count) = (BTreeMap::new(), 0);
        for stored in self.etcd.list(SECRETS) {
            let opened = client.open(&stored.key, &stored.value);
            count += usize::from(opened.is_some());
            let plaintext = opened.map_or_else(
                || open(&stored.key, &stored.value).1,
                |opened| opened.plaintext,
            );
            plaintexts.insert(stored.key, plaintext);
        }
        (plaintexts, count)
    }

    /// A verb of `rewrap`, with the flags that show it the way, run to its end.
    pub(crate) fn rewrap(&self, verb: &str, more: &[&str]) -> Finished {
        self.start_rewrap(verb, more).finish()
    }

    /// The same, which must end with `code`, print no secret, and leave etcd exactly as it is.
    #[track_caller]
    pub(crate) fn harmless(&self, verb: &str, more: &[&str], code: i32) -> Finished {
        let before = self.etcd.everything();
        let finished = self.rewrap(verb, more).expect(code);
        assert!(
            self.etcd.everything() == before,
            "{verb} wrote to etcd: {finished}"
        );
        assert_unsaid(&finished, &[]);
        finished
    }

    /// The same, not waited for.
    pub(crate) fn start_rewrap(&self, verb: &str, more: &[&str]) -> Running {
        let mut command = rewrap::command([verb]);
        // Another endpoint takes the place of ours.
        if !more.iter().any(|flag| flag.starts_with("--endpoints=")) {
            command.arg(format!("--endpoints={}", self.etcd.endpoint()));
        }
        command
            .arg(format!(
                "--encryption-provider-config={}",
                self.encryption().display()
            ))
            .args(more);
        Running::start(&mut command)
    }
}

/// Fails if anything of a Secret, a key of an EncryptionConfiguration or one of `more` was printed,
/// in whatever form.
#[track_caller]
pub(crate) fn assert_unsaid(finished: &Finished, more: &[Vec<u8>]) {
    let keys = ["old", "new"].map(|name| secret(name).to_vec());
    let said = format!("{finished}");
    for bytes in [UNSAID.into()].iter().chain(&keys).chain(more) {
        let list = format!("{bytes:?}");
        for form in [
            String::from_utf8_lossy(bytes).as_ref(),
            &BASE64_STANDARD.encode(bytes),
            &hex::encode(bytes),
            list.trim_matches(['[', ']']),
        ] {
            assert!(!said.contains(form), "{form} in {said}");
        }
    }
}
