//! Another prefix, and a second etcd for some resources.

use crate::{
    agreement::Object,
    churn::secret,
    cluster::Cluster,
    collections::count_everything,
    kinds::{self, create_namespace},
    ledger::Ledger,
    step,
    support::{
        apiserver::Release,
        dice::Dice,
        encryption::{
            Entry,
            Provider::{AesGcm, Identity},
        },
        etcd::Etcd,
        sealed,
    },
};

const NAMESPACE: &str = "stores";

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn another_prefix_and_a_second_etcd() {
    another_prefix_and_a_second_etcd_on(Release::NEWEST);
}

pub(super) fn another_prefix_and_a_second_etcd_on(release: Release) {
    let second = Etcd::start();
    let elsewhere = format!(
        "--etcd-servers-overrides=/configmaps#{0},/events#{0}",
        second.endpoint()
    );
    // The apiserver cleans it: `/clusters/one`.
    let mut cluster = Cluster::of(release, &["--etcd-prefix=clusters//one/", &elsewhere]);
    let kube = cluster.kube();
    create_namespace(&kube, NAMESPACE);
    let mut dice = Dice::new();
    let mut secrets = Ledger::new(&format!("/api/v1/namespaces/{NAMESPACE}/secrets"));
    for number in 0..10 {
        let object = secret(&format!("secret-{number}"), &mut dice);
        secrets.create(&kube, &object).unwrap();
        kinds::CONFIG_MAPS.create(&kube, NAMESPACE, &format!("map-{number}"));
    }
    let service = kinds::SERVICES.create(&kube, NAMESPACE, "service");
    let endpoints = kinds::ENDPOINTS.create(&kube, NAMESPACE, "endpoints");

    step("plain text becomes stale");
    // Services and Endpoints lie side by side, each under a rule of its own.
    let entries: [Entry<'_>; 3] = [
        (&["services"], &[AesGcm("services"), Identity]),
        (&["endpoints"], &[AesGcm("endpoints"), Identity]),
        (
            &["secrets", "configmaps", "events"],
            &[AesGcm("new"), AesGcm("old"), Identity],
        ),
    ];
    cluster.write_entries(&entries);
    cluster.restart();
    // Somebody moved ConfigMaps and left one behind, which no apiserver reads any more.
    let left = "/clusters/one/configmaps/stores/left-behind";
    let value = sealed::seal(AesGcm("old"), left, b"{}", &mut dice);
    let revision = cluster.etcd.put(left, &value);
    let in_namespace = |resource: &str, name: &str| {
        let collection = format!("/api/v1/namespaces/{NAMESPACE}/{resource}");
        Object::new(resource, &collection, name)
    };
    for object in [&in_namespace("secrets", "secret-0"), &service, &endpoints] {
        assert!(cluster.agrees_is_stale(object));
        cluster.writes_as_said(object);
    }
    let map = in_namespace("configmaps", "map-0");
    let event = in_namespace("events", "event");
    let (events, _) = event.path.rsplit_once('/').unwrap();
    let created = kinds::event(NAMESPACE, "event");
    cluster.kube().create(events, &created).unwrap();
    assert!(cluster.agrees_is_stale_in(&second, &map));
    for object in [&map, &event] {
        cluster.writes_as_said_to(&second, object);
    }

    step("a run");
    let inventory = cluster.status(&[]);
    let rows = inventory["resources"].as_array().unwrap();
    for row in rows {
        let overridden = row["resource"] == "configmaps" || row["resource"] == "events";
        let store = if overridden {
            "configmaps,events"
        } else {
            "default"
        };
        assert_eq!(row["store"], store, "{row:#}");
    }
    let unowned = inventory["unowned"].as_array().unwrap();
    let unowned = unowned
        .iter()
        .find(|area| area["path"] == "/clusters/one/configmaps/");
    let reason = "an override sends this resource to another etcd";
    assert_eq!(unowned.unwrap()["reason"], reason, "{inventory:#}");
    let lease = second
        .stored("/clusters/one/events/stores/event")
        .unwrap()
        .lease;
    assert!(lease != 0);

    let report = cluster.rewrap_run(&[]).expect(0).json();
    // At least what nobody touched, and the ConfigMaps that lie in other namespaces.
    assert!(report["rewrapped"].as_u64() > Some(18), "{report:#}");
    let verified = cluster.rewrap("verify", &[]).expect(0);
    // Whose the value is that was left behind nobody can say, so its key is not called unneeded.
    assert!(
        !verified.stdout.contains("no stored object needs"),
        "{verified}"
    );
    let left_behind = cluster.etcd.stored(left).unwrap();
    assert!(left_behind.value == value && left_behind.revision == revision);
    for etcd in [&cluster.etcd, &second] {
        let keys = etcd.everything().keys;
        let strangers =
            |key: &&str| !key.starts_with("/clusters/one/") && **key != *"compact_rev_key";
        let strangers: Vec<_> = keys
            .iter()
            .map(|stored| &*stored.key)
            .filter(strangers)
            .collect();
        assert!(strangers.is_empty(), "{strangers:?}");
    }
    let after = second.stored("/clusters/one/events/stores/event").unwrap();
    assert_eq!(after.lease, lease);

    step("without the old keys");
    let entries: [Entry<'_>; 3] = [
        (&["services"], &[AesGcm("services")]),
        (&["endpoints"], &[AesGcm("endpoints")]),
        (&["secrets", "configmaps", "events"], &[AesGcm("new")]),
    ];
    cluster.write_entries(&entries);
    cluster.restart();
    secrets.read_back(&cluster.kube());
    for object in [&in_namespace("secrets", "secret-1"), &service, &endpoints] {
        assert!(!cluster.agrees_is_stale(object), "{object:?}");
    }
    for object in [&in_namespace("configmaps", "map-1"), &event] {
        assert!(!cluster.agrees_is_stale_in(&second, object), "{object:?}");
    }
    count_everything(&cluster.kube());
}
