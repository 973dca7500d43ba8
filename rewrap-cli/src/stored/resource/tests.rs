use proptest::prelude::*;

use super::*;
use crate::damage::damaged;

fn crds() -> Crds {
    Crds::from_iter([
        (
            GroupResource::new("pandas", "awesome.bears.com"),
            Scope::Namespaced,
        ),
        (
            GroupResource::new("zoos", "awesome.bears.com"),
            Scope::Cluster,
        ),
    ])
}

fn locate(key: &str) -> Location<'_> {
    EtcdPrefix::default().locate(key.as_bytes(), &crds())
}

fn object<'k>(resource: &str, namespace: Option<&'k str>, name: &'k str) -> Location<'k> {
    let Ok(resource) = resource.parse();
    Location::Object {
        resource,
        key: ObjectKey { namespace, name },
    }
}

#[test]
fn resources_are_cut_at_the_first_dot() {
    for (text, resource, group) in [
        ("secrets", "secrets", ""),
        ("secrets.", "secrets", ""),
        ("pandas.awesome.bears.com", "pandas", "awesome.bears.com"),
        ("*.apps", "*", "apps"),
        ("*.", "*", ""),
        ("*.*", "*", "*"),
    ] {
        let Ok(parsed) = text.parse::<GroupResource>();
        assert_eq!(parsed, GroupResource::new(resource, group));
    }
    assert_eq!(GroupResource::new("secrets", "").to_string(), "secrets");
    assert_eq!(
        GroupResource::new("deployments", "apps").to_string(),
        "deployments.apps"
    );
}

#[test]
fn objects_of_built_in_and_custom_resources_are_found() {
    for (key, resource, namespace, name) in [
        (
            "/registry/secrets/default/a",
            "secrets",
            Some("default"),
            "a",
        ),
        (
            "/registry/events/default/a.17",
            "events",
            Some("default"),
            "a.17",
        ),
        (
            "/registry/services/specs/default/a",
            "services",
            Some("default"),
            "a",
        ),
        (
            "/registry/services/endpoints/default/a",
            "endpoints",
            Some("default"),
            "a",
        ),
        ("/registry/minions/node-1", "nodes", None, "node-1"),
        (
            "/registry/controllers/default/a",
            "replicationcontrollers",
            Some("default"),
            "a",
        ),
        (
            "/registry/ingress/default/a",
            "ingresses.networking.k8s.io",
            Some("default"),
            "a",
        ),
        (
            "/registry/podsecuritypolicy/a",
            "podsecuritypolicies.policy",
            None,
            "a",
        ),
        (
            "/registry/deployments/default/a",
            "deployments.apps",
            Some("default"),
            "a",
        ),
        (
            "/registry/clusterroles/system:node",
            "clusterroles.rbac.authorization.k8s.io",
            None,
            "system:node",
        ),
        (
            "/registry/ipaddresses/2001:db8::1",
            "ipaddresses.networking.k8s.io",
            None,
            "2001:db8::1",
        ),
        (
            "/registry/apiextensions.k8s.io/customresourcedefinitions/pandas.awesome.bears.com",
            "customresourcedefinitions.apiextensions.k8s.io",
            None,
            "pandas.awesome.bears.com",
        ),
        (
            "/registry/apiregistration.k8s.io/apiservices/v1.apps",
            "apiservices.apiregistration.k8s.io",
            None,
            "v1.apps",
        ),
        (
            "/registry/awesome.bears.com/pandas/zoo/ping",
            "pandas.awesome.bears.com",
            Some("zoo"),
            "ping",
        ),
        (
            "/registry/awesome.bears.com/zoos/berlin",
            "zoos.awesome.bears.com",
            None,
            "berlin",
        ),
    ] {
        assert_eq!(locate(key), object(resource, namespace, name), "{key}");
    }
}

#[test]
fn what_kube_apiserver_never_encrypts_is_never_touched() {
    for (key, reason) in [
        ("compact_rev_key", Untouchable::CompactRevision),
        ("/registry/masterleases/10.0.0.1", Untouchable::MasterLease),
        (
            "/registry/peerserverleases/apiserver-x",
            Untouchable::PeerServerLease,
        ),
        ("/registry/ranges/serviceips", Untouchable::Range),
        ("/registry/ranges/secondaryserviceips", Untouchable::Range),
        ("/registry/ranges/servicenodeports", Untouchable::Range),
        ("/registry", Untouchable::OutsidePrefix),
        ("/registryx/secrets/default/a", Untouchable::OutsidePrefix),
        ("/other/secrets/default/a", Untouchable::OutsidePrefix),
        ("/ringfence.dev/lock", Untouchable::OutsidePrefix),
        ("", Untouchable::OutsidePrefix),
    ] {
        assert_eq!(locate(key), Location::NeverTouched(reason), "{key}");
    }
}

#[test]
fn groups_without_a_definition_are_somebody_elses() {
    for (key, resource) in [
        (
            "/registry/metrics.k8s.io/pods/default/a",
            "pods.metrics.k8s.io",
        ),
        (
            "/registry/awesome.bears.com/grizzlies/zoo/a",
            "grizzlies.awesome.bears.com",
        ),
    ] {
        let Ok(resource) = resource.parse();
        assert_eq!(locate(key), Location::Unowned(resource), "{key}");
    }
}

#[test]
fn keys_of_no_known_shape_are_unmapped() {
    for (key, segment) in [
        ("/registry/", ""),
        ("/registry/secrets", "secrets"),
        ("/registry/secrets/", "secrets"),
        ("/registry/secrets/default", "secrets"),
        ("/registry/secrets/default/", "secrets"),
        ("/registry/secrets//a", "secrets"),
        ("/registry/secrets/default/a/b", "secrets"),
        ("/registry/minions/a/b", "minions"),
        ("/registry/services/default/a", "services"),
        ("/registry/nodes/a", "nodes"),
        ("/registry/futures/default/a", "futures"),
        (
            "/registry/awesome.bears.com/pandas/ping",
            "awesome.bears.com",
        ),
        ("/registry/awesome.bears.com/zoos/a/b", "awesome.bears.com"),
    ] {
        let segment = segment.to_owned();
        assert_eq!(locate(key), Location::Unmapped { segment }, "{key}");
    }
}

#[test]
fn every_directory_leads_back_to_its_resource() {
    let prefix = EtcdPrefix::default();
    for built_in in built_in::ALL {
        let directory = prefix.directory_of(&built_in.group_resource()).unwrap();
        let key = match built_in.scope {
            Scope::Cluster => format!("{directory}a"),
            Scope::Namespaced => format!("{directory}ns/a"),
        };
        let Location::Object { resource, .. } = locate(&key) else {
            panic!("{key}");
        };
        assert_eq!(resource, built_in.group_resource());
    }
    let directory = |text: &str| {
        let Ok(resource) = text.parse();
        prefix.directory_of(&resource)
    };
    assert_eq!(directory("secrets").as_deref(), Some("/registry/secrets/"));
    assert_eq!(
        directory("services").as_deref(),
        Some("/registry/services/specs/")
    );
    assert_eq!(
        directory("pandas.awesome.bears.com").as_deref(),
        Some("/registry/awesome.bears.com/pandas/")
    );
    assert_eq!(directory("secretz"), None);
    assert_eq!(directory("secrets.apps"), None);
}

#[test]
fn prefixes_are_cleaned_as_kube_apiserver_cleans_them() {
    for (typed, prefix, directory) in [
        ("/registry", "/registry", "/registry/"),
        ("registry", "/registry", "/registry/"),
        ("/registry/", "/registry", "/registry/"),
        ("a//b/./c/../d/", "/a/b/d", "/a/b/d/"),
        ("../../x", "/x", "/x/"),
        ("", "/", "/"),
        ("/", "/", "/"),
    ] {
        let Ok(parsed) = typed.parse::<EtcdPrefix>();
        assert_eq!(parsed.to_string(), prefix);
        assert_eq!(parsed.directory(), directory);
    }
    let Ok(prefix) = "k8s/prod".parse::<EtcdPrefix>();
    assert_eq!(
        prefix.locate(b"/k8s/prod/secrets/ns/a", &Crds::default()),
        object("secrets", Some("ns"), "a")
    );
    let Ok(root) = "/".parse::<EtcdPrefix>();
    assert_eq!(
        root.locate(b"/secrets/ns/a", &Crds::default()),
        object("secrets", Some("ns"), "a")
    );
    assert_eq!(EtcdPrefix::default().to_string(), "/registry");
}

fn crd(scope: &str) -> String {
    format!(
        r#"{{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{{"name":"a.b.c"}},
        "spec":{{"group":"b.c","names":{{"kind":"A","plural":"as"}},"scope":"{scope}","versions":[]}}}}"#
    )
}

#[test]
fn definitions_are_read_from_their_json() {
    let mut crds = Crds::default();
    let resource = GroupResource::new("as", "b.c");
    assert_eq!(crds.add(crd("Cluster").as_bytes()), Ok(resource.clone()));
    assert_eq!(crds.scope(&resource), Some(Scope::Cluster));
    assert_eq!(crds.add(crd("Namespaced").as_bytes()), Ok(resource.clone()));
    assert_eq!(crds.scope(&resource), Some(Scope::Namespaced));
    for bad in ["", "{}", "k8s\0", &crd("Galactic")] {
        assert_eq!(crds.add(bad.as_bytes()), Err(NotACrd));
    }
}

proptest! {
    #[test]
    fn damaged_definitions_never_panic(plaintext in damaged(crd("Namespaced"))) {
        let _ = Crds::default().add(&plaintext);
    }

    #[test]
    fn nor_do_other_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(Crds::default().add(&bytes), Err(NotACrd));
    }

    #[test]
    fn random_keys_never_panic(
        prefix in prop_oneof![Just(""), Just("/registry/"), Just("/registry/secrets/"), Just("/registry/a.b/")],
        tail in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let _ = EtcdPrefix::default().locate(&[prefix.as_bytes(), &tail].concat(), &crds());
    }

    #[test]
    fn keys_of_objects_round_trip(namespace in "[a-z0-9-]{1,20}", name in "[a-z0-9.:-]{1,30}") {
        let key = format!("/registry/secrets/{namespace}/{name}");
        prop_assert_eq!(locate(&key), object("secrets", Some(&namespace), &name));
    }
}

#[test]
fn what_no_cluster_can_have_is_told_from_what_one_may_have() {
    let none = |meant: &str| Existence::None {
        meant: (!meant.is_empty()).then(|| meant.parse().unwrap()),
    };
    for (name, existence) in [
        ("secrets", Existence::BuiltIn),
        ("secrets.", Existence::BuiltIn),
        ("*.", Existence::BuiltIn),
        ("*.*", Existence::BuiltIn),
        ("*.apps", Existence::BuiltIn),
        (
            "customresourcedefinitions.apiextensions.k8s.io",
            Existence::BuiltIn,
        ),
        ("pandas.awesome.bears.com", Existence::Custom),
        ("*.awesome.bears.com", Existence::Custom),
        ("serviceipallocations.", Existence::NeverEncrypted),
        (
            "tokenreviews.authentication.k8s.io",
            Existence::NeverEncrypted,
        ),
        ("*.metrics.k8s.io", Existence::NeverEncrypted),
        ("secret", none("secrets")),
        ("deployments", none("deployments.apps")),
        ("deployment.apps", none("deployments.apps")),
        ("networkpolicy", none("networkpolicies.networking.k8s.io")),
        ("ingress", none("ingresses.networking.k8s.io")),
        ("secrets.core", none("secrets")),
        ("pandas", none("")),
        ("pandas.apps", none("")),
        ("*.v1", none("")),
        ("", none("")),
    ] {
        let resource: GroupResource = name.parse().unwrap();
        assert_eq!(resource.existence(), existence, "{name}");
    }
}
