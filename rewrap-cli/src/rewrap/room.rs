//! Keeps the databases below their quota: what is about to be written is taken from the room that
//! is known to be left, and where that is used up, a run waits for the apiservers' own compaction.
//!
//! A full etcd takes no writes of anybody, and no compaction either, since kube-apiserver begins
//! one with a write.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use super::growth;
use crate::{
    progress::tell,
    report::bytes,
    store::{EndpointStatus, Kind, Store},
};

/// How often the members are asked for the size of their databases.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What a value may gain over the one it replaces, in bytes.
const ENVELOPE: u64 = 512;

/// The room in the databases of all stores.
#[derive(Debug)]
pub struct Room {
    stores: Vec<StoreRoom>,
    /// How long to wait for a compaction.
    patience: Duration,
    full: RefCell<Option<NoRoom>>,
    /// The members were asked again.
    looked: Notify,
}

#[derive(Debug)]
struct StoreRoom {
    store: Store,
    /// What may be written before the members are asked again; nothing before the first answer.
    left: Cell<Option<u64>>,
    /// What was taken, ever, and when the members were last asked. What was written a moment ago
    /// does not show in their answers yet.
    taken: Cell<u64>,
    taken_before: Cell<u64>,
    /// What the last one who had to wait wants.
    wanted: Cell<Option<u64>>,
    /// What the fullest member said last: bytes in use, and its quota.
    seen: Cell<Option<(u64, Option<u64>)>>,
    /// Since when nothing could be written.
    starving: Cell<Option<Instant>>,
}

/// No compaction came in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the database of {endpoint} has {} in use of a quota of {}, and {}; stopped before etcd is full, \
     what is written is safe; see that the apiservers compact (--etcd-compaction-interval), or \
     compact and defragment, then the same command again goes on; etcd before 3.6 does not tell a quota \
     above 2 GiB, --quota-backend-bytes does",
    bytes(*in_use),
    bytes(*quota),
    if patience.is_zero() {
        "nobody compacts while the apiservers are stopped".to_owned()
    } else {
        format!("no compaction made room within {} s", patience.as_secs())
    }
)]
pub struct NoRoom {
    endpoint: String,
    in_use: u64,
    quota: u64,
    patience: Duration,
}

impl Room {
    /// Nobody has been asked yet. A run gives up where no compaction makes room within `patience`,
    /// which is zero where nobody compacts.
    pub fn new(stores: impl IntoIterator<Item = Store>, patience: Duration) -> Self {
        let stores = stores.into_iter().map(|store| StoreRoom {
            store,
            left: Cell::new(None),
            taken: Cell::new(0),
            taken_before: Cell::new(0),
            wanted: Cell::new(None),
            seen: Cell::new(None),
            starving: Cell::new(None),
        });
        Self {
            stores: stores.collect(),
            patience,
            full: RefCell::new(None),
            looked: Notify::new(),
        }
    }

    /// Waits until a value can be replaced, or until nobody wants it any more.
    ///
    /// # Errors
    /// No compaction came in time.
    pub async fn take(
        &self,
        store: usize,
        [key, value]: [usize; 2],
        is_wanted: impl Fn() -> bool,
    ) -> Result<(), NoRoom> {
        let room = &self.stores[store];
        let size = growth::per_write(key as u64, value as u64 + ENVELOPE);
        while is_wanted() {
            if let Some(full) = self.full.borrow().clone() {
                return Err(full);
            }
            if room.take(size) {
                break;
            }
            room.wanted.set(Some(size));
            self.looked.notified().await;
        }
        Ok(())
    }

    /// What is known of the databases: for each store that has answered its index, the bytes in use
    /// and the quota, where it has one.
    pub fn seen(&self) -> impl Iterator<Item = (usize, u64, Option<u64>)> {
        let seen = self.stores.iter().map(|room| room.seen.get()).enumerate();
        seen.filter_map(|(store, seen)| seen.map(|(in_use, quota)| (store, in_use, quota)))
    }

    /// Asks the members again and again, as long as it is polled.
    pub async fn watch(&self) -> Infallible {
        loop {
            for room in &self.stores {
                if let Some(full) = room.look(self.patience).await {
                    self.full.replace(Some(full));
                }
            }
            self.looked.notify_waiters();
            sleep(LOOK_EVERY).await;
        }
    }
}

impl StoreRoom {
    /// Whether there is room for so many bytes; takes it if so.
    fn take(&self, size: u64) -> bool {
        let Some(left) = self.left.get().and_then(|left| left.checked_sub(size)) else {
            return false;
        };
        self.left.set(Some(left));
        self.taken.set(self.taken.get() + size);
        true
    }

    /// Asks the members; says so where nothing can be written for too long.
    async fn look(&self, patience: Duration) -> Option<NoRoom> {
        let taken_before = self.taken_before.replace(self.taken.get());
        let members = self.store.status().await;
        let mut fullest: Option<(u64, &EndpointStatus)> = None;
        for member in members.iter().flatten() {
            // An SQL database has no quota.
            let left = match self.store.kind() {
                Kind::Etcd => left(member),
                Kind::Kine => u64::MAX,
            };
            if fullest.is_none_or(|(least, _)| left < least) {
                fullest = Some((left, member));
            }
        }
        // Nobody answered: what was left before is left still.
        let (left, member) = fullest?;
        let quota_told = match self.store.kind() {
            Kind::Etcd => Some(quota(member)),
            Kind::Kine => None,
        };
        self.seen.set(Some((in_use(member), quota_told)));
        let unseen = self.taken.get() - taken_before;
        let left = left.saturating_sub(unseen);
        self.left.set(Some(left));
        let Some(wanted) = self.wanted.take() else {
            self.starving.set(None);
            return None;
        };
        if left >= wanted {
            if self.starving.take().is_some() {
                tell(format_args!("rewrap: etcd has room again; going on"));
            }
            return None;
        }
        if unseen > 0 {
            return None;
        }
        let (in_use, quota) = (in_use(member), quota(member));
        let since = self.starving.get().unwrap_or_else(|| {
            if !patience.is_zero() {
                tell(format_args!(
                    "rewrap: the database of {} has {} in use of a quota of {}; waiting up to {} s for \
                     the apiservers to compact it",
                    member.endpoint,
                    bytes(in_use),
                    bytes(quota),
                    patience.as_secs()
                ));
            }
            Instant::now()
        });
        self.starving.set(Some(since));
        (since.elapsed() >= patience).then(|| NoRoom {
            endpoint: member.endpoint.clone(),
            in_use,
            quota,
            patience,
        })
    }
}

/// The bytes that may be written to a member: until its data come to what [`growth::usable`] leaves of
/// the quota, and where the file itself is nearly as large, no more than half of what is free in it,
/// since a large value needs free pages side by side.
fn left(member: &EndpointStatus) -> u64 {
    let quota = quota(member);
    let file = member.db_size.unsigned_abs();
    let free = file.saturating_sub(in_use(member));
    let below = growth::usable(quota).saturating_sub(in_use(member));
    let file_may_grow = (quota / 20 * 19).saturating_sub(file);
    below.min(file_may_grow + free / 2)
}

fn in_use(member: &EndpointStatus) -> u64 {
    member.db_size_in_use.unsigned_abs()
}

fn quota(member: &EndpointStatus) -> u64 {
    let quota = member.quota.map(i64::unsigned_abs);
    quota.unwrap_or(growth::DEFAULT_QUOTA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_ends_before_the_quota_does() {
        let left_of = |file: i64, in_use: i64, quota| {
            left(&EndpointStatus {
                endpoint: "a".to_owned(),
                cluster_id: 7,
                version: "3.6.16".to_owned(),
                revision: 1,
                db_size: file,
                db_size_in_use: in_use,
                quota,
                leader: false,
                learner: false,
                committed: 1,
                applied: 1,
                problems: Vec::new(),
            })
        };
        assert_eq!(left_of(100, 100, None), growth::usable(2 << 30) - 100);
        assert_eq!(left_of(100, 100, Some(1000)), 700);
        assert_eq!(left_of(900, 900, Some(1000)), 0);
        // Free pages are used before the file grows; of a file at its quota, half of them.
        assert_eq!(left_of(900, 200, Some(1000)), 50 + 350);
        assert_eq!(left_of(990, 200, Some(1000)), 395);
    }
}
