//! Which areas there are.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kms_proto::inventory::Unreadable;

use super::{Area, AreaError, Areas, Content};
use crate::{
    scan::Scan,
    session::{NamedStore, Session},
    store::{Kind, RangeOptions, Store, StoreError, key_after},
    stored::{Crds, GroupResource, Location, Rule, Scope},
};

/// Top-level directories that the error about a wrong prefix names.
const TOP_LEVEL_SHOWN: usize = 20;

/// Requests under way while directories are looked for.
const IN_FLIGHT: usize = 8;

/// A range of keys: the first, and the first that is not in it.
type Piece = (Vec<u8>, Vec<u8>);

impl Session {
    /// All areas of all stores; those that leak most come first, those that change most come last.
    ///
    /// # Errors
    /// A store that cannot be read, or whose prefix holds no cluster.
    pub async fn areas(&self) -> Result<Areas, AreaError> {
        self.areas_at(&vec![0; self.stores.len()], &[]).await
    }

    /// The same at a revision of each store; 0 is the newest. Where resources are named, others are not
    /// looked for.
    ///
    /// # Errors
    /// As [`Self::areas`], and [`StoreError::Compacted`].
    pub async fn areas_at(
        &self,
        revisions: &[i64],
        only: &[GroupResource],
    ) -> Result<Areas, AreaError> {
        self.require_cluster().await?;
        let (crds, unreadable_crds) = self.crds(revisions).await?;
        let mut areas = Vec::new();
        for (index, revision) in revisions.iter().enumerate() {
            let pieces = self.pieces(&self.stores[index].store, only, &crds);
            self.areas_of(index, *revision, pieces, &crds, &mut areas)
                .await?;
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
    fn index_of(&self, resource: &GroupResource) -> usize {
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
        let found = self.top_level().await?;
        Err(AreaError::NoCluster {
            prefix: self.prefix.to_string(),
            found: found.join(", "),
        })
    }

    /// The first directory of every key in the default store.
    async fn top_level(&self) -> Result<Vec<String>, AreaError> {
        let store = &self.stores[0].store;
        let mut found = Vec::new();
        let (first, end) = match store.kind() {
            Kind::Etcd => (b"\0", b"\0"),
            Kind::Kine => (b"/", b"0"),
        };
        let mut from = first.to_vec();
        while found.len() < TOP_LEVEL_SHOWN
            && let Some(key) = first_key(store, 0, &from, end).await?
        {
            let end = key
                .iter()
                .skip(1)
                .position(|byte| *byte == b'/')
                .map(|at| at + 2);
            let top = &key[..end.unwrap_or(key.len())];
            found.push(String::from_utf8_lossy(top).into_owned());
            from = behind(top);
        }
        Ok(found)
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

    async fn areas_of(
        &self,
        index: usize,
        revision: i64,
        pieces: Vec<Piece>,
        crds: &Crds,
        areas: &mut Vec<Area>,
    ) -> Result<(), AreaError> {
        let store = &self.stores[index];
        for path in self.paths(&store.store, revision, pieces).await? {
            let content = self.content(&path, crds);
            let lives_here = match &content {
                Content::Objects { resource, .. } => std::ptr::eq(self.store_of(resource), store),
                Content::LeftAlone(_) => true,
            };
            let content = if lives_here {
                content
            } else {
                Content::LeftAlone("an override sends this resource to another etcd".to_owned())
            };
            areas.push(Area {
                store: index,
                path,
                content,
            });
        }
        Ok(())
    }

    /// Where to look for directories.
    ///
    /// etcd counts what a range holds to its end, whatever the limit: a look for the next directory
    /// that had no nearer end would cost as much as there is in all that follow. So each look ends
    /// behind a directory that may be there.
    fn pieces(&self, store: &Store, only: &[GroupResource], crds: &Crds) -> Vec<Piece> {
        let mut from = self.prefix.directory().into_bytes();
        let end = behind(&from);
        match store.kind() {
            // It knows no other end than that of the prefix.
            Kind::Kine => vec![(from, end)],
            Kind::Etcd if only.is_empty() => {
                let known = self.prefix.directories(crds);
                let ends = known.iter().map(|path| behind(path.as_bytes()));
                ends.chain([end])
                    .map(|end| (std::mem::replace(&mut from, end.clone()), end))
                    .collect()
            }
            Kind::Etcd => {
                let named: BTreeSet<_> = only
                    .iter()
                    .filter_map(|resource| self.prefix.directory_of(resource))
                    .map(String::into_bytes)
                    .collect();
                let piece = |path: Vec<u8>| {
                    let end = behind(&path);
                    (path, end)
                };
                named.into_iter().map(piece).collect()
            }
        }
    }

    /// The directories in these pieces, in the order of their keys.
    async fn paths(
        &self,
        store: &Store,
        revision: i64,
        pieces: Vec<Piece>,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let depth = self.prefix.directory().len();
        stream::iter(pieces)
            .map(async |(mut from, end)| {
                let mut paths = Vec::new();
                while from < end
                    && let Some(key) = first_key(store, revision, &from, &end).await?
                {
                    let path = directory(&key, depth);
                    from = behind(&path);
                    paths.push(path);
                }
                Ok(paths)
            })
            .buffered(IN_FLIGHT)
            .try_concat()
            .await
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

async fn first_key(
    store: &Store,
    revision: i64,
    from: &[u8],
    end: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    let options = RangeOptions {
        key: from.to_vec(),
        range_end: end.to_vec(),
        limit: 1,
        revision,
        keys_only: true,
        ..RangeOptions::default()
    };
    Ok(store
        .range(options)
        .await?
        .records
        .into_iter()
        .next()
        .map(|record| record.key.to_vec()))
}

/// The directory that holds the objects of one resource: one segment behind the prefix, two where
/// the first names a group or is `services`. A key without such a slash stands for itself.
fn directory(key: &[u8], prefix: usize) -> Vec<u8> {
    let segments = |count: usize| {
        let slashes = key
            .iter()
            .enumerate()
            .skip(prefix)
            .filter(|(_, byte)| **byte == b'/');
        slashes.map(|(at, _)| at + 1).nth(count - 1)
    };
    let first = segments(1).unwrap_or(key.len());
    let name = &key[prefix..first];
    let grouped = name.contains(&b'.') || name == b"services/";
    let end = if grouped {
        segments(2).unwrap_or(key.len())
    } else {
        first
    };
    key[..end].to_vec()
}

/// The first key that is not in a directory, or not this key.
fn behind(path: &[u8]) -> Vec<u8> {
    match path {
        // '0' is the byte behind '/'.
        [directory @ .., b'/'] => [directory, b"0"].concat(),
        key => key_after(key),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_end_where_the_objects_of_a_resource_begin() {
        for (key, expected) in [
            ("/registry/secrets/default/a", "/registry/secrets/"),
            ("/registry/namespaces/kube-system", "/registry/namespaces/"),
            (
                "/registry/services/specs/default/a",
                "/registry/services/specs/",
            ),
            (
                "/registry/services/endpoints/default/a",
                "/registry/services/endpoints/",
            ),
            (
                "/registry/awesome.bears.com/pandas/default/a",
                "/registry/awesome.bears.com/pandas/",
            ),
            (
                "/registry/awesome.bears.com/odd",
                "/registry/awesome.bears.com/odd",
            ),
            ("/registry/health", "/registry/health"),
            ("/registry/ranges/serviceips", "/registry/ranges/"),
        ] {
            assert_eq!(
                directory(key.as_bytes(), "/registry/".len()),
                expected.as_bytes()
            );
        }
    }
}
