//! Names, wildcards of groups, and the wildcard of everything.

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    agreement::Object,
    cluster::Cluster,
    collections::{Collection, collections, count_everything},
    kinds::{self, Kind, create_namespace, define},
    step,
    support::{
        apiserver::Release,
        encryption::{
            Provider,
            Provider::{AesGcm, Identity},
        },
    },
};

const NAMESPACE: &str = "wildcards";

/// Resources, and the old and the new key of each entry. What an earlier entry names, a later
/// wildcard does not rule over.
const RULES: [(&[&str], [&str; 2]); 7] = [
    (
        &[
            "secrets",
            "nodes",
            "ingresses.networking.k8s.io",
            "replicationcontrollers",
        ],
        ["named-1", "named-2"],
    ),
    (&["services"], ["services-1", "services-2"]),
    (&["endpoints"], ["endpoints-1", "endpoints-2"]),
    (
        &[
            "deployments.apps",
            "pandas.awesome.bears.com",
            "apiservices.apiregistration.k8s.io",
        ],
        ["grouped-1", "grouped-2"],
    ),
    (&["*.apps", "*.awesome.bears.com"], ["group-1", "group-2"]),
    (&["*."], ["core-1", "core-2"]),
    (&["*.*"], ["rest-1", "rest-2"]),
];

const KINDS: [Kind; 17] = [
    kinds::CONFIG_MAPS,
    kinds::CONTROLLER_REVISIONS,
    kinds::DAEMON_SETS,
    kinds::DEPLOYMENTS,
    kinds::DISRUPTION_BUDGETS,
    kinds::ENDPOINTS,
    kinds::INGRESSES,
    kinds::LEASES,
    kinds::LIMIT_RANGES,
    kinds::NETWORK_POLICIES,
    kinds::PANDAS,
    kinds::REPLICATION_CONTROLLERS,
    kinds::ROLES,
    kinds::SECRETS,
    kinds::SERVICE_ACCOUNTS,
    kinds::SERVICES,
    kinds::ZOOS,
];

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn names_and_wildcards() {
    names_and_wildcards_on(Release::NEWEST);
}

pub(super) fn names_and_wildcards_on(release: Release) {
    let mut cluster = Cluster::of(release, &[]);
    let kube = cluster.kube();
    create_namespace(&kube, NAMESPACE);
    define(&kube, "pandas", "Panda");
    define(&kube, "zoos", "Zoo");

    step("new objects of every kind");
    start_with(&mut cluster, |[old, _]| vec![AesGcm(old), Identity]);
    let mut objects: Vec<_> = KINDS
        .iter()
        .map(|kind| kind.create(&cluster.kube(), NAMESPACE, "first"))
        .collect();
    objects.push(create_node(&cluster));
    objects.push(create_event(&cluster));
    for object in &objects {
        cluster.writes_as_said(object);
    }
    cluster.rewrap_run(&[]).expect(0);

    step("an object of every resource that there is, under a new key");
    start_with(&mut cluster, |[old, new]| vec![AesGcm(new), AesGcm(old)]);
    let (mut keys, mut resources) = (BTreeSet::new(), 0);
    for object in collections(&cluster.kube())
        .iter()
        .filter_map(|collection| some_object(&cluster, collection))
    {
        cluster.agrees_is_stale(&object);
        cluster.writes_as_said(&object);
        resources += 1;
        keys.insert(cluster.look(&object)["writtenWith"]["key"].to_string());
    }
    eprintln!("{resources} resources");
    assert_eq!(
        keys,
        RULES
            .iter()
            .map(|(_, [_, new])| json!(new).to_string())
            .collect()
    );
    assert!(resources > objects.len());

    step("without the old keys");
    cluster.rewrap_run(&[]).expect(0);
    cluster.rewrap("verify", &[]).expect(0);
    start_with(&mut cluster, |[_, new]| vec![AesGcm(new)]);
    count_everything(&cluster.kube());
    for object in &objects {
        assert!(!cluster.agrees_is_stale(object), "{object:?}");
    }
}

/// Starts the apiserver cold with these providers of the keys of each rule.
fn start_with(
    cluster: &mut Cluster,
    providers: impl Fn([&'static str; 2]) -> Vec<Provider<'static>>,
) {
    let providers: Vec<_> = RULES.iter().map(|(_, keys)| providers(*keys)).collect();
    let entries = RULES.iter().zip(&providers);
    let entries: Vec<_> = entries
        .map(|((resources, _), providers)| (*resources, &providers[..]))
        .collect();
    cluster.write_entries(&entries);
    cluster.restart();
}

fn create_node(cluster: &Cluster) -> Object {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "first"}});
    cluster.kube().create("/api/v1/nodes", &node).unwrap();
    Object::new("nodes", "/api/v1/nodes", "first")
}

/// Creates an Event, through the API that does not call it what storage calls it.
fn create_event(cluster: &Cluster) -> Object {
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "first"},
        "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal", "reason": "Tested",
        "action": "Test", "reportingController": "example.com/test", "reportingInstance": "test",
        "regarding": {"kind": "Secret", "name": "first", "namespace": NAMESPACE},
    });
    let events = format!("/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events");
    cluster.kube().create(&events, &event).unwrap();
    let collection = format!("/api/v1/namespaces/{NAMESPACE}/events");
    Object::new("events", &collection, "first")
}

/// An object of a resource that can be replaced; one that nobody else writes, where there is one.
fn some_object(cluster: &Cluster, collection: &Collection) -> Option<Object> {
    let objects = cluster.kube().list(&collection.path()).unwrap();
    let ours = objects
        .iter()
        .find(|object| object["metadata"]["namespace"] == NAMESPACE);
    let metadata = &ours.or_else(|| objects.first())?["metadata"];
    let name = metadata["name"].as_str().unwrap();
    let path = collection.path_in(metadata["namespace"].as_str().unwrap_or_default());
    let object = || Object::new(&collection.resource, &path, name);
    collection.updates.then(object)
}
