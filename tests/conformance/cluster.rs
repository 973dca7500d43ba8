//! A control plane of one store and one kube-apiserver, and what its operator does to it.

use std::{
    cell::Cell,
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::{
    backend::Backend,
    collections::{Totals, count_everything},
    support::{
        apiserver::{Apiserver, Release},
        encryption::{self, Entry, Provider},
        etcd::Etcd,
        kube::Kube,
        rewrap::{self, Finished, Running},
        within,
    },
};

/// The metrics of whoever watches the EncryptionConfiguration begin so.
const CONTROLLER: &str = "apiserver_encryption_config_controller_";
const KEY_IDS: &str = "apiserver_envelope_encryption_key_id_hash_status_last_timestamp_seconds{";

/// The EncryptionConfiguration.
const ENCRYPTION: &str = "encryption.yaml";

/// The resource whose objects come and go by themselves.
const EVENTS: &str = "events";

/// What the apiserver does at the next turn of one of its clocks.
const MINUTES: Duration = Duration::from_secs(150);

/// A control plane.
pub(crate) struct Cluster<S = Etcd> {
    pub(crate) etcd: S,
    pub(crate) apiserver: Apiserver,
    /// Flags for every verb of `rewrap`: what the apiserver was told of etcd's keys and servers, in
    /// the same words.
    pub(crate) told: Vec<String>,
    folder: TempDir,
    /// How often the apiserver had reloaded its EncryptionConfiguration before it was last written.
    reloads: Cell<f64>,
}

impl Cluster {
    /// One of the newest release that encrypts nothing yet. Its Events live for a minute.
    pub(crate) fn start() -> Self {
        Self::of(Release::NEWEST, &[])
    }

    /// The same of another release, with more flags for the apiserver.
    pub(crate) fn of(release: Release, flags: &[&str]) -> Self {
        Self::on(Etcd::start(), release, flags)
    }

    /// One of any release that encrypts from its first start on.
    pub(crate) fn encrypting(release: Release, entries: &[Entry<'_>]) -> Self {
        Self::begin(Etcd::start(), release, &[], Some(entries))
    }
}

impl<S: Backend> Cluster<S> {
    /// One on another store that encrypts nothing yet.
    pub(crate) fn on(etcd: S, release: Release, flags: &[&str]) -> Self {
        Self::begin(etcd, release, flags, None)
    }

    fn begin(etcd: S, release: Release, flags: &[&str], entries: Option<&[Entry<'_>]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let encryption = folder.path().join(ENCRYPTION);
        let nothing: [Entry<'_>; 1] = [(&["secrets"], &[Provider::Identity])];
        encryption::write_entries(&encryption, entries.unwrap_or(&nothing));
        let way = etcd.flags();
        let flags: Vec<_> = way
            .iter()
            .map(String::as_str)
            .chain(flags.to_vec())
            .collect();
        let told = flags.iter().filter(|flag| flag.starts_with("--etcd-"));
        let told = told.map(|&flag| flag.to_owned()).collect();
        let flags = [&["--event-ttl=60s"], &flags[..]].concat();
        let encryption = entries.map(|_| &*encryption);
        let apiserver = Apiserver::of(release, &etcd.endpoints(), encryption, &flags);
        Self {
            etcd,
            apiserver,
            told,
            folder,
            reloads: Cell::new(0.0),
        }
    }

    /// The EncryptionConfiguration.
    pub(crate) fn encryption(&self) -> PathBuf {
        self.folder.path().join(ENCRYPTION)
    }

    /// Writes an EncryptionConfiguration of one entry, and no more.
    pub(crate) fn write_encryption(&self, resources: &[&str], providers: &[Provider<'_>]) {
        self.write_entries(&[(resources, providers)]);
    }

    /// The same with all these entries.
    pub(crate) fn write_entries(&self, entries: &[Entry<'_>]) {
        self.reloads.set(self.reloads("success"));
        encryption::write_entries(&self.encryption(), entries);
    }

    /// Starts the apiserver cold with the EncryptionConfiguration as it is written.
    pub(crate) fn restart(&mut self) {
        self.apiserver.restart(Some(&self.encryption()));
    }

    /// Waits until the apiserver has loaded the EncryptionConfiguration as it is written, without
    /// a restart.
    pub(crate) fn wait_for_reload(&self) {
        let hash = config_hash(&self.encryption());
        within(MINUTES, "the new EncryptionConfiguration is loaded", || {
            // Older ones only count.
            let loaded = if self.apiserver.release() < Release(34) {
                self.reloads("success") > self.reloads.get()
            } else {
                let info = self.metrics(&format!("{CONTROLLER}last_config_info{{"));
                info.iter().any(|line| line.contains(&hash))
            };
            loaded.then_some(())
        });
        let said = rewrap::run([Path::new("config"), Path::new("hash"), &self.encryption()]);
        assert_eq!(said.expect(0).stdout.trim_end(), hash);
    }

    /// How often the apiserver has tried to reload its EncryptionConfiguration with this outcome:
    /// `success` or `failure`.
    pub(crate) fn reloads(&self, outcome: &str) -> f64 {
        let name = if self.apiserver.release() < Release(30) {
            format!("automatic_reload_{outcome}")
        } else {
            "automatic_reloads_total{".to_owned()
        };
        self.metrics(&format!("{CONTROLLER}{name}"))
            .iter()
            .filter(|line| line.contains(outcome))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Waits until the apiserver has seen so many key ids of its KMS plugin since its start.
    pub(crate) fn wait_for_key_ids(&self, count: usize) {
        within(MINUTES, "a new key id in the apiserver's metrics", || {
            (self.metrics(KEY_IDS).len() == count).then_some(())
        });
    }

    /// The apiserver's metrics that begin so.
    fn metrics(&self, name: &str) -> Vec<String> {
        let metrics = self.kube().text("/metrics").unwrap();
        let lines = metrics.lines().filter(|line| line.starts_with(name));
        lines.map(str::to_owned).collect()
    }

    /// A client of the apiserver.
    pub(crate) fn kube(&self) -> Kube {
        self.apiserver.client()
    }

    /// A verb of `rewrap`, with the flags that show it the way.
    pub(crate) fn rewrap(&self, verb: &str, more: &[&str]) -> Finished {
        Running::start(&mut self.rewrap_command(verb, more)).finish()
    }

    /// The same, not yet started.
    pub(crate) fn rewrap_command(&self, verb: &str, more: &[&str]) -> Command {
        self.rewrap_command_for(&self.encryption(), verb, more)
    }

    /// The same for another EncryptionConfiguration than the apiserver's.
    pub(crate) fn rewrap_command_for(
        &self,
        encryption: &Path,
        verb: &str,
        more: &[&str],
    ) -> Command {
        let mut command = rewrap::command([verb]);
        command
            .arg(format!("--endpoints={}", self.etcd.endpoints()))
            .arg(format!(
                "--encryption-provider-config={}",
                encryption.display()
            ))
            .arg(format!("--kubernetes-version={}", self.apiserver.release()))
            .args(&self.told)
            .args(more);
        command
    }

    /// `rewrap run`, with the apiserver and these others to prove that they can read what will be
    /// written.
    pub(crate) fn rewrap_run(&self, others: &[&Apiserver]) -> Finished {
        self.rewrap_run_with(others, &[])
    }

    /// The same with more flags.
    pub(crate) fn rewrap_run_with(&self, others: &[&Apiserver], more: &[&str]) -> Finished {
        let apiservers = [&[&self.apiserver], others].concat();
        let cas: Vec<_> = apiservers
            .iter()
            .map(|apiserver| fs::read(apiserver.ca()).unwrap())
            .collect();
        let ca = self.folder.path().join("apiservers.crt");
        fs::write(&ca, cas.concat()).unwrap();

        let mut flags = vec![
            "--yes".to_owned(),
            "--output=json".to_owned(),
            format!("--token-file={}", self.apiserver.token_file().display()),
            format!("--apiserver-cacert={}", ca.display()),
        ];
        flags.extend(
            apiservers
                .iter()
                .map(|apiserver| format!("--apiserver={}", apiserver.url())),
        );
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        self.rewrap("run", &[&flags, more].concat())
    }

    /// The inventory as JSON.
    pub(crate) fn status(&self, more: &[&str]) -> Value {
        self.rewrap("status", &[&["--output=json"], more].concat())
            .expect(0)
            .json()
    }

    /// The names of the DEK sources in the inventory, which are their SHA-256.
    pub(crate) fn dek_sources(&self) -> BTreeSet<String> {
        let inventory = self.status(&[]);
        let sources = inventory["dekSources"].as_array().unwrap().iter();
        sources
            .map(|source| source["sha256"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Fails unless the inventory has as many objects of every resource as the apiserver shows.
    pub(crate) fn counts_like_the_apiserver(&self) {
        let (mut shown, inventory) = self.counts_at_rest();
        assert_eq!(inventory["unreadable"], json!([]));
        for row in inventory["resources"].as_array().unwrap() {
            let resource = row["resource"].as_str().unwrap();
            if resource != EVENTS {
                assert_eq!(row["total"].as_u64(), shown.remove(resource), "{row:#}");
            }
        }
        shown.retain(|_, objects| *objects > 0);
        assert!(
            shown.is_empty(),
            "resources that the inventory lacks: {shown:?}"
        );
    }

    /// What the apiserver shows and the inventory, with nothing made or deleted between the two: an
    /// apiserver takes leases of its own seconds after it is ready.
    fn counts_at_rest(&self) -> (Totals, Value) {
        let count = || {
            let mut shown = count_everything(&self.kube());
            shown.remove(EVENTS);
            shown
        };
        let mut before = count();
        for _ in 0..10 {
            let inventory = self.status(&[]);
            let after = count();
            if after == before {
                return (after, inventory);
            }
            before = after;
        }
        panic!("the apiserver makes and deletes objects without end: {before:?}");
    }
}

fn config_hash(file: &Path) -> String {
    let digest = Sha256::digest(fs::read(file).unwrap());
    format!("sha256:{}", hex::encode(digest))
}
