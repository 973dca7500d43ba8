//! What an apiserver serves.

use std::collections::BTreeMap;

use crate::support::kube::Kube;

/// Names of resources as EncryptionConfigurations have them, with the number of their objects.
pub(crate) type Totals = BTreeMap<String, u64>;

/// A resource that an apiserver stores and shows.
pub(crate) struct Collection {
    /// As an EncryptionConfiguration names it.
    pub(crate) resource: String,
    /// What its paths begin with: `/apis/apps/v1`.
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) kind: String,
    pub(crate) namespaced: bool,
    /// Whether its objects can be replaced.
    pub(crate) updates: bool,
}

impl Collection {
    /// Where all its objects are.
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", self.version, self.plural)
    }

    /// Where those of a namespace are; all, where there are no namespaces.
    pub(crate) fn path_in(&self, namespace: &str) -> String {
        let Self {
            version, plural, ..
        } = self;
        if self.namespaced {
            format!("{version}/namespaces/{namespace}/{plural}")
        } else {
            self.path()
        }
    }
}

/// Everything that an apiserver stores and shows, in the version that it likes best.
pub(crate) fn collections(kube: &Kube) -> Vec<Collection> {
    let groups = kube.get("/apis").unwrap();
    let mut versions = vec![(String::new(), "/api/v1".to_owned())];
    for group in groups["groups"].as_array().unwrap() {
        // Not every resource is in every version. The best one comes first.
        for version in group["versions"].as_array().unwrap() {
            versions.push((
                format!(".{}", group["name"].as_str().unwrap()),
                format!("/apis/{}", version["groupVersion"].as_str().unwrap()),
            ));
        }
    }

    let mut collections: Vec<Collection> = Vec::new();
    for (group, version) in versions {
        for resource in kube.get(&version).unwrap()["resources"].as_array().unwrap() {
            let plural = resource["name"].as_str().unwrap();
            let name = format!("{plural}{group}");
            let can = |verb: &str| resource["verbs"].as_array().unwrap().contains(&verb.into());
            // Events have two names and are stored as `events`.
            let stored = can("list") && plural != "componentstatuses" && group != ".events.k8s.io";
            if stored && collections.iter().all(|known| known.resource != name) {
                collections.push(Collection {
                    resource: name,
                    version: version.clone(),
                    plural: plural.to_owned(),
                    kind: resource["kind"].as_str().unwrap().to_owned(),
                    namespaced: resource["namespaced"].as_bool().unwrap(),
                    updates: can("update"),
                });
            }
        }
    }
    collections
}

/// Counts everything that an apiserver stores and shows.
pub(crate) fn count_everything(kube: &Kube) -> Totals {
    let count = |collection: Collection| {
        let objects = kube.list(&collection.path()).unwrap();
        (collection.resource, objects.len() as u64)
    };
    collections(kube).into_iter().map(count).collect()
}
