//! What kube-apiserver and `rewrap` say of the same stored object, and that they agree.

use serde_json::Value;

use super::cluster::Cluster;
use crate::support::etcd::{Etcd, gateway::Stored};

/// An object of a cluster, by all its names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Object {
    /// As an EncryptionConfiguration names it: `roles.rbac.authorization.k8s.io`.
    pub(crate) resource: String,
    /// `NAMESPACE/NAME`, or `NAME`.
    pub(crate) name: String,
    /// Where the apiserver serves it.
    pub(crate) path: String,
}

impl Object {
    /// The object of this name in a collection: `/api/v1/namespaces/default/secrets`.
    pub(crate) fn new(resource: &str, collection: &str, name: &str) -> Self {
        let namespace = collection
            .split_once("/namespaces/")
            .and_then(|(_, rest)| rest.split_once('/'));
        Self {
            resource: resource.to_owned(),
            name: namespace.map_or_else(
                || name.to_owned(),
                |(namespace, _)| format!("{namespace}/{name}"),
            ),
            path: format!("{collection}/{name}"),
        }
    }
}

impl Cluster {
    /// What `rewrap get` says of an object.
    pub(crate) fn look(&self, object: &Object) -> Value {
        self.rewrap("get", &[&object.resource, &object.name, "--output=json"])
            .expect(0)
            .json()
    }

    /// The bytes of an object, as `rewrap` opens it.
    pub(crate) fn reveal(&self, object: &Object) -> Vec<u8> {
        let Object { resource, name, .. } = object;
        let mut get = self.rewrap_command("get", &[resource, name, "--reveal"]);
        let revealed = get.output().unwrap();
        assert!(revealed.status.success(), "{object:?}: {revealed:?}");
        revealed.stdout
    }

    /// The value of an object in etcd.
    pub(crate) fn stored(&self, object: &Object) -> Stored {
        stored(&self.etcd, &self.look(object))
    }

    /// Fails unless an object that the apiserver has just written is written with what `rewrap`
    /// says of its resource and of itself, and is current.
    #[track_caller]
    pub(crate) fn writes_as_said(&self, object: &Object) {
        self.writes_as_said_to(&self.etcd, object);
    }

    /// The same of an object that is in another etcd.
    #[track_caller]
    pub(crate) fn writes_as_said_to(&self, etcd: &Etcd, object: &Object) {
        let inventory = self.status(&["--resource", &object.resource]);
        let writes_with = &inventory["resources"][0]["writesWith"];
        let said = self.look(object);
        assert_written_with(&stored(etcd, &said), writes_with);
        assert_eq!(&said["writtenWith"], writes_with, "{said:#}");
        let unknowable = writes_with["provider"] == "kms-v1";
        let state = if unknowable { "unknowable" } else { "current" };
        assert_eq!(said["state"], state, "{said:#}");
    }

    /// Whether an object is stale, about which the apiserver and `rewrap` must agree. If it was, the
    /// apiserver has replaced it by itself, and both call it current.
    #[track_caller]
    pub(crate) fn agrees_is_stale(&self, object: &Object) -> bool {
        self.agrees_is_stale_in(&self.etcd, object)
    }

    /// The same of an object that is in another etcd.
    #[track_caller]
    pub(crate) fn agrees_is_stale_in(&self, etcd: &Etcd, object: &Object) -> bool {
        let said = self.look(object);
        let stale = match said["state"].as_str().unwrap() {
            "stale" | "plaintext" => true,
            // KMS v1: for the apiserver that is current.
            "current" | "unknowable" => false,
            _ => panic!("{said:#}"),
        };
        let rewritten = self.empty_update_writes(etcd, object, &said);
        assert_eq!(rewritten, stale, "rewritten by the apiserver, {said:#}");
        if stale {
            let said = self.look(object);
            assert!(
                ["current", "unknowable"].contains(&said["state"].as_str().unwrap()),
                "{said:#}"
            );
            assert!(!self.empty_update_writes(etcd, object, &said), "{said:#}");
        }
        stale
    }

    /// Replaces an object by itself, which kube-apiserver writes only where the stored value is
    /// stale.
    #[track_caller]
    fn empty_update_writes(&self, etcd: &Etcd, object: &Object, said: &Value) -> bool {
        let kube = self.kube();
        let before = stored(etcd, said);
        let read = kube.get(&object.path).unwrap();
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        assert_eq!(version(&read), before.revision.to_string(), "{said:#}");
        let updated = kube.update(&object.path, &read).unwrap();
        let after = stored(etcd, said);
        assert_eq!(version(&updated), after.revision.to_string(), "{said:#}");
        assert_eq!(
            before.value != after.value,
            before.revision != after.revision
        );
        before != after
    }
}

/// What every value begins with that was written with this provider and key of an inventory;
/// nothing for plain text.
pub(crate) fn prefix(written: &Value) -> String {
    let [provider, key] = ["provider", "key"].map(|field| written[field].as_str().unwrap());
    match provider {
        "identity" => String::new(),
        "kms-v1" => format!("k8s:enc:kms:v1:{key}:"),
        "kms-v2" => format!("k8s:enc:kms:v2:{key}:"),
        local => format!("k8s:enc:{local}:v1:{key}:"),
    }
}

/// Fails unless a value is written with this provider and key.
#[track_caller]
pub(crate) fn assert_written_with(stored: &Stored, written: &Value) {
    let Stored { key, value, .. } = stored;
    let prefix = prefix(written);
    let encrypted = value.starts_with(b"k8s:enc:");
    assert!(
        value.starts_with(prefix.as_bytes()) && encrypted != prefix.is_empty(),
        "{key} is not written with {written}: it begins with {:?}",
        String::from_utf8_lossy(&value[..value.len().min(40)])
    );
}

fn stored(etcd: &Etcd, said: &Value) -> Stored {
    let key = said["key"].as_str().unwrap();
    etcd.stored(key).unwrap_or_else(|| panic!("no {key}"))
}
