//! An area, page by page: the next one is read and opened while the last ones are written.

use std::{cell::RefCell, time::Duration};

use futures_util::{Stream, StreamExt as _, future::join_all, stream};
use tokio::{
    sync::{Mutex, mpsc},
    time::sleep,
};

use super::{
    Fate, OpenedPage, PassEnd, Rewrap, RunError, one::Attempt, order::leaks_most, together,
};
use crate::{
    area::Area,
    progress::RunProgress,
    scan::Scan,
    store::{StoreError, key_after},
    stored::Rule,
};

/// How often the current key is asked for.
const KEY_EVERY: Duration = Duration::from_secs(1);

/// At least so many values are opened before the answers to what is in flight are looked at: in a tenth of the
/// time that a write takes.
const OPENED_AT_ONCE: usize = 16;

impl Rewrap<'_> {
    /// Reads and opens the next page while the last ones are written: the transactions in flight do
    /// not become fewer between two pages.
    pub(super) async fn area(
        &self,
        area: &Area,
        rule: &Rule,
        path: &str,
        from: Option<String>,
        progress: &RunProgress,
    ) -> Result<PassEnd, RunError> {
        let (pages, opened) = mpsc::channel(1);
        let (read, written) = tokio::join!(
            self.read(area, rule, path, from, pages),
            self.write(area, rule, opened, progress)
        );
        written?;
        match self.ended() {
            PassEnd::Finished => read?,
            end => return Ok(end),
        }
        Ok(PassEnd::Finished)
    }

    /// Opens everything of an area, until nobody wants more.
    async fn read(
        &self,
        area: &Area,
        rule: &Rule,
        path: &str,
        from: Option<String>,
        pages: mpsc::Sender<(u64, OpenedPage)>,
    ) -> Result<(), StoreError> {
        let mut scan = Scan::new(&self.session.stores[area.store].store, path);
        if let Some(from) = from {
            scan = scan.starting_at(&key_after(from.as_bytes()));
        }
        while let Some(records) = scan.next().await? {
            let last_key = records.last().map(|last| last.key.clone());
            let number = self
                .state
                .front()
                .read(&last_key.unwrap_or_default(), records.len());
            let mut page = Vec::with_capacity(records.len());
            let mut records = records.into_iter();
            loop {
                let some: Vec<_> = records.by_ref().take(self.at_once()).collect();
                if some.is_empty() {
                    break;
                }
                let values: Vec<_> = some
                    .iter()
                    .map(|record| (&record.key[..], &record.value[..]))
                    .collect();
                let outcomes = self.session.keys.open_all(rule, &values).await;
                page.extend(some.into_iter().zip(outcomes));
                tokio::task::yield_now().await;
                scan.go_on();
            }
            page.sort_by_cached_key(|(_, outcome)| !leaks_most(area, outcome));
            if pages.send((number, page)).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// How many values to open now: no fewer than may be written until it is our turn again, or the writes would
    /// wait for the reading.
    fn at_once(&self) -> usize {
        let objects = match self.options.ours {
            Some(_) => together::MOST,
            None => 1,
        };
        OPENED_AT_ONCE.max(self.options.pace.in_flight() as usize * objects)
    }

    /// Writes what of the opened pages is stale, until there are no more or nothing may begin.
    async fn write(
        &self,
        area: &Area,
        rule: &Rule,
        pages: mpsc::Receiver<(u64, OpenedPage)>,
        progress: &RunProgress,
    ) -> Result<(), RunError> {
        let pages = stream::unfold(pages, async |mut pages| {
            let page = pages.recv().await.filter(|_| self.may_begin())?;
            Some((page, pages))
        });
        let Some(ours) = &self.options.ours else {
            let objects = pages.flat_map(|page| each(page, |page| page));
            let write = async |(page, (record, outcome))| {
                let fate = self.one(area, rule, record, outcome, Attempt::First).await;
                self.done(page, &fate);
                self.count(fate, progress)
            };
            return self.work(rule, objects, write).await;
        };
        let groups = pages.flat_map(|page| each(page, together::cut));
        let write = async |(page, objects)| {
            let fates = self.together(area, rule, ours, objects).await;
            let counted = fates.into_iter().map(|fate| {
                self.done(page, &fate);
                self.count(fate, progress)
            });
            // To the last, whatever fails.
            counted.fold(Ok(()), Result::and)
        };
        self.work(rule, groups, write).await
    }

    /// Moves the cut behind what is done.
    fn done(&self, page: u64, fate: &Result<Fate, RunError>) {
        if fate
            .as_ref()
            .is_ok_and(|fate| !matches!(fate, Fate::NotBegun))
        {
            self.state.front().done(page);
        }
    }

    /// Works through what there is, as many at a time as may be in flight, to the last, whatever
    /// fails: after a failure what was read is only drained, for `one` begins nothing new. Gives the
    /// first failure. The current key is asked for before, and again and again while it lasts.
    ///
    /// The hands are as many as work at a time, rather than as many as there is work: the state of a
    /// write is too large to be made, moved and wiped for every object.
    pub(super) async fn work<T>(
        &self,
        rule: &Rule,
        work: impl Stream<Item = T>,
        hand: impl AsyncFn(T) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        self.check_key(rule).await?;
        let work = std::pin::pin!(work.fuse());
        let work = Mutex::new(work);
        let failure = RefCell::new(None);
        let fail = |error| {
            self.failed.set(true);
            // Whoever waits for a turn sees that there is none.
            self.state.ramp().wake_all();
            failure.borrow_mut().get_or_insert(error);
        };
        let hands = (0..self.options.pace.concurrency()).map(async |_| {
            loop {
                let next = work.lock().await.next().await;
                let Some(next) = next else { break };
                if let Err(error) = hand(next).await {
                    fail(error);
                }
            }
        });
        let mut hands = std::pin::pin!(join_all(hands));
        let key_changes = async {
            loop {
                sleep(KEY_EVERY).await;
                if let Err(error) = self.check_key(rule).await {
                    return error;
                }
            }
        };
        tokio::select! {
            _ = &mut hands => {}
            error = key_changes => {
                fail(error);
                hands.await;
            }
        }
        failure.take().map_or(Ok(()), Err)
    }
}

/// What a page is cut into, with its number.
fn each<T>(
    (number, page): (u64, OpenedPage),
    cut: impl FnOnce(OpenedPage) -> Vec<T>,
) -> impl Stream<Item = (u64, T)> {
    stream::iter(cut(page)).map(move |part| (number, part))
}
