//! How fast a run goes, and when it has to end.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};

use crate::store::Strain;

mod bandwidth;
mod turns;
mod window;

pub use bandwidth::{Bandwidth, BandwidthError};
use turns::Turns;
use window::{Sign, Window};

/// The most that a person lets a run do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Writes in flight.
    pub concurrency: u16,
    /// Objects per second; none is as many as the store takes.
    pub rate: Option<u32>,
    /// Bytes of values per second; none likewise.
    pub bandwidth: Option<Bandwidth>,
    /// Answers within that are never too slow.
    pub calm: Duration,
}

/// What the clients of a live cluster do not mind: etcd's own advice is a disk that commits within
/// that at the 99th percentile (its FAQ on `backend_commit_duration_seconds`).
pub const CALM_FOR_CLIENTS: Duration = Duration::from_millis(25);

/// What etcd itself does not mind: it warns of requests that take longer
/// (`--warning-apply-duration`).
pub const CALM_FOR_ETCD: Duration = Duration::from_millis(100);

impl Limits {
    /// How long so many objects of so many bytes together take at least; nothing without a rate.
    pub fn seconds(&self, objects: u64, bytes: u64) -> Option<u64> {
        let by_rate = self.rate.map(|rate| objects.div_ceil(rate.max(1).into()));
        let by_bandwidth = self.bandwidth.map(|rate| bytes.div_ceil(rate.bytes()));
        by_rate.max(by_bandwidth)
    }

    fn window(&self) -> Window {
        Window::new(self.concurrency.into(), self.calm)
    }
}

/// Makes the writes of a run wait: for their turn where there is a rate, and until the store has
/// room for one more in flight.
///
/// How many may be in flight is found out: one more for every round of answers that come as fast as
/// before, half as many where the 99th percentile is above three times its baseline, where the store
/// says that it has too much to do, and where its leader changed.
#[derive(Debug)]
pub struct Pace {
    limits: Limits,
    objects: Turns,
    bytes: Turns,
    window: RefCell<Window>,
    in_flight: Cell<u32>,
    /// There may be room for one more.
    room: Notify,
    /// The store that is written to, by its index, and what it was last known to suffer.
    store: Cell<(usize, Option<Strain>)>,
    /// In the windows of stores before.
    backed_off: Cell<u64>,
}

impl Pace {
    /// Nothing is in flight yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            objects: Turns::new(limits.rate.map(u64::from)),
            bytes: Turns::new(limits.bandwidth.map(Bandwidth::bytes)),
            window: RefCell::new(limits.window()),
            in_flight: Cell::new(0),
            room: Notify::new(),
            store: Cell::new((0, None)),
            backed_off: Cell::new(0),
        }
    }

    /// The most that are ever in flight.
    pub fn concurrency(&self) -> usize {
        self.limits.concurrency.into()
    }

    /// How many are in flight.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    /// How often fewer were let into flight because the store was slow or said so.
    pub fn backed_off(&self) -> u64 {
        self.backed_off.get() + self.window.borrow().backed_off()
    }

    /// What follows is written to this store; nothing is in flight to another. What was learned of
    /// another says nothing about this one.
    pub fn turn_to(&self, store: usize) {
        if self.store.get().0 != store {
            self.backed_off.set(self.backed_off());
            self.window.replace(self.limits.window());
            self.store.set((store, None));
        }
    }

    /// Waits until an object of so many bytes may be written.
    pub async fn permit(&self, bytes: usize) -> Permit<'_> {
        let now = Instant::now();
        let turns = [
            self.objects.take(1, now),
            self.bytes.take(bytes as u64, now),
        ];
        if let Some(turn) = turns.into_iter().flatten().max() {
            sleep_until(turn).await;
        }
        while self.in_flight.get() >= self.window.borrow().limit() {
            self.room.notified().await;
        }
        self.in_flight.set(self.in_flight.get() + 1);
        self.wake_next();
        Permit { pace: self }
    }

    /// Whoever waited longest looks again; it wakes the next one in turn.
    fn wake_next(&self) {
        if self.in_flight.get() < self.window.borrow().limit() {
            self.room.notify_one();
        }
    }

    /// What the newest look at the store says, against the one before.
    fn sign(&self, strain: Strain) -> Sign {
        let (store, before) = self.store.get();
        self.store.set((store, Some(strain)));
        match before {
            Some(before) if strain.is_worse_than(before) => Sign::Strained,
            _ => Sign::Calm,
        }
    }
}

/// The right to have one write in flight, until it is dropped.
#[derive(Debug)]
pub struct Permit<'a> {
    pace: &'a Pace,
}

impl Permit<'_> {
    /// The write leaves now.
    pub fn sent(&self) -> Instant {
        let now = Instant::now();
        let in_flight = self.pace.in_flight.get();
        self.pace.window.borrow_mut().sent(in_flight, now);
        now
    }

    /// What left then was answered, whatever the answer is; the store has met `strain` until now.
    pub fn answered(self, sent: Instant, strain: Strain) {
        let sign = self.pace.sign(strain);
        let mut window = self.pace.window.borrow_mut();
        window.answered(sent, Instant::now(), sign);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.pace.in_flight.set(self.pace.in_flight.get() - 1);
        self.pace.wake_next();
    }
}

/// Set once, when a person asks for the end of a run: what is in flight is finished, nothing new
/// begins. Asked for once more, nothing is waited for.
#[derive(Debug, Default)]
pub struct Stop {
    requested: watch::Sender<bool>,
    abandoned: watch::Sender<bool>,
}

impl Stop {
    /// Asks for the end.
    pub fn request(&self) {
        self.requested.send_replace(true);
    }

    /// Whether the end was asked for.
    pub fn is_requested(&self) -> bool {
        *self.requested.borrow()
    }

    /// Waits for something, or until the end is asked for: then nothing.
    pub async fn unless_requested<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            // What is done already is not thrown away.
            biased;
            done = work => Some(done),
            () = set(&self.requested) => None,
        }
    }

    /// Asks for the end at once: what is in flight may be written or not.
    pub fn abandon(&self) {
        self.abandoned.send_replace(true);
    }

    /// Waits until the end at once is asked for.
    pub async fn abandoned(&self) {
        set(&self.abandoned).await;
    }
}

async fn set(flag: &watch::Sender<bool>) {
    // Its sender is here, so that it does not end without.
    let _ = flag.subscribe().wait_for(|set| *set).await;
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};

    use super::*;

    fn pace(concurrency: u16) -> Pace {
        Pace::new(Limits {
            concurrency,
            rate: None,
            bandwidth: None,
            calm: CALM_FOR_CLIENTS,
        })
    }

    fn strain(setbacks: u64, term: u64) -> Strain {
        Strain { setbacks, term }
    }

    /// Writes so often, each of which takes a moment; gives the most that were in flight.
    async fn write(pace: &Pace, writes: usize) -> u32 {
        let in_flight = stream::iter(0..writes).map(async |_| {
            let permit = pace.permit(1000).await;
            let sent = permit.sent();
            let in_flight = pace.in_flight.get();
            tokio::time::sleep(Duration::from_millis(1)).await;
            permit.answered(sent, strain(0, 7));
            in_flight
        });
        in_flight
            .buffer_unordered(40)
            .fold(0, async |most, in_flight| most.max(in_flight))
            .await
    }

    #[tokio::test]
    async fn as_many_as_may_be_are_in_flight_and_none_waits_for_ever() {
        let pace = pace(16);
        assert_eq!(write(&pace, 2000).await, 16);
        assert_eq!(pace.in_flight.get(), 0);
    }

    #[tokio::test]
    async fn a_setback_and_a_new_leader_make_it_back_off_but_another_store_does_not() {
        let pace = pace(16);
        let answer = async |strain| {
            let permit = pace.permit(1000).await;
            let sent = permit.sent();
            permit.answered(sent, strain);
            pace.backed_off()
        };
        assert_eq!(answer(strain(0, 7)).await, 0);
        assert_eq!(answer(strain(1, 7)).await, 1, "a setback");
        assert_eq!(answer(strain(1, 7)).await, 1);
        assert_eq!(answer(strain(1, 8)).await, 2, "a new leader");
        pace.turn_to(1);
        assert_eq!(answer(strain(9, 3)).await, 2, "another store");
        assert_eq!(answer(strain(9, 4)).await, 3);
    }
}
