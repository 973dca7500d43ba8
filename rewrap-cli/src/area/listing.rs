//! Which areas there are.

use std::sync::Arc;

use kms_proto::inventory::Unreadable;

use super::{Area, AreaError, Areas, Content, directories};
use crate::{
    scan::Scan,
    session::{NamedStore, Session},
    stored::{Crds, GroupResource, Location, Rule, Scope},
};

impl Session {
    /// All areas of all stores; those that leak most come first, those that change most come last.
    ///
    /// # Errors
    /// A store that cannot be read, or whose prefix holds no cluster.
    pub async fn areas(&self) -> Result<Areas, AreaError> {
        self.areas_at(&vec![0; self.stores.len()], &[]).await
    }

    /// The same at a revision of each store; 0 is the newest. Where resources are named, there are
    /// areas of theirs only, and those may be empty: to look would cost as much as to count.
    ///
    /// # Errors
    /// As [`Self::areas`], and that a revision is compacted away.
    pub async fn areas_at(
        &self,
        revisions: &[i64],
        only: &[GroupResource],
    ) -> Result<Areas, AreaError> {
        self.require_cluster().await?;
        let (crds, unreadable_crds) = self.crds(revisions).await?;
        let mut areas = Vec::new();
        for (index, revision) in revisions.iter().enumerate() {
            let store = &self.stores[index].store;
            let paths = directories::below(&self.prefix, store, *revision, only, &crds).await?;
            areas.extend(paths.into_iter().map(|path| self.area(index, path, &crds)));
        }
        areas.sort_by_key(order);
        Ok(Areas {
            areas,
            prefix: self.prefix.clone(),
            crds,
            unreadable_crds,
        })
    }

    /// The rule of a resource; without an entry in the configuration it is plain text.
    pub fn rule(&self, resource: &GroupResource) -> Arc<Rule> {
        self.config
            .rule(resource)
            .map_or_else(|| Arc::new(Rule::identity()), Arc::clone)
    }

    /// The store that holds a resource.
    pub fn store_of(&self, resource: &GroupResource) -> &NamedStore {
        &self.stores[self.index_of(resource)]
    }

    /// The index of the store that holds a resource.
    pub(crate) fn index_of(&self, resource: &GroupResource) -> usize {
        let overriding = self
            .stores
            .iter()
            .position(|store| store.resources.contains(resource));
        overriding.unwrap_or(0)
    }

    /// A wrong prefix must never look like a clean cluster: every cluster has kube-system.
    async fn require_cluster(&self) -> Result<(), AreaError> {
        let Ok(namespaces) = "namespaces".parse();
        let store = &self.store_of(&namespaces).store;
        let key = format!("{}namespaces/kube-system", self.prefix.directory());
        if store.get(key.as_bytes()).await?.is_some() {
            return Ok(());
        }
        let found = directories::top_level(&self.stores[0].store).await?;
        Err(AreaError::NoCluster {
            prefix: self.prefix.to_string(),
            found: found.join(", "),
        })
    }

    /// The CRDs in the store: they say which paths with a group in them are custom resources.
    async fn crds(&self, revisions: &[i64]) -> Result<(Crds, Vec<Unreadable>), AreaError> {
        let resource = GroupResource::new("customresourcedefinitions", "apiextensions.k8s.io");
        let rule = self.rule(&resource);
        let path = format!(
            "{}{}/{}/",
            self.prefix.directory(),
            resource.group,
            resource.resource
        );
        let (mut crds, mut unreadable) = (Crds::default(), Vec::new());
        let index = self.index_of(&resource);
        let mut scan = Scan::new(&self.stores[index].store, &path).at_revision(revisions[index]);
        while let Some(records) = scan.next().await? {
            for record in records {
                // A definition that does not open is counted as unreadable where it is counted.
                let Ok(opened) = self.keys.open(&rule, &record.key, &record.value).await else {
                    continue;
                };
                if let Err(error) = crds.add(opened.plaintext.expose()) {
                    unreadable.push(Unreadable {
                        key: String::from_utf8_lossy(&record.key).into_owned(),
                        error: error.to_string(),
                    });
                }
            }
        }
        Ok((crds, unreadable))
    }

    fn area(&self, store: usize, path: Vec<u8>, crds: &Crds) -> Area {
        let content = match self.content(&path, crds) {
            Content::Objects { resource, .. } if self.index_of(&resource) != store => {
                Content::LeftAlone("an override sends this resource to another etcd".to_owned())
            }
            content => content,
        };
        Area {
            store,
            path,
            content,
        }
    }

    /// What a directory holds. The directory decides, not a key that happens to be in it: one odd
    /// key must not hide the objects beside it.
    fn content(&self, path: &[u8], crds: &Crds) -> Content {
        let inside: &[&[u8]] = match path {
            [.., b'/'] => &[b"namespace/name", b"name"],
            _ => &[b""],
        };
        let keys: Vec<_> = inside.iter().map(|name| [path, name].concat()).collect();
        let mut locations = keys.iter().map(|key| self.prefix.locate(key, crds));
        let content = locations.find_map(|location| match location {
            Location::Object { resource, key } => Some(Content::Objects {
                rule: self.rule(&resource),
                scope: match key.namespace {
                    Some(_) => Scope::Namespaced,
                    None => Scope::Cluster,
                },
                resource,
            }),
            Location::NeverTouched(why) => Some(Content::LeftAlone(why.to_string())),
            Location::Unowned(resource) => Some(Content::LeftAlone(format!(
                "no CustomResourceDefinition of this cluster defines {resource}"
            ))),
            Location::Unmapped { .. } => None,
        });
        content.unwrap_or_else(|| Content::LeftAlone("an unknown resource".to_owned()))
    }
}

/// Secrets first, since they leak most; what is rewritten all the time last, since it may be
/// current by then.
fn order(area: &Area) -> (u8, Vec<u8>) {
    let Content::Objects { resource, .. } = &area.content else {
        return (3, area.path.clone());
    };
    let rank = match &*resource.resource {
        "secrets" => 0,
        "events" | "leases" | "endpoints" | "endpointslices" => 2,
        _ => 1,
    };
    (rank, area.path.clone())
}
