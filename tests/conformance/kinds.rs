//! What clients of the clusters make.

use serde_json::{Value, json};

use crate::{
    agreement::Object,
    support::{eventually, kube::Kube},
};

/// Creates a namespace.
pub(crate) fn create_namespace(kube: &Kube, name: &str) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    kube.create("/api/v1/namespaces", &namespace).unwrap();
}

/// Defines the custom resource `<plural>.awesome.bears.com`, namespaced, and waits until it is
/// served.
pub(crate) fn define(kube: &Kube, plural: &str, kind: &str) {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.awesome.bears.com")},
        "spec": {
            "group": "awesome.bears.com",
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind},
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
    eventually(&format!("{plural} are served"), || {
        let collection = format!("/apis/awesome.bears.com/v1/namespaces/default/{plural}");
        kube.list(&collection).ok()
    });
}

/// A ConfigMap.
pub(crate) fn config_map(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"of": name},
    })
}

/// A custom resource.
pub(crate) fn panda(name: &str, bamboo: usize) -> Value {
    json!({
        "apiVersion": "awesome.bears.com/v1", "kind": "Panda", "metadata": {"name": name},
        "spec": {"bamboo": bamboo},
    })
}

pub(crate) const CONFIG_MAPS: Kind = Kind::new("configmaps", "v1", "ConfigMap", nothing);
pub(crate) const CONTROLLER_REVISIONS: Kind = Kind::new(
    "controllerrevisions.apps",
    "apps/v1",
    "ControllerRevision",
    || json!({"revision": 1, "data": {}}),
);
pub(crate) const DAEMON_SETS: Kind = Kind::new("daemonsets.apps", "apps/v1", "DaemonSet", workload);
pub(crate) const DEPLOYMENTS: Kind =
    Kind::new("deployments.apps", "apps/v1", "Deployment", workload);
pub(crate) const DISRUPTION_BUDGETS: Kind = Kind::new(
    "poddisruptionbudgets.policy",
    "policy/v1",
    "PodDisruptionBudget",
    || json!({"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "none"}}}}),
);
pub(crate) const ENDPOINTS: Kind = Kind::new("endpoints", "v1", "Endpoints", nothing);
pub(crate) const INGRESSES: Kind = Kind::new(
    "ingresses.networking.k8s.io",
    "networking.k8s.io/v1",
    "Ingress",
    || json!({"spec": {"defaultBackend": {"service": {"name": "none", "port": {"number": 80}}}}}),
);
pub(crate) const LEASES: Kind = Kind::new(
    "leases.coordination.k8s.io",
    "coordination.k8s.io/v1",
    "Lease",
    nothing,
);
pub(crate) const LIMIT_RANGES: Kind = Kind::new(
    "limitranges",
    "v1",
    "LimitRange",
    || json!({"spec": {"limits": []}}),
);
pub(crate) const NETWORK_POLICIES: Kind = Kind::new(
    "networkpolicies.networking.k8s.io",
    "networking.k8s.io/v1",
    "NetworkPolicy",
    || json!({"spec": {"podSelector": {}}}),
);
pub(crate) const PANDAS: Kind = Kind::new(
    "pandas.awesome.bears.com",
    "awesome.bears.com/v1",
    "Panda",
    nothing,
);
pub(crate) const POD_TEMPLATES: Kind = Kind::new(
    "podtemplates",
    "v1",
    "PodTemplate",
    || json!({"template": pod()}),
);
pub(crate) const REPLICATION_CONTROLLERS: Kind = Kind::new(
    "replicationcontrollers",
    "v1",
    "ReplicationController",
    || json!({"spec": {"selector": {"app": "none"}, "template": pod()}}),
);
pub(crate) const RESOURCE_QUOTAS: Kind =
    Kind::new("resourcequotas", "v1", "ResourceQuota", nothing);
pub(crate) const ROLES: Kind = Kind::new(
    "roles.rbac.authorization.k8s.io",
    "rbac.authorization.k8s.io/v1",
    "Role",
    nothing,
);
pub(crate) const SECRETS: Kind = Kind::new("secrets", "v1", "Secret", nothing);
pub(crate) const SERVICE_ACCOUNTS: Kind =
    Kind::new("serviceaccounts", "v1", "ServiceAccount", nothing);
pub(crate) const SERVICES: Kind = Kind::new(
    "services",
    "v1",
    "Service",
    || json!({"spec": {"ports": [{"port": 80}]}}),
);
pub(crate) const ZOOS: Kind = Kind::new(
    "zoos.awesome.bears.com",
    "awesome.bears.com/v1",
    "Zoo",
    nothing,
);

/// An Event about a Secret.
pub(crate) fn event(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": name},
        "type": "Normal", "reason": "Tested",
        "involvedObject": {"kind": "Secret", "name": "secret-0", "namespace": namespace},
    })
}

/// A namespaced resource whose objects need little more than a name.
pub(crate) struct Kind {
    /// As an EncryptionConfiguration names it.
    pub(crate) resource: &'static str,
    api_version: &'static str,
    kind: &'static str,
    /// What its objects do need.
    spec: fn() -> Value,
}

impl Kind {
    const fn new(
        resource: &'static str,
        api_version: &'static str,
        kind: &'static str,
        spec: fn() -> Value,
    ) -> Self {
        Self {
            resource,
            api_version,
            kind,
            spec,
        }
    }

    /// Where the apiserver serves those of a namespace.
    pub(crate) fn collection(&self, namespace: &str) -> String {
        let root = if self.api_version.contains('/') {
            "/apis"
        } else {
            "/api"
        };
        let (plural, _group) = self.resource.split_once('.').unwrap_or((self.resource, ""));
        let version = self.api_version;
        format!("{root}/{version}/namespaces/{namespace}/{plural}")
    }

    /// Creates an object in a namespace.
    pub(crate) fn create(&self, kube: &Kube, namespace: &str, name: &str) -> Object {
        let mut object = json!({
            "apiVersion": self.api_version, "kind": self.kind, "metadata": {"name": name},
        });
        if let (Some(object), Value::Object(spec)) = (object.as_object_mut(), (self.spec)()) {
            object.extend(spec);
        }
        let collection = self.collection(namespace);
        kube.create(&collection, &object)
            .unwrap_or_else(|error| panic!("{}: {error}", self.resource));
        Object::new(self.resource, &collection, name)
    }
}

fn nothing() -> Value {
    json!({})
}

/// The spec of a DaemonSet or Deployment.
fn workload() -> Value {
    json!({"spec": {"selector": {"matchLabels": {"app": "none"}}, "template": pod()}})
}

fn pod() -> Value {
    json!({
        "metadata": {"labels": {"app": "none"}},
        "spec": {"containers": [{"name": "none", "image": "none"}]},
    })
}
