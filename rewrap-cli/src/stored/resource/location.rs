use std::{collections::BTreeSet, fmt};

use super::{
    Crds, EtcdPrefix, GroupResource, Scope,
    built_in::{self, BuiltIn},
};

/// What lies under an etcd key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location<'k> {
    /// An object of a resource that the EncryptionConfiguration rules over.
    Object {
        /// The resource, under the group in which it is stored.
        resource: GroupResource,
        /// Which of its objects.
        key: ObjectKey<'k>,
    },
    /// Never encrypted, or not kube-apiserver's: must stay as it is.
    NeverTouched(Untouchable),
    /// In a group that no CustomResourceDefinition defines: perhaps an aggregated API server's.
    Unowned(GroupResource),
    /// Under a resource that this version does not know, or of a shape that no object's key has.
    Unmapped {
        /// The first segment behind the prefix.
        segment: String,
    },
}

/// The namespace and name of an object, as its etcd key states them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey<'k> {
    /// None where the resource is cluster-scoped.
    pub namespace: Option<&'k str>,
    /// May contain `:`, never `/`.
    pub name: &'k str,
}

impl<'k> ObjectKey<'k> {
    /// What stands behind the directory of a resource in an etcd key; `None` for what no object of the
    /// resource has there.
    pub fn parse(scope: Scope, rest: &'k [u8]) -> Option<Self> {
        let rest = str::from_utf8(rest).ok()?;
        let (namespace, name) = match scope {
            Scope::Cluster => (None, rest),
            Scope::Namespaced => {
                let (namespace, name) = rest.split_once('/')?;
                (Some(namespace), name)
            }
        };
        let odd = name.is_empty() || name.contains('/') || namespace.is_some_and(str::is_empty);
        (!odd).then_some(Self { namespace, name })
    }
}

/// `namespace/name`, or `name`.
impl fmt::Display for ObjectKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(self.name)
    }
}

/// Keys that kube-apiserver stores without its transformers: encrypting them would break it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Untouchable {
    /// `compact_rev_key`: the lock of the compaction.
    CompactRevision,
    /// `masterleases`: the addresses of the apiservers.
    MasterLease,
    /// Not under the prefix.
    OutsidePrefix,
    /// `peerserverleases`: the addresses of the apiservers, for each other.
    PeerServerLease,
    /// `ranges`: allocated service addresses and ports.
    Range,
}

impl fmt::Display for Untouchable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CompactRevision => "compaction lock",
            Self::MasterLease => "master lease",
            Self::OutsidePrefix => "outside the etcd prefix",
            Self::PeerServerLease => "peer server lease",
            Self::Range => "allocated range",
        })
    }
}

impl EtcdPrefix {
    /// Says what lies under an etcd key. `crds` are the CustomResourceDefinitions of the store.
    pub fn locate<'k>(&self, key: &'k [u8], crds: &Crds) -> Location<'k> {
        if key == b"compact_rev_key" {
            return Location::NeverTouched(Untouchable::CompactRevision);
        }
        let Some(rest) = self.strip(key) else {
            return Location::NeverTouched(Untouchable::OutsidePrefix);
        };
        let first = rest.split(|byte| *byte == b'/').next().unwrap_or(rest);
        match first {
            b"masterleases" => Location::NeverTouched(Untouchable::MasterLease),
            b"peerserverleases" => Location::NeverTouched(Untouchable::PeerServerLease),
            b"ranges" => Location::NeverTouched(Untouchable::Range),
            _ => str::from_utf8(rest)
                .ok()
                .and_then(|rest| locate(rest, crds))
                .unwrap_or_else(|| Location::Unmapped {
                    segment: String::from_utf8_lossy(first).into_owned(),
                }),
        }
    }

    /// Where the objects of a resource lie, with the slash at the end; `None` for a resource that
    /// this version does not know and whose group shows that it is no custom resource.
    pub fn directory_of(&self, resource: &GroupResource) -> Option<String> {
        let path = match BuiltIn::of(resource) {
            Some(built_in) => built_in.path.to_owned(),
            None if resource.group.contains('.') => {
                format!("{}/{}", resource.group, resource.resource)
            }
            None => return None,
        };
        Some(format!("{}{path}/", self.directory()))
    }

    /// Where objects of known resources may lie, each with the slash at the end, in the order of their
    /// keys.
    pub fn directories(&self, crds: &Crds) -> BTreeSet<String> {
        let built_in = built_in::ALL.iter().map(BuiltIn::group_resource);
        let all = built_in.chain(crds.resources().cloned());
        all.filter_map(|resource| self.directory_of(&resource))
            .collect()
    }
}

/// `rest` is a key without the prefix.
fn locate<'k>(rest: &'k str, crds: &Crds) -> Option<Location<'k>> {
    let (first, behind_first) = rest.split_once('/')?;
    if let Some(built_in) = BuiltIn::at(first) {
        return object(built_in.group_resource(), built_in.scope, behind_first);
    }
    let (second, behind_second) = behind_first.split_once('/')?;
    if let Some(built_in) = BuiltIn::at(&rest[..first.len() + 1 + second.len()]) {
        return object(built_in.group_resource(), built_in.scope, behind_second);
    }
    // Groups of custom resources have a dot, the paths of built-in resources do not.
    if !first.contains('.') {
        return None;
    }
    let resource = GroupResource::new(second, first);
    match crds.scope(&resource) {
        Some(scope) => object(resource, scope, behind_second),
        None => Some(Location::Unowned(resource)),
    }
}

fn object(resource: GroupResource, scope: Scope, rest: &str) -> Option<Location<'_>> {
    let key = ObjectKey::parse(scope, rest.as_bytes())?;
    Some(Location::Object { resource, key })
}
