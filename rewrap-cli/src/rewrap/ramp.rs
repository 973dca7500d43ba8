//! Few first: what was written is read back before more is written.

use std::cell::{Cell, RefCell};

use futures_util::{TryStreamExt as _, stream};
use prost::bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use super::{Rewrap, RunError};
use crate::chain::Chain;

/// After so many writes a run waits for all answers and reads back what it wrote; behind the last step
/// it goes on without.
const STEPS: [u64; 3] = [1, 10, 100];

/// Reads under way while it reads back.
const READS: usize = 16;

/// How far a run has come on its way to full speed.
#[derive(Debug, Default)]
pub(super) struct Ramp {
    step: Cell<usize>,
    begun: Cell<u64>,
    under_way: Cell<u64>,
    written: RefCell<Vec<Written>>,
    /// Somebody reads back, or it went wrong.
    closed: Cell<bool>,
    moved: Notify,
}

/// A write that was answered.
#[derive(Debug)]
pub(super) struct Written {
    store: usize,
    key: Bytes,
    revision: i64,
    digest: [u8; 32],
}

/// Whether one more may be written.
#[derive(Debug)]
pub(super) enum Turn<'a> {
    /// It may, and is watched.
    Watched(Watched<'a>),
    /// It may; nothing is watched any more.
    Free,
    /// The run is ending.
    Over,
}

/// A write on the ramp.
#[derive(Debug)]
pub(super) struct Watched<'a>(&'a Ramp);

impl Ramp {
    /// Waits for the turn of one more write; whoever finds that a step is full, and answered, reads back.
    async fn turn<E>(
        &self,
        may_begin: impl Fn() -> bool,
        read_back: impl AsyncFn(Vec<Written>) -> Result<(), E>,
    ) -> Result<Turn<'_>, E> {
        while let Some(most) = STEPS.get(self.step.get()) {
            if !may_begin() {
                return Ok(Turn::Over);
            }
            if self.begun.get() < *most {
                self.begun.set(self.begun.get() + 1);
                self.under_way.set(self.under_way.get() + 1);
                return Ok(Turn::Watched(Watched(self)));
            }
            if self.under_way.get() > 0 || self.closed.get() {
                self.moved.notified().await;
                continue;
            }
            self.closed.set(true);
            read_back(self.written.take()).await?;
            self.closed.set(false);
            self.begun.set(0);
            self.step.set(self.step.get() + 1);
            self.moved.notify_waiters();
        }
        Ok(Turn::Free)
    }

    /// Lets everybody see that the run is ending.
    pub(super) fn wake_all(&self) {
        self.moved.notify_waiters();
    }
}

impl Turn<'_> {
    /// The write of this value was answered with this revision.
    pub(super) fn wrote(&self, store: usize, key: &Bytes, value: &[u8], revision: i64) {
        if let Self::Watched(Watched(ramp)) = self {
            ramp.written.borrow_mut().push(Written {
                store,
                key: key.clone(),
                revision,
                digest: Sha256::digest(value).into(),
            });
        }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
        self.0.moved.notify_waiters();
    }
}

impl Rewrap<'_> {
    /// Waits for the turn of one more write.
    pub(super) async fn turn(&self) -> Result<Turn<'_>, RunError> {
        let ramp = self.state.ramp();
        ramp.turn(
            || self.may_begin(),
            async |written| self.read_back(written).await,
        )
        .await
    }

    /// Every one of these is in etcd as it was written, and opens; or somebody wrote or deleted it since.
    async fn read_back(&self, written: Vec<Written>) -> Result<(), RunError> {
        stream::iter(written.into_iter().map(Ok))
            .try_for_each_concurrent(READS, async |written| self.read_back_one(written).await)
            .await
    }

    async fn read_back_one(&self, written: Written) -> Result<(), RunError> {
        let Written {
            store,
            key,
            revision,
            digest,
        } = written;
        let found = self.session.stores[store].store.get(&key).await?;
        let Some(record) = found.filter(|record| record.mod_revision <= revision) else {
            return Ok(());
        };
        let failed = |why: &str| RunError::NotReadBack {
            key: String::from_utf8_lossy(&key).into_owned(),
            why: why.to_owned(),
        };
        if record.mod_revision < revision {
            return Err(failed("etcd still has the value before"));
        }
        if <[u8; 32]>::from(Sha256::digest(&record.value)) != digest {
            return Err(failed("etcd has other bytes at the revision of the write"));
        }
        let Some((resource, _)) = self.areas.object(&key) else {
            return Ok(());
        };
        let rule = self.session.rule(&resource);
        let opened = self.session.keys.open(&rule, &key, &record.value).await;
        opened
            .map(drop)
            .map_err(|error| failed(&Chain(&error).to_string()))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    /// Writes so often with as many hands; what every reading back saw, and how many writes there were.
    async fn climb(hands: usize, writes: u64, bad: Option<usize>) -> (Vec<usize>, u64, usize) {
        let ramp = Ramp::default();
        let (seen, left) = (RefCell::new(Vec::new()), Cell::new(writes));
        let (done, failures) = (Cell::new(0), Cell::new(0));
        let hand = async |_| {
            while left.get() > 0 {
                left.set(left.get() - 1);
                let may_begin = || failures.get() == 0;
                let turn = ramp.turn(may_begin, async |written: Vec<Written>| {
                    tokio::task::yield_now().await;
                    let mut seen = seen.borrow_mut();
                    seen.push(written.len());
                    (bad != Some(seen.len())).then_some(()).ok_or(())
                });
                match turn.await {
                    Ok(Turn::Over) => break,
                    Ok(turn) => {
                        tokio::task::yield_now().await;
                        turn.wrote(0, &Bytes::from_static(b"k"), b"v", 7);
                        done.set(done.get() + 1);
                    }
                    Err(()) => {
                        failures.set(failures.get() + 1);
                        ramp.wake_all();
                    }
                }
            }
        };
        join_all((0..hands).map(hand)).await;
        (seen.into_inner(), done.get(), failures.get())
    }

    #[tokio::test]
    async fn every_step_is_read_back_before_the_next() {
        for hands in [1, 3, 64] {
            assert_eq!(climb(hands, 1000, None).await, (vec![1, 10, 100], 1000, 0));
            assert_eq!(climb(hands, 5, None).await, (vec![1], 5, 0));
        }
    }

    #[tokio::test]
    async fn nothing_is_written_behind_a_step_that_went_wrong() {
        for hands in [1, 3, 64] {
            assert_eq!(climb(hands, 1000, Some(1)).await, (vec![1], 1, 1));
            assert_eq!(
                climb(hands, 1000, Some(3)).await,
                (vec![1, 10, 100], 111, 1)
            );
        }
    }
}
