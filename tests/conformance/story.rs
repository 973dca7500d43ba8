//! A cluster from plain text through every kind of key and back, as its operator lives it.

use std::{collections::BTreeSet, time::Duration};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{
    churn::{Churn, secret},
    cluster::{Cluster, count_everything},
    ledger::Ledger,
};
use crate::support::{
    dice::Dice,
    encryption::Provider::{self, AesCbc, AesGcm, Identity, Kms},
    etcd::Stored,
    eventually,
    kube::Kube,
    plugin::{Plugin, Site},
    within,
};

const SECRETS: usize = 500;
const CONFIG_MAPS: usize = 100;
const PANDAS: usize = 100;
const EVENTS: usize = 50;

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
    let mut story = Story::begin();

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
    reload(&plugin, &site, &["new", "old"]);
    story.cluster.wait_for_key_ids(2);
    story.finds("stale", "kms-v2", "plugin");
    story.rewraps_with_one_new_dek_source();
    story.finds("current", "kms-v2", "plugin");
    reload(&plugin, &site, &["new"]);
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
struct Story {
    cluster: Cluster,
    dice: Dice,
    secrets: Ledger,
    config_maps: Ledger,
    pandas: Ledger,
    /// How often events happened.
    news: usize,
    events_rewrapped: usize,
}

impl Story {
    fn begin() -> Self {
        let cluster = Cluster::start();
        let kube = cluster.kube();
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "story"}});
        kube.create("/api/v1/namespaces", &namespace).unwrap();
        define_pandas(&kube);

        let mut dice = Dice::new();
        let mut secrets = Ledger::new("/api/v1/namespaces/story/secrets");
        let mut config_maps = Ledger::new("/api/v1/namespaces/story/configmaps");
        let mut pandas = Ledger::new("/apis/awesome.bears.com/v1/namespaces/story/pandas");
        for number in 0..SECRETS {
            secrets
                .create(&kube, &secret(&format!("secret-{number}"), &mut dice))
                .unwrap();
        }
        for number in 0..CONFIG_MAPS {
            let object = json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("map-{number}")},
                "data": {"number": number.to_string()},
            });
            config_maps.create(&kube, &object).unwrap();
        }
        for number in 0..PANDAS {
            let object = json!({
                "apiVersion": "awesome.bears.com/v1", "kind": "Panda",
                "metadata": {"name": format!("panda-{number}")}, "spec": {"bamboo": number},
            });
            pandas.create(&kube, &object).unwrap();
        }
        Self {
            cluster,
            dice,
            secrets,
            config_maps,
            pandas,
            news: 0,
            events_rewrapped: 0,
        }
    }

    /// Creates Events that a minute later are gone.
    fn events_happen(&mut self) {
        self.news += 1;
        let kube = self.cluster.kube();
        for number in 0..EVENTS {
            let object = json!({
                "apiVersion": "v1", "kind": "Event", "type": "Normal", "reason": "Tested",
                "metadata": {"name": format!("event-{}-{number}", self.news)},
                "involvedObject": {"kind": "Secret", "name": "secret-0", "namespace": "story"},
            });
            kube.create("/api/v1/namespaces/story/events", &object)
                .unwrap();
        }
    }

    /// The Events that etcd holds.
    fn events(&self) -> Vec<Stored> {
        self.cluster.etcd.list("/registry/events/story/")
    }

    /// `rewrap status` says that all objects of the story are in this state, written with this
    /// provider and key, and counts the objects of the whole cluster as the apiserver does.
    fn finds(&self, state: &str, provider: &str, key: &str) {
        let most_events = self.events().len() as u64;
        let inventory = self.cluster.status(&["--namespace=story"]);
        let least_events = self.events().len() as u64;

        let rows = [
            ("secrets", self.secrets.len()),
            ("configmaps", self.config_maps.len()),
            ("pandas.awesome.bears.com", self.pandas.len()),
        ];
        for (resource, objects) in rows {
            let row = row(&inventory, resource);
            assert_eq!(row["total"], objects, "{row:#}");
            assert_eq!(row[state], objects, "{row:#}");
            let [written] = &row["writtenWith"].as_array().unwrap()[..] else {
                panic!("not all under one key: {row:#}")
            };
            assert_eq!(
                (&written["provider"], &written["key"]),
                (&json!(provider), &json!(key))
            );
            assert_eq!(
                written["keyId"].is_string(),
                provider == "kms-v2",
                "{written:#}"
            );
        }
        if least_events > 0 {
            let row = row(&inventory, "events");
            let total = row["total"].as_u64().unwrap();
            assert!((least_events..=most_events).contains(&total), "{row:#}");
            assert_eq!(row[state], total, "{row:#}");
        }
        self.counts_like_the_apiserver();
    }

    fn counts_like_the_apiserver(&self) {
        let mut shown = count_everything(&self.cluster.kube());
        let inventory = self.cluster.status(&[]);
        assert_eq!(inventory["unreadable"], json!([]));
        for row in inventory["resources"].as_array().unwrap() {
            let resource = row["resource"].as_str().unwrap();
            let shown = shown.remove(resource);
            // Events come and go by themselves.
            if resource != "events" {
                assert_eq!(row["total"].as_u64(), shown, "{row:#}");
            }
        }
        shown.retain(|_, objects| *objects > 0);
        shown.remove("events");
        assert!(
            shown.is_empty(),
            "resources that the inventory lacks: {shown:?}"
        );
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
        let before = dek_sources(&self.cluster.status(&[]));
        self.rewraps_beside_a_busy_client();
        let after = dek_sources(&self.cluster.status(&[]));
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
        let stored = dek_sources(&self.cluster.status(&[]));
        let before = plugin.log().len();
        self.cluster.restart();
        self.reads_back();
        count_everything(&self.cluster.kube());
        let asked = eventually("the log of the plugin names them", || {
            let asked: BTreeSet<_> = plugin.log()[before..]
                .iter()
                .filter_map(|line| asked_for(line))
                .collect();
            asked.is_superset(&stored).then_some(asked)
        });
        assert_eq!(asked, stored);
    }
}

/// Has the plugin take over these KEKs, the first to wrap with.
fn reload(plugin: &Plugin, site: &Site, keks: &[&str]) {
    let taken = || {
        let log = plugin.log();
        log.iter()
            .filter(|line| line.contains("took the keyring of the files"))
            .count()
    };
    let before = taken();
    site.configure(keks);
    plugin.signal(Signal::HUP);
    eventually("the plugin takes over its new KEKs", || {
        (taken() > before).then_some(())
    });
}

/// The DEK source that a line of the plugin's log says it was asked to unwrap.
fn asked_for(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).unwrap();
    Some(
        line["dek_source"]
            .as_str()?
            .strip_prefix("sha256:")?
            .to_owned(),
    )
}

fn step(name: &str) {
    eprintln!("--- {name}");
}

fn row<'a>(inventory: &'a Value, resource: &str) -> &'a Value {
    let mut rows = inventory["resources"].as_array().unwrap().iter();
    rows.find(|row| row["resource"] == resource)
        .unwrap_or_else(|| panic!("no row for {resource}: {inventory:#}"))
}

fn dek_sources(inventory: &Value) -> BTreeSet<String> {
    let sources = inventory["dekSources"].as_array().unwrap();
    sources
        .iter()
        .map(|source| source["sha256"].as_str().unwrap().to_owned())
        .collect()
}

fn define_pandas(kube: &Kube) {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "pandas.awesome.bears.com"},
        "spec": {
            "group": "awesome.bears.com",
            "scope": "Namespaced",
            "names": {"plural": "pandas", "singular": "panda", "kind": "Panda"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                }},
            }],
        },
    });
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    kube.create(definitions, &definition).unwrap();
    eventually("pandas are served", || {
        kube.list("/apis/awesome.bears.com/v1/namespaces/story/pandas")
            .ok()
    });
}
