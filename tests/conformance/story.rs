//! A cluster from plain text through every kind of key and back, as its operator lives it.

use std::{collections::BTreeSet, time::Duration};

use rustix::process::Signal;

use crate::{
    backend::Backend,
    churn::{Churn, secret},
    cluster::Cluster,
    collections::count_everything,
    ledger::Ledger,
    step,
    support::{
        apiserver::Release,
        dice::Dice,
        encryption::Provider::{self, AesCbc, AesGcm, Identity, Kms},
        etcd::gateway::Stored,
        eventually,
        plugin::{Plugin, Site},
        within,
    },
};

mod begin;
mod finds;

/// What is encrypted until everything is.
const SOME: [&str; 4] = [
    "secrets",
    "configmaps",
    "events",
    "pandas.awesome.bears.com",
];
const EVERYTHING: [&str; 1] = ["*.*"];

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn from_plain_text_through_every_key_and_back() {
    from_plain_text_through_every_key_and_back_on(Release::NEWEST);
}

/// Of all releases before it the last that names the socket's path as `:authority`.
#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn from_plain_text_through_every_key_and_back_on_1_31() {
    from_plain_text_through_every_key_and_back_on(Release(31));
}

pub(crate) fn from_plain_text_through_every_key_and_back_on(release: Release) {
    lived_through(Cluster::of(release, &[]));
}

/// The whole story on a control plane that encrypts nothing yet.
pub(crate) fn lived_through<S: Backend>(cluster: Cluster<S>) {
    let mut story = Story::begin(cluster);

    step("nothing is encrypted, and nothing should be");
    story.finds("current", "identity", "");

    step("aescbc");
    story.events_happen();
    story
        .cluster
        .write_encryption(&SOME, &[AesCbc("2024"), Identity]);
    story.cluster.restart();
    story.finds("plaintext", "identity", "");
    story.rewraps_beside_a_busy_client();
    story.finds("current", "aescbc", "2024");
    story.reads_back_without_old_keys(&SOME, &[AesCbc("2024")]);

    step("aesgcm, with a new key");
    story.events_happen();
    story
        .cluster
        .write_encryption(&SOME, &[AesGcm("2025"), AesCbc("2024")]);
    story.cluster.wait_for_reload();
    story.finds("stale", "aescbc", "2024");
    story.rewraps_beside_a_busy_client();
    story.finds("current", "aesgcm", "2025");
    story.reads_back_without_old_keys(&SOME, &[AesGcm("2025")]);

    step("KMS, for everything");
    let site = Site::new();
    site.keygen("old");
    site.configure(&["old"]);
    let mut plugin = Plugin::start_with(&site, |command| {
        command.arg("--log-level=debug");
    });
    let socket = site.socket();
    let kms = Kms("plugin", &socket);
    story.events_happen();
    story
        .cluster
        .write_encryption(&EVERYTHING, &[kms, AesGcm("2025"), Identity]);
    story.cluster.wait_for_reload();
    story.finds("stale", "aesgcm", "2025");
    story.rewraps_with_one_new_dek_source();
    story.finds("current", "kms-v2", "plugin");
    story.reads_back_without_old_keys(&EVERYTHING, &[kms]);
    story.cold_start_asks_for_what_is_stored(&plugin);

    step("rotation of the KEK");
    story.events_happen();
    site.keygen("new");
    plugin.take(&site, &["new", "old"]);
    story.cluster.wait_for_key_ids(2);
    story.finds("stale", "kms-v2", "plugin");
    story.rewraps_with_one_new_dek_source();
    story.finds("current", "kms-v2", "plugin");
    plugin.take(&site, &["new"]);
    story.cold_start_asks_for_what_is_stored(&plugin);

    step("back to plain text");
    story.events_happen();
    story
        .cluster
        .write_encryption(&EVERYTHING, &[Identity, kms]);
    story.cluster.wait_for_reload();
    story.finds("stale", "kms-v2", "plugin");
    story.rewraps_beside_a_busy_client();
    story.finds("current", "identity", "");
    plugin.signal(Signal::KILL);
    plugin.wait();
    story.cluster.apiserver.restart(None);
    story.reads_back();

    step("events still expire");
    assert!(story.events_rewrapped > 0, "they expired before any run");
    within(Duration::from_secs(120), "the last event expires", || {
        story.events().is_empty().then_some(())
    });
}

/// The cluster and what its clients know of it.
struct Story<S> {
    cluster: Cluster<S>,
    dice: Dice,
    secrets: Ledger,
    config_maps: Ledger,
    pandas: Ledger,
    /// How often events happened.
    news: usize,
    events_rewrapped: usize,
}

impl<S: Backend> Story<S> {
    /// The Events that etcd holds.
    fn events(&self) -> Vec<Stored> {
        self.cluster.etcd.list("/registry/events/story/")
    }

    /// `rewrap run` while another client works, and `rewrap verify` after it.
    fn rewraps_beside_a_busy_client(&mut self) {
        let nobody = Ledger::new("");
        let secrets = std::mem::replace(&mut self.secrets, nobody);
        let dice = self.dice.split();
        let events = self.events();

        let churn = Churn::start(self.cluster.kube(), secrets, dice);
        let before = churn.writes();
        let report = self.cluster.rewrap_run(&[]).expect(0).json();
        let during = churn.writes() - before;
        self.secrets = churn.finish();

        eprintln!(
            "{} rewrapped, {} conflicts, {during} writes of others",
            report["rewrapped"], report["conflicts"]
        );
        assert_eq!(report["failed"], 0, "{report:#}");
        assert!(during > 0, "nobody wrote during the run");
        for event in self.events() {
            let old = events.iter().find(|old| old.key == event.key).unwrap();
            assert_eq!(event.lease, old.lease, "{} lost its lease", event.key);
            self.events_rewrapped += usize::from(event.value != old.value);
        }
        self.cluster.rewrap("verify", &[]).expect(0);
    }

    /// The same, and the values need one DEK source more.
    fn rewraps_with_one_new_dek_source(&mut self) {
        // The apiserver's own DEK source is in use from its first write on.
        let object = secret(&format!("first-write-{}", self.news), &mut self.dice);
        self.secrets.create(&self.cluster.kube(), &object).unwrap();
        let before = self.cluster.dek_sources();
        self.rewraps_beside_a_busy_client();
        let after = self.cluster.dek_sources();
        assert_eq!(
            after.difference(&before).count(),
            1,
            "{before:?} became {after:?}"
        );
    }

    /// Takes all other keys out of the EncryptionConfiguration, starts the apiserver cold, and
    /// reads everything.
    fn reads_back_without_old_keys(&mut self, resources: &[&str], providers: &[Provider<'_>]) {
        self.cluster.write_encryption(resources, providers);
        self.cluster.restart();
        self.reads_back();
    }

    fn reads_back(&self) {
        let kube = self.cluster.kube();
        for ledger in [&self.secrets, &self.config_maps, &self.pandas] {
            ledger.read_back(&kube);
        }
    }

    /// A cold start asks the plugin for exactly the DEK sources of the inventory.
    fn cold_start_asks_for_what_is_stored(&mut self, plugin: &Plugin) {
        self.cluster.apiserver.kill();
        let stored = self.cluster.dek_sources();
        let before = plugin.unwrapped().len();
        self.cluster.restart();
        self.reads_back();
        count_everything(&self.cluster.kube());
        let asked = eventually("the log of the plugin names them", || {
            let asked: BTreeSet<_> = plugin.unwrapped().drain(before..).collect();
            asked.is_superset(&stored).then_some(asked)
        });
        assert_eq!(asked, stored);
    }
}
