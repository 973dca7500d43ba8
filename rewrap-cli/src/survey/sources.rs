//! Counts distinct DEK sources in bounded memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kms_proto::{
    KeyId, RootVersion,
    inventory::{DekSourceInfo, RootCoverage},
};
use sha2::{Digest as _, Sha256};

use crate::stored::{DekRef, KmsName};

/// How many distinct ones are counted exactly.
const LIMIT: usize = 100_000;

type Digest = [u8; 32];

/// What tells DEK sources apart: the digest of the wrapped bytes comes first in their order.
type Key = (Digest, Arc<Owner>);

/// Which DEK sources there are and how many values need each; told apart by provider, key id and
/// wrapped bytes.
///
/// More than [`LIMIT`] are estimated by those of the smallest digests, which lie as dense as all: with
/// so many of them to within a percent.
#[derive(Debug)]
pub(super) struct Sources {
    limit: usize,
    /// By the digest of the wrapped bytes.
    kept: BTreeMap<Key, Use>,
    owners: BTreeSet<Arc<Owner>>,
    /// Whether there were more than are kept.
    overflowed: bool,
    /// Most values have the DEK source of their neighbour: those in a row.
    last: Option<(Arc<DekRef>, Use)>,
}

/// The values that need a DEK source: how many, and the revision of the oldest.
#[derive(Debug, Clone, Copy)]
struct Use {
    objects: u64,
    oldest: i64,
}

impl Use {
    fn add(&mut self, more: Self) {
        self.objects += more.objects;
        self.oldest = self.oldest.min(more.oldest);
    }
}

/// What may have wrapped a DEK source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Owner {
    provider: KmsName,
    key_id: Option<KeyId>,
    /// The versions of the roots' keys that wrapped its local KEK: the key id is a hash of them.
    roots: Vec<RootVersion>,
}

impl Default for Sources {
    fn default() -> Self {
        Self::with_limit(LIMIT)
    }
}

impl Sources {
    fn with_limit(limit: usize) -> Self {
        Self {
            limit,
            kept: BTreeMap::new(),
            owners: BTreeSet::new(),
            overflowed: false,
            last: None,
        }
    }

    /// Counts a value of this revision.
    pub(super) fn add(&mut self, dek: Arc<DekRef>, revision: i64) {
        let one = Use {
            objects: 1,
            oldest: revision,
        };
        match &mut self.last {
            Some((last, uses)) if *last == dek => uses.add(one),
            _ => {
                self.settle();
                self.last = Some((dek, one));
            }
        }
    }

    fn settle(&mut self) {
        let Some((dek, more)) = self.last.take() else {
            return;
        };
        let name = (Sha256::digest(dek.ciphertext()).into(), self.owner(&dek));
        let full = self.kept.len() >= self.limit;
        if let Some(uses) = self.kept.get_mut(&name) {
            uses.add(more);
        } else if full
            && self
                .kept
                .last_key_value()
                .is_some_and(|(last, _)| *last < name)
        {
            self.overflowed = true;
        } else {
            self.kept.insert(name, more);
            if full {
                self.kept.pop_last();
                self.overflowed = true;
            }
        }
    }

    fn owner(&mut self, dek: &DekRef) -> Arc<Owner> {
        let owner = Owner {
            provider: Arc::clone(dek.provider()),
            key_id: dek.key_id().cloned(),
            roots: dek.roots(),
        };
        if let Some(owner) = self.owners.get(&owner) {
            return Arc::clone(owner);
        }
        let owner = Arc::new(owner);
        self.owners.insert(Arc::clone(&owner));
        owner
    }

    /// How many distinct ones there are, and whether that is exact.
    pub(super) fn count(&mut self) -> (u64, bool) {
        self.settle();
        let kept = self.kept.len() as u64;
        match self.kept.last_key_value() {
            Some(((highest, _), _)) if self.overflowed => {
                let [a, b, c, d, e, f, g, h, ..] = *highest;
                let reach = u64::from_be_bytes([a, b, c, d, e, f, g, h]) as f64;
                let share = reach / u64::MAX as f64;
                ((kept.saturating_sub(1) as f64 / share) as u64, false)
            }
            _ => (kept, true),
        }
    }

    /// Those that were kept, by names that are safe to show.
    pub(super) fn into_infos(mut self) -> Vec<DekSourceInfo> {
        self.settle();
        let infos = self
            .kept
            .into_iter()
            .map(|((digest, owner), uses)| DekSourceInfo {
                provider: owner.provider.to_string(),
                key_id: owner.key_id.clone(),
                sha256: hex::encode(digest),
                roots: owner.roots.clone(),
                objects: uses.objects,
                oldest_revision: uses.oldest,
            });
        let mut infos: Vec<_> = infos.collect();
        infos.sort_unstable();
        infos
    }
}

/// What each key of a root opens, in the order of their names.
pub(super) fn coverage(sources: &[DekSourceInfo]) -> Vec<RootCoverage> {
    let mut found: BTreeMap<&str, (BTreeSet<&RootVersion>, u64, u64)> = BTreeMap::new();
    for source in sources {
        for version in &source.roots {
            let (versions, dek_sources, objects) = found.entry(version.key()).or_default();
            versions.insert(version);
            *dek_sources += 1;
            *objects += source.objects;
        }
    }
    found
        .into_iter()
        .map(|(root, (versions, dek_sources, objects))| RootCoverage {
            root: root.to_owned(),
            versions: versions.into_iter().cloned().collect(),
            dek_sources,
            objects,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_covers_what_it_wrapped() {
        let source = |roots: &[&str], objects| DekSourceInfo {
            provider: "kms".to_owned(),
            key_id: None,
            sha256: String::new(),
            roots: roots.iter().map(|root| root.parse().unwrap()).collect(),
            objects,
            oldest_revision: 1,
        };
        let sources = [
            source(&["vault:transit/k8s#1@7"], 10),
            source(&["age:age1x#1", "vault:transit/k8s#2@8"], 5),
            source(&[], 3),
        ];
        let found = coverage(&sources);
        let told: Vec<_> = found
            .iter()
            .map(|root| {
                (
                    root.root.as_str(),
                    root.versions.len(),
                    root.dek_sources,
                    root.objects,
                )
            })
            .collect();
        assert_eq!(
            told,
            [("age:age1x", 1, 1, 5), ("vault:transit/k8s", 2, 2, 15)]
        );
    }

    fn add(sources: &mut Sources, provider: &str, number: u32) {
        let cipher = number.to_be_bytes();
        let dek = DekRef::V1 {
            provider: provider.into(),
            cipher: cipher.as_slice().into(),
        };
        sources.add(Arc::new(dek), 1000 - i64::from(number));
    }

    #[test]
    fn few_are_counted_exactly() {
        let mut sources = Sources::with_limit(10);
        for number in (0..8).chain(0..8) {
            add(&mut sources, "one", number);
        }
        add(&mut sources, "two", 0);
        add(&mut sources, "two", 1);
        assert_eq!(sources.count(), (10, true));
        let infos = sources.into_infos();
        assert_eq!(infos.iter().map(|info| info.objects).sum::<u64>(), 18);
        assert!(infos.is_sorted());
        assert_eq!(
            infos.iter().map(|info| info.oldest_revision).min(),
            Some(993)
        );
    }

    #[test]
    fn many_are_estimated_in_bounded_memory() {
        let mut sources = Sources::with_limit(2000);
        for number in (0..50_000).chain(0..50_000) {
            add(&mut sources, "one", number);
        }
        let (count, exact) = sources.count();
        assert!(!exact && (46_000..54_000).contains(&count), "{count}");
        assert_eq!(sources.kept.len(), 2000);
        assert!(sources.into_infos().iter().all(|info| info.objects == 2));
    }
}
