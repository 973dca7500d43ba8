use std::collections::HashMap;

use serde::Deserialize;

use super::GroupResource;

/// Whether the objects of a resource lie in namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Scope {
    /// One set of objects for the cluster.
    Cluster,
    /// A set of objects for every namespace.
    Namespaced,
}

/// The custom resources that the CustomResourceDefinitions of a store define.
///
/// Under a path with a group in it, only these are kube-apiserver's: another API server may use the
/// same etcd and prefix, and what encrypts its objects is not in our configuration.
#[derive(Debug, Clone, Default)]
pub struct Crds(HashMap<GroupResource, Scope>);

impl Crds {
    /// Adds the resource that a decrypted CustomResourceDefinition defines; says which.
    ///
    /// # Errors
    /// The bytes are no JSON of a CustomResourceDefinition. Nothing of them is in the error.
    pub fn add(&mut self, plaintext: &[u8]) -> Result<GroupResource, NotACrd> {
        let Crd { spec } = serde_json::from_slice(plaintext).map_err(|_| NotACrd)?;
        let resource = GroupResource::new(&spec.names.plural, &spec.group);
        self.0.insert(resource.clone(), spec.scope);
        Ok(resource)
    }

    pub(super) fn resources(&self) -> impl Iterator<Item = &GroupResource> {
        self.0.keys()
    }

    pub(super) fn scope(&self, resource: &GroupResource) -> Option<Scope> {
        self.0.get(resource).copied()
    }
}

impl FromIterator<(GroupResource, Scope)> for Crds {
    fn from_iter<I: IntoIterator<Item = (GroupResource, Scope)>>(resources: I) -> Self {
        Self(resources.into_iter().collect())
    }
}

/// Bytes that are no CustomResourceDefinition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the object is no CustomResourceDefinition: its JSON has no spec.group, spec.names.plural or spec.scope"
)]
pub struct NotACrd;

#[derive(Deserialize)]
struct Crd {
    spec: Spec,
}

#[derive(Deserialize)]
struct Spec {
    group: String,
    names: Names,
    scope: Scope,
}

#[derive(Deserialize)]
struct Names {
    plural: String,
}
