//! Resources, as an EncryptionConfiguration names them, and where their objects lie in etcd.

use std::{convert::Infallible, fmt, str::FromStr};

mod built_in;
mod crds;
mod existence;
mod location;
mod prefix;

pub use crds::{Crds, NotACrd, Scope};
pub use existence::Existence;
pub use location::{Location, ObjectKey, Untouchable};
pub use prefix::EtcdPrefix;

/// A resource and its API group: `secrets`, `deployments.apps`, `pandas.awesome.bears.com`.
///
/// Parsed as kube-apiserver does it (`schema.ParseGroupResource`): cut at the first dot; no dot, or
/// nothing behind it, is the core group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupResource {
    /// Empty for the core group.
    pub group: Box<str>,
    /// The plural, or `*` in a rule.
    pub resource: Box<str>,
}

impl GroupResource {
    /// A resource of a group; an empty group is the core group.
    pub fn new(resource: &str, group: &str) -> Self {
        Self {
            group: group.into(),
            resource: resource.into(),
        }
    }
}

impl FromStr for GroupResource {
    type Err = Infallible;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (resource, group) = s.split_once('.').unwrap_or((s, ""));
        Ok(Self::new(resource, group))
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.group {
            "" => f.write_str(&self.resource),
            group => write!(f, "{}.{group}", self.resource),
        }
    }
}

#[cfg(test)]
mod tests;
