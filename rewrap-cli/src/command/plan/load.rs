//! What the writes of a run mean for the stores.

use kms_proto::inventory::Inventory;

use super::to_rewrite;
use crate::{
    report::bytes,
    session::NamedStore,
    store::{EndpointStatus, Kind, StoreError, concerns},
};

/// What a rewritten value may gain: prefix, key id, DEK source and nonce of KMS v2 with a local
/// root come to about this many bytes.
const OVERHEAD: u64 = 320;

/// etcd's quota where nobody set one (`--quota-backend-bytes`).
const DEFAULT_QUOTA: u64 = 2 << 30;

/// The part of a plan that concerns one store.
pub(super) struct Load {
    kind: Kind,
    answers: Vec<Result<EndpointStatus, StoreError>>,
    /// What its database grows by until it is compacted, in bytes.
    pub(super) growth: u64,
    objects: u64,
    events: bool,
}

impl Load {
    /// What a run over everything in this inventory would write there.
    pub(super) async fn of(store: &NamedStore, inventory: &Inventory) -> Self {
        let kind = store.store.kind();
        let (mut objects, mut size, mut events) = (0, 0, false);
        for resource in &inventory.resources {
            if resource.store == store.name {
                let (count, bytes) = to_rewrite(resource);
                objects += count;
                size += bytes;
                events |= resource.resource == "events" && count > 0;
            }
        }
        Self {
            kind,
            answers: store.store.status().await,
            growth: growth(kind, objects, size),
            objects,
            events,
        }
    }

    /// The member with the largest database: what fits there fits everywhere.
    pub(super) fn largest(&self) -> Option<&EndpointStatus> {
        let answers = self.answers.iter().flatten();
        answers.max_by_key(|member| member.db_size)
    }

    /// What to think of before.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = concerns(&self.answers);
        if self.objects > 0 {
            match self.kind {
                Kind::Etcd => warnings.extend(self.room()),
                Kind::Kine => warnings.extend(self.kine()),
            }
        }
        warnings
    }

    fn room(&self) -> Option<String> {
        let member = self.largest()?;
        let size = member.db_size_in_use.unsigned_abs() + self.growth;
        let quota = member.quota.map(i64::unsigned_abs);
        if size <= quota.unwrap_or(DEFAULT_QUOTA) / 10 * 8 {
            return None;
        }
        let portions =
            "compact and defragment first, or rewrite in portions with --resource or --limit";
        Some(match quota {
            Some(_) => format!("the database would come close to its quota; {portions}"),
            None => format!(
                "the database would come to {}, and etcd {} does not tell its quota \
                 (--quota-backend-bytes, 2 GiB by default); {portions}",
                bytes(size),
                member.version
            ),
        })
    }

    fn kine(&self) -> Vec<String> {
        let mut warnings = vec![
            format!(
                "kine tells no quota and no alarm: see that the disk of its database has room for {}",
                bytes(self.growth)
            ),
            "beside the newest value kine keeps the one before it: when all is rewritten and \
             verified, `rewrap run --also-current` pushes out the old ones"
                .to_owned(),
        ];
        if self.events {
            warnings.push(
                "on kine a lease is a time from the newest write: a rewritten Event lives for its \
                 whole --event-ttl again"
                    .to_owned(),
            );
        }
        warnings
    }
}

/// Every write is a new revision beside the old one; kine's have the value before in them too.
fn growth(kind: Kind, objects: u64, old: u64) -> u64 {
    let new = old + objects * OVERHEAD;
    match kind {
        Kind::Etcd => new,
        Kind::Kine => old + new,
    }
}
