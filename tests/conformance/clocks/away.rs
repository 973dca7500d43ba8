//! The plugin is away, and comes back.

use rustix::process::Signal;

use super::{LIMIT, OLD, Scene, assert_expired, wait_until_content};
use crate::{
    kinds::config_map,
    ledger::Ledger,
    support::{
        apiserver::Release,
        plugin::{Plugin, Site},
        within,
    },
};

const COUNT: usize = 20;

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn a_plugin_that_is_away_stops_only_what_needs_it() {
    a_plugin_that_is_away_stops_only_what_needs_it_on(Release::NEWEST);
}

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn a_plugin_that_is_away_stops_only_what_needs_it_on_1_31() {
    a_plugin_that_is_away_stops_only_what_needs_it_on(OLD);
}

pub(crate) fn a_plugin_that_is_away_stops_only_what_needs_it_on(release: Release) {
    let site = Site::with_key();
    let mut plugin = Plugin::start(&site);
    let mut scene = Scene::begin(release, &site.socket());
    let mut others = Ledger::new("/api/v1/namespaces/default/configmaps");
    let source = scene.fill("secret", COUNT);

    // Restarted: the connection is gone, and the socket is another.
    end(plugin, Signal::TERM);
    assert!(!site.socket().exists());
    assert_eq!(scene.write("between").unwrap(), source);
    plugin = Plugin::start(&site);
    is_polled(&plugin);
    assert_eq!(scene.write("after").unwrap(), source);

    // Dead: writes end, reads and all else go on.
    end(plugin, Signal::KILL);
    let refusal = within(LIMIT, "a write is refused", || {
        scene.read_back();
        scene.write("late").err()
    });
    assert_expired(&refusal, source.key_id.as_str());
    let complaint = scene.complaint();
    assert!(complaint.contains("code = DeadlineExceeded"), "{complaint}");
    // Until 1.28 that is a reason to restart it, and to lose all that it has in its cache.
    let alive = scene.kube.text("/livez").is_ok();
    assert_eq!(alive, release >= Release(29));
    write_another(&scene, &mut others);
    scene.read_back();
    others.read_back(&scene.kube);

    // Back: under the key id that the apiserver knows there is nothing to encrypt or decrypt.
    plugin = Plugin::start(&site);
    let back = within(LIMIT, "a write succeeds", || scene.write("back").ok());
    assert_eq!(back, source);
    wait_until_content(&scene.kube);
    scene.read_back();
    for method in ["Encrypt", "Decrypt"] {
        assert_eq!(answered(&plugin, method), 0.0, "{method}");
    }

    // A cold start without it: the apiserver serves all that needs no plugin.
    end(plugin, Signal::KILL);
    let encryption = scene.cluster.encryption();
    scene.cluster.apiserver.restart_without_plugins(&encryption);
    scene.complaint();
    let secret = "/api/v1/namespaces/default/secrets/secret-0";
    for refusal in [scene.kube.get(secret).err(), scene.write("cold").err()] {
        let refusal = refusal.expect("answered without a DEK source");
        assert_eq!(refusal.status, Some(500), "{refusal}");
        assert!(
            refusal
                .to_string()
                .contains("got unexpected nil transformer"),
            "{refusal}"
        );
    }
    write_another(&scene, &mut others);
    others.read_back(&scene.kube);

    let _plugin = Plugin::start(&site);
    within(LIMIT, "a read succeeds", || scene.kube.get(secret).ok());
    let new = scene.write("cold").unwrap();
    assert_ne!(new, source);
    assert_eq!(new.key_id, source.key_id);
    wait_until_content(&scene.kube);
    scene.read_back();
    assert_eq!(scene.counted("current"), scene.secrets.len() as u64);
}

fn write_another(scene: &Scene, others: &mut Ledger) {
    let object = config_map(&format!("map-{}", others.len()));
    others.create(&scene.kube, &object).unwrap();
}

fn end(mut plugin: Plugin, signal: Signal) {
    plugin.signal(signal);
    plugin.wait();
}

/// Waits until an apiserver has found this daemon.
fn is_polled(plugin: &Plugin) {
    within(LIMIT, "a poll", || {
        (answered(plugin, "Status") > 0.0).then_some(())
    });
}

fn answered(plugin: &Plugin, method: &str) -> f64 {
    plugin.metric(&format!(
        r#"ringfence_requests_total{{method="{method}",code="Ok"}}"#
    ))
}
