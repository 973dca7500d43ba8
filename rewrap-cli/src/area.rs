//! What is in a store, cut along the resources: one area per directory of objects.

use std::sync::Arc;

use kms_proto::inventory::Unreadable;

use crate::{
    store::StoreError,
    stored::{Crds, EtcdPrefix, GroupResource, Location, ObjectKey, Rule, Scope},
};

mod directories;
mod listing;

/// What is in the stores of a session.
#[derive(Debug)]
pub struct Areas {
    areas: Vec<Area>,
    prefix: EtcdPrefix,
    crds: Crds,
    unreadable_crds: Vec<Unreadable>,
}

impl Areas {
    /// CustomResourceDefinitions that open but cannot be understood: their resources are left
    /// alone.
    pub fn unreadable_crds(&self) -> &[Unreadable] {
        &self.unreadable_crds
    }

    /// All areas, in the order in which they are worth rewriting.
    pub fn iter(&self) -> std::slice::Iter<'_, Area> {
        self.areas.iter()
    }

    /// The object that an etcd key names; `None` where kube-apiserver has none there.
    pub fn object<'k>(&self, key: &'k [u8]) -> Option<(GroupResource, ObjectKey<'k>)> {
        match self.locate(key) {
            Location::Object { resource, key } => Some((resource, key)),
            Location::NeverTouched(_) | Location::Unowned(_) | Location::Unmapped { .. } => None,
        }
    }

    /// What lies under an etcd key.
    fn locate<'k>(&self, key: &'k [u8]) -> Location<'k> {
        self.prefix.locate(key, &self.crds)
    }
}

/// A directory of one store and what its objects are.
#[derive(Debug, Clone)]
pub struct Area {
    /// The index of its store in the session.
    pub store: usize,
    /// What all its keys begin with, the last slash included.
    pub path: Vec<u8>,
    /// What is in it.
    pub content: Content,
}

impl Area {
    /// The path for people.
    pub fn display(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }

    /// The object of this area that an etcd key names.
    ///
    /// # Errors
    /// The key is none of its resource.
    pub fn object_key<'k>(&self, key: &'k [u8]) -> Result<ObjectKey<'k>, OddKey> {
        let rest = key.strip_prefix(&self.path[..]).ok_or(OddKey)?;
        match &self.content {
            Content::Objects { scope, .. } => ObjectKey::parse(*scope, rest).ok_or(OddKey),
            Content::LeftAlone(_) => Err(OddKey),
        }
    }
}

/// What an area holds.
#[derive(Debug, Clone)]
pub enum Content {
    /// The objects of one resource.
    Objects {
        /// The resource.
        resource: GroupResource,
        /// Whether it has namespaces.
        scope: Scope,
        /// How kube-apiserver transforms it.
        rule: Arc<Rule>,
    },
    /// Nothing that kube-apiserver transforms, or nothing known: never written.
    LeftAlone(String),
}

/// A key in the directory of a resource that no object of it has: counted, and left alone.
#[derive(Debug, thiserror::Error)]
#[error("its etcd key is not shaped like those of its resource")]
pub struct OddKey;

/// Why the areas of a store cannot be listed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AreaError {
    /// No kube-system below the prefix.
    #[error(
        "no cluster below {prefix}: {prefix}/namespaces/kube-system does not exist; found: {}; \
         give the apiserver's own --etcd-prefix",
        if found.is_empty() { "nothing" } else { found.as_str() }
    )]
    NoCluster {
        /// The prefix that was looked below.
        prefix: String,
        /// The top-level directories of the store.
        found: String,
    },
    /// etcd.
    #[error(transparent)]
    Store(#[from] StoreError),
}
