//! What the writes of a run mean for the stores.

use kms_proto::inventory::{Inventory, KeyRef, ResourceInventory, WrittenWith};

use super::is_to_rewrite;
use crate::{
    report::bytes,
    rewrap::growth,
    session::NamedStore,
    store::{Concern, EndpointStatus, Kind, StoreError, concerns},
};

/// What the last part of an etcd key comes to, namespace and name, where only the number and the
/// size of objects is known.
const NAME: u64 = 40;

/// What writes do to one store.
pub(in crate::command) struct Load {
    kind: Kind,
    answers: Vec<Result<EndpointStatus, StoreError>>,
    /// What its database grows by until it is compacted, in bytes.
    pub(in crate::command) growth: u64,
    /// How many objects are written there.
    pub(in crate::command) objects: u64,
    events: bool,
}

/// A database that would come close to its quota.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::command) enum Tight {
    /// The member tells its quota.
    #[error(
        "the database of {endpoint} would come to {}, close to its quota of {}; compact and \
         defragment first, or rewrite in portions with --resource or --limit",
        bytes(*size), bytes(*quota)
    )]
    Known {
        /// The member.
        endpoint: String,
        /// What its data would come to.
        size: u64,
        /// Its quota.
        quota: u64,
    },
    /// It does not, as before 3.6.
    #[error(
        "the database of {endpoint} would come to {}, and etcd {version} does not tell its quota \
         (2 GiB by default; tell it with --quota-backend-bytes); compact and defragment first, or rewrite in \
         portions with --resource or --limit",
        bytes(*size)
    )]
    Unknown {
        /// The member.
        endpoint: String,
        /// What its data would come to.
        size: u64,
        /// Its version.
        version: String,
    },
}

impl Load {
    /// What a run over everything in this inventory would write there.
    pub(super) async fn of(store: &NamedStore, inventory: &Inventory) -> Self {
        Self::of_rows(store, inventory, is_to_rewrite).await
    }

    /// What writing the objects of these rows of an inventory means.
    pub(in crate::command) async fn of_rows(
        store: &NamedStore,
        inventory: &Inventory,
        is_written: impl Fn(&WrittenWith) -> bool,
    ) -> Self {
        let kind = store.store.kind();
        let (mut objects, mut growth, mut events) = (0, 0, false);
        let here = |resource: &&ResourceInventory| resource.store == store.name;
        for resource in inventory.resources.iter().filter(here) {
            for row in resource.written_with.iter().filter(|row| is_written(row)) {
                objects += row.objects;
                growth += growth_of(kind, resource, row);
                events |= resource.resource == "events" && row.objects > 0;
            }
        }
        Self {
            kind,
            answers: store.store.status().await,
            growth,
            objects,
            events,
        }
    }

    /// The same for no more than so many objects.
    pub(in crate::command) fn limited_to(mut self, objects: u64) -> Self {
        if objects < self.objects {
            let growth = u128::from(self.growth) * u128::from(objects) / u128::from(self.objects);
            self.growth = u64::try_from(growth).unwrap_or(u64::MAX);
            self.objects = objects;
        }
        self
    }

    /// The member with the largest database: what fits there fits everywhere.
    pub(super) fn largest(&self) -> Option<&EndpointStatus> {
        let answers = self.answers.iter().flatten();
        answers.max_by_key(|member| member.db_size)
    }

    /// What the members say of themselves that there is to think of.
    pub(in crate::command) fn concerns(&self) -> Vec<Concern> {
        concerns(&self.answers)
    }

    /// What to think of before.
    pub(super) fn warnings(&self) -> Vec<String> {
        let concerns = self.concerns();
        let mut warnings: Vec<_> = concerns.iter().map(Concern::to_string).collect();
        if self.objects > 0 {
            match self.kind {
                Kind::Etcd => warnings.extend(self.tight().map(|tight| tight.to_string())),
                Kind::Kine => warnings.extend(self.kine()),
            }
        }
        warnings
    }

    /// The member that has the least room, where what is written comes close to its quota. What is
    /// free in its file is used before the file grows.
    pub(in crate::command) fn tight(&self) -> Option<Tight> {
        if self.kind == Kind::Kine || self.objects == 0 {
            return None;
        }
        let members = self.answers.iter().flatten();
        let tight = members.filter_map(|member| {
            let size = member.db_size_in_use.unsigned_abs() + self.growth;
            let quota = member.quota.map(i64::unsigned_abs);
            let usable = growth::usable(quota.unwrap_or(growth::DEFAULT_QUOTA));
            let endpoint = member.endpoint.clone();
            let tight = match quota {
                Some(quota) => Tight::Known {
                    endpoint,
                    size,
                    quota,
                },
                None => Tight::Unknown {
                    endpoint,
                    size,
                    version: member.version.clone(),
                },
            };
            (size > usable).then(|| (size - usable, tight))
        });
        tight.max_by_key(|(over, _)| *over).map(|(_, tight)| tight)
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

/// What the database grows by where the objects of a row are written anew. kine's rows have the
/// value before in them too.
fn growth_of(kind: Kind, resource: &ResourceInventory, row: &WrittenWith) -> u64 {
    let Some(old) = row.bytes.checked_div(row.objects) else {
        return 0;
    };
    let new = (old + envelope(&resource.writes_with)).saturating_sub(envelope(&row.key));
    let key = resource.path.len() as u64 + NAME;
    row.objects
        * match kind {
            Kind::Etcd => growth::per_write(key, new),
            Kind::Kine => old + new,
        }
}

/// What a provider adds to a plaintext: prefix, name, nonce, tag, and with KMS the wrapped DEK and
/// what the plugin wants stored beside it, as it is with a local root.
fn envelope(key: &KeyRef) -> u64 {
    let name = key.key.len() as u64;
    match &*key.provider {
        "identity" => 0,
        "kms-v1" => 200 + name,
        "kms-v2" => 220 + name,
        _ => 56 + name,
    }
}
