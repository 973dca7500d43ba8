//! What clients of the clusters make.

use serde_json::{Value, json};

use crate::support::{eventually, kube::Kube};

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
