//! Few first: what was written is read back before more is written.

use std::cell::Cell;

use prost::bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use super::{Rewrap, RunError};
use crate::{area::Area, chain::Chain, stored::Rule};

/// So many writes are read back before the next step, each as soon as it was answered; behind the last step a run
/// goes on without.
const STEPS: [u64; 3] = [1, 10, 100];

/// How far a run has come on its way to full speed.
#[derive(Debug, Default)]
pub(super) struct Ramp {
    step: Cell<usize>,
    /// In this step: under way, or proved.
    begun: Cell<u64>,
    under_way: Cell<u64>,
    moved: Notify,
}

/// Whether one more may be written.
#[derive(Debug)]
pub(super) enum Turn<'a> {
    /// It may, and is to be read back.
    Watched(Watched<'a>),
    /// It may; nothing is read back any more.
    Free,
    /// The run is ending.
    Over,
}

/// A write on the ramp. One that proves nothing, such as one that lost against another writer, gives its place back.
#[derive(Debug)]
pub(super) struct Watched<'a> {
    ramp: &'a Ramp,
    is_proved: bool,
}

impl Ramp {
    /// Waits for the turn of one more write.
    async fn turn(&self, may_begin: impl Fn() -> bool) -> Turn<'_> {
        while let Some(most) = STEPS.get(self.step.get()) {
            if !may_begin() {
                return Turn::Over;
            }
            if self.begun.get() < *most {
                self.begun.set(self.begun.get() + 1);
                self.under_way.set(self.under_way.get() + 1);
                return Turn::Watched(Watched {
                    ramp: self,
                    is_proved: false,
                });
            }
            if self.under_way.get() > 0 {
                self.moved.notified().await;
                continue;
            }
            self.begun.set(0);
            self.step.set(self.step.get() + 1);
        }
        Turn::Free
    }

    /// Lets everybody see that the run is ending.
    pub(super) fn wake_all(&self) {
        self.moved.notify_waiters();
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let ramp = self.ramp;
        ramp.under_way.set(ramp.under_way.get() - 1);
        if !self.is_proved {
            ramp.begun.set(ramp.begun.get() - 1);
        }
        ramp.moved.notify_waiters();
    }
}

/// A write that was answered.
#[derive(Debug)]
pub(super) struct Written<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: Bytes,
    pub(super) revision: i64,
}

impl Rewrap<'_> {
    /// Waits for the turn of one more write.
    pub(super) async fn turn(&self) -> Turn<'_> {
        self.state.ramp().turn(|| self.may_begin()).await
    }

    /// What was written in this turn is in etcd as it was written, and opens; or somebody wrote or deleted it since,
    /// which proves nothing. Asks nobody where the ramp is behind us.
    pub(super) async fn read_back(
        &self,
        turn: Turn<'_>,
        area: &Area,
        rule: &Rule,
        written: Written<'_>,
    ) -> Result<(), RunError> {
        let Turn::Watched(mut watched) = turn else {
            return Ok(());
        };
        let Written {
            key,
            value,
            revision,
        } = written;
        let digest = Sha256::digest(&value);
        // Not twice in memory.
        drop(value);
        let found = self.session.stores[area.store].store.get(key).await?;
        let Some(record) = found.filter(|record| record.mod_revision <= revision) else {
            return Ok(());
        };
        let failed = |why: &str| RunError::NotReadBack {
            key: String::from_utf8_lossy(key).into_owned(),
            why: why.to_owned(),
        };
        if record.mod_revision < revision {
            return Err(failed("etcd still has the value before"));
        }
        if Sha256::digest(&record.value) != digest {
            return Err(failed("etcd has other bytes at the revision of the write"));
        }
        let opened = self.session.keys.open(rule, key, &record.value).await;
        opened.map_err(|error| failed(&Chain(&error).to_string()))?;
        watched.is_proved = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    /// Writes so often with as many hands, where every write with a number that `loses` says proves nothing. Gives
    /// how many writes were proved when the first one went on without.
    async fn climb(hands: usize, writes: u64, loses: impl Fn(u64) -> bool) -> Option<u64> {
        let ramp = Ramp::default();
        let (begun, proved, free_at) = (Cell::new(0), Cell::new(0), Cell::new(None));
        let hand = async |_| {
            while begun.get() < writes {
                let number = begun.get();
                begun.set(number + 1);
                match ramp.turn(|| true).await {
                    Turn::Over => panic!("it may begin"),
                    Turn::Free => free_at.set(free_at.get().or_else(|| Some(proved.get()))),
                    Turn::Watched(mut watched) => {
                        let behind = [1, 11, 111].iter().find(|step| proved.get() < **step);
                        let most = behind.expect("the ramp is climbed");
                        assert!(proved.get() + ramp.under_way.get() <= *most);
                        tokio::task::yield_now().await;
                        if !loses(number) {
                            watched.is_proved = true;
                            proved.set(proved.get() + 1);
                        }
                    }
                }
            }
        };
        join_all((0..hands).map(hand)).await;
        free_at.get()
    }

    #[tokio::test]
    async fn every_step_is_proved_before_the_next() {
        for hands in [1, 3, 64] {
            assert_eq!(climb(hands, 1000, |_| false).await, Some(111));
            assert_eq!(
                climb(hands, 1000, |number| number % 3 != 2).await,
                Some(111)
            );
            assert_eq!(climb(hands, 111, |_| false).await, None);
            assert_eq!(climb(hands, 1000, |_| true).await, None);
        }
    }

    #[tokio::test]
    async fn whoever_waits_is_told_of_the_end() {
        let (ramp, failed) = (Ramp::default(), Cell::new(false));
        let first = ramp.turn(|| true).await;
        let fail = async {
            tokio::task::yield_now().await;
            drop(first);
            failed.set(true);
            ramp.wake_all();
        };
        let waits = ramp.turn(|| !failed.get());
        let (turn, ()) = tokio::join!(waits, fail);
        assert!(matches!(turn, Turn::Over), "{turn:?}");
    }
}
