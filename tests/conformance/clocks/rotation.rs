//! The plugin rotates its KEK.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{LIMIT, OLD, Scene};
use crate::support::{
    apiserver::Release,
    eventually,
    plugin::{Plugin, Site},
    within,
};

/// Secrets under each key id.
const COUNT: usize = 4;

const ANSWERED_DECRYPTS: &str = r#"ringfence_requests_total{method="Decrypt",code="Ok"}"#;

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn a_new_key_id_is_written_under_at_the_next_poll() {
    a_new_key_id_is_written_under_at_the_next_poll_on(Release::NEWEST);
}

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn a_new_key_id_is_written_under_at_the_next_poll_on_1_31() {
    a_new_key_id_is_written_under_at_the_next_poll_on(OLD);
}

pub(crate) fn a_new_key_id_is_written_under_at_the_next_poll_on(release: Release) {
    let site = Site::new();
    site.keygen("one");
    site.keygen("two");
    site.configure(&["one"]);
    let plugin = Plugin::start_with(&site, |command| {
        command.arg("--log-level=debug");
    });
    let mut scene = Scene::begin(release, &site.socket());
    let mut sources = vec![scene.fill("under-0", COUNT)];

    // A key that returns does so under a key id of its own.
    for keks in [["two", "one"], ["one@2", "two"]] {
        let before = calls(&plugin).len();
        plugin.take(&site, &keks);
        let old = sources.last().unwrap();
        let new = within(LIMIT, "a write under the new key id", || {
            let source = scene.write("busy").unwrap();
            (source != *old).then_some(source)
        });
        let polled = polls(&calls(&plugin));
        within(LIMIT, "another poll", || {
            assert_eq!(scene.write("busy").unwrap(), new, "it flaps");
            (polls(&calls(&plugin)) > polled).then_some(())
        });
        assert!(
            sources.iter().all(|source| source.key_id != new.key_id),
            "{sources:?} had the key id of {new:?}"
        );
        // Of all the polls the first that named the new key id led to the one Encrypt.
        let calls = calls(&plugin).split_off(before);
        let named = |call: &Call| call.method == "Status" && call.key_id == new.key_id.as_str();
        let first = calls.iter().position(named).unwrap();
        let encrypts: Vec<_> = (0..calls.len())
            .filter(|&number| calls[number].method == "Encrypt")
            .collect();
        assert_eq!(encrypts, [first + 1], "{calls:#?}");

        let prefix = format!("under-{}", sources.len());
        assert_eq!(scene.fill(&prefix, COUNT), new);
        sources.push(new);
        let old = (sources.len() - 1) * COUNT;
        assert_eq!(scene.counted("stale"), old as u64);
    }
    scene.read_back();
    assert_eq!(key_ids_of_dek_sources(&scene).len(), sources.len());

    a_cold_start_asks_for_what_is_stored(&mut scene, &plugin);

    // It has made a DEK source of its own since, but what has the current key id is not stale.
    let names = scene.secrets.names();
    for name in &names {
        let old = name.starts_with("under-0-") || name.starts_with("under-1-");
        assert_eq!(scene.is_stale(name), old, "{name}");
    }
    let rewritten = scene.dek_source("under-0-0");
    assert!(!sources.contains(&rewritten));
    assert_eq!(rewritten.key_id, sources[2].key_id);
    assert_eq!(scene.counted("stale"), 0);
    scene.read_back();
}

/// Each DEK source is asked for once. From 1.37 on an apiserver opens up to ten objects at the same
/// time while it fills its cache, and asks for each that comes before the first answer
/// (`processEventConcurrency` and the gate `ConcurrentWatchObjectDecode`).
fn a_cold_start_asks_for_what_is_stored(scene: &mut Scene, plugin: &Plugin) {
    scene.cluster.apiserver.kill();
    let stored = scene.cluster.dek_sources();
    let answered = || plugin.metric(ANSWERED_DECRYPTS) as usize;
    let before = answered();
    scene.cluster.restart();
    scene.read_back();
    let asked = answered() - before;
    scene.read_back();
    assert_eq!(answered() - before, asked, "asked for a DEK source again");

    let mut names = eventually("the log of the plugin names them", || {
        let names = plugin.unwrapped();
        (names.len() == before + asked).then(|| names[before..].to_vec())
    });
    names.sort_unstable();
    let one_by_one = scene.cluster.apiserver.release() < Release(37);
    let most = if one_by_one { 1 } else { 10 };
    for same in names.chunk_by(|name, next| name == next) {
        assert!(same.len() <= most, "{same:?}");
    }
    names.dedup();
    assert_eq!(names, Vec::from_iter(stored));
}

/// The key ids of the stored DEK sources; none has two of them.
fn key_ids_of_dek_sources(scene: &Scene) -> BTreeSet<String> {
    let inventory = scene.cluster.status(&[]);
    let sources = inventory["dekSources"].as_array().unwrap();
    let key_id = |source: &Value| source["keyId"].as_str().unwrap().to_owned();
    let key_ids: BTreeSet<_> = sources.iter().map(key_id).collect();
    assert_eq!(key_ids.len(), sources.len(), "{sources:#?}");
    key_ids
}

/// A call that the plugin answered.
#[derive(Debug)]
struct Call {
    method: String,
    /// Of its answer to Status.
    key_id: String,
}

/// All of them so far.
fn calls(plugin: &Plugin) -> Vec<Call> {
    let call = |line: String| {
        let line: Value = serde_json::from_str(&line).unwrap();
        let text = |name: &str| line[name].as_str().unwrap().trim_matches('"').to_owned();
        (line["message"] == "answered").then(|| Call {
            method: text("method"),
            key_id: text("key_id"),
        })
    };
    plugin.log().into_iter().filter_map(call).collect()
}

fn polls(calls: &[Call]) -> usize {
    calls.iter().filter(|call| call.method == "Status").count()
}
