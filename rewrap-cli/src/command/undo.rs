//! `rewrap undo`.

use std::{path::Path, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kms_proto::inventory::{API_VERSION, Unreadable};
use serde::Serialize;

use super::{
    CommandError, Exit,
    run::{confirm, stop_on_signals, take_lock, under},
    status,
    undo_file::Lines,
};
use crate::{
    area::Areas,
    chain::Chain,
    cli::UndoArgs,
    journal::Journal,
    pace::{Pace, Stop},
    printable::OneLine,
    report,
    rewrap::{Room, RunError, Trail, UndoEntry, UndoHeader},
    session::Session,
    store::{Put, StoreError},
    stored::{Opened, Rule},
};

/// How many failures the report names.
const REPORTED: usize = 10_000;

/// What became of an undo file: `kind: UndoReport`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct UndoReport {
    api_version: &'static str,
    kind: &'static str,
    /// Values that are stored again as they were.
    restored: u64,
    /// Values that are not what the run wrote: somebody wrote since, or the write never came.
    left_alone: u64,
    /// Objects that are gone.
    vanished: u64,
    /// Values that would not open to the same object as what is stored now, or that etcd did not take.
    failed: u64,
    /// The first 10,000 of these.
    failures: Vec<Unreadable>,
}

/// What becomes of one entry.
enum Fate {
    Restored,
    LeftAlone,
    Vanished,
    Failed(Unreadable),
    NotBegun,
}

/// Restores what a run replaced.
pub(super) async fn undo(args: UndoArgs) -> Result<Exit, CommandError> {
    let session = Session::open(&args.connection).await?;
    status::warn_of_silent_plugins(&session);
    let here = session.cluster_uid().await?.ok_or(CommandError::NoUid)?;
    Lines::open(&args.file)?.expect(&UndoHeader::new(&here))?;
    confirm(args.yes, "restore what is as the run left it")?;
    let limits = args.pace.limits();
    let stores = session.stores.iter().map(|named| named.store.clone());
    let stop = stop_on_signals()?;
    let undo = Undo {
        areas: session.areas().await?,
        session: &session,
        paces: session.stores.iter().map(|_| Pace::new(limits)).collect(),
        room: Room::new(stores, Duration::from_secs(args.compaction_wait)),
        stop: Arc::clone(&stop),
        trail: Trail {
            audit: args
                .audit_log
                .as_deref()
                .map(Journal::append_to)
                .transpose()?,
            undo: None,
        },
    };
    let lock = if args.no_lock {
        None
    } else {
        Some(take_lock(&session).await?)
    };
    let all = async {
        tokio::select! {
            report = undo.all(&args.file) => report,
            never = undo.room.watch() => match never {},
        }
    };
    let all = async {
        match lock {
            Some(lock) => under(lock, &stop, all).await,
            None => all.await,
        }
    };
    let report = tokio::select! {
        report = all => report?,
        () = stop.abandoned() => return Ok(Exit::Interrupted),
    };
    report::print(args.output, &report, text).map_err(CommandError::Io)?;
    Ok(match report.failed {
        _ if stop.is_requested() => Exit::Interrupted,
        0 => Exit::Done,
        _ => Exit::Partly,
    })
}

struct Undo<'a> {
    session: &'a Session,
    areas: Areas,
    /// One for each store: what one suffers says nothing about another.
    paces: Vec<Pace>,
    room: Room,
    stop: Arc<Stop>,
    trail: Trail,
}

impl Undo<'_> {
    /// Goes through the file until nothing is left to restore: an object that was rewritten twice goes
    /// back in two steps.
    async fn all(&self, file: &Path) -> Result<UndoReport, CommandError> {
        let mut restored = 0;
        loop {
            let mut report = self.once(Lines::open(file)?).await?;
            restored += report.restored;
            if report.restored == 0 || self.stop.is_requested() {
                report.restored = restored;
                // What went back before is not what the run wrote any more.
                report.left_alone = report.left_alone.saturating_sub(restored);
                return Ok(report);
            }
        }
    }

    async fn once(&self, mut lines: Lines<'_>) -> Result<UndoReport, CommandError> {
        let _header: Option<UndoHeader> = lines.next()?;
        let entries = stream::try_unfold(lines, async |mut lines| {
            if self.stop.is_requested() {
                return Ok(None);
            }
            let entry: Option<UndoEntry> = lines.next()?;
            Ok(entry.map(|entry| (entry, lines)))
        });
        let fates = entries.map_ok(|entry| self.one(entry));
        let in_flight = self.paces.iter().map(Pace::concurrency).sum();
        let mut fates = std::pin::pin!(fates.try_buffer_unordered(in_flight));
        let mut report = UndoReport {
            api_version: API_VERSION,
            kind: "UndoReport",
            restored: 0,
            left_alone: 0,
            vanished: 0,
            failed: 0,
            failures: Vec::new(),
        };
        while let Some(fate) = fates.next().await.transpose()? {
            match fate {
                Fate::Restored => report.restored += 1,
                Fate::LeftAlone => report.left_alone += 1,
                Fate::Vanished => report.vanished += 1,
                Fate::NotBegun => {}
                Fate::Failed(failure) => {
                    report.failed += 1;
                    if report.failures.len() < REPORTED {
                        report.failures.push(failure);
                    }
                }
            }
        }
        Ok(report)
    }

    async fn one(&self, entry: UndoEntry) -> Result<Fate, CommandError> {
        let failed = |error: String| {
            let key = entry.key.clone();
            Ok(Fate::Failed(Unreadable { key, error }))
        };
        let Some((resource, _)) = self.areas.object(entry.key.as_bytes()) else {
            return failed("its key is of no resource of this cluster".to_owned());
        };
        let index = self.session.index_of(&resource);
        let (store, pace) = (&self.session.stores[index].store, &self.paces[index]);
        let record = match store.get(entry.key.as_bytes()).await {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(Fate::Vanished),
            Err(error @ StoreError::OtherKey { .. }) => return failed(error.to_string()),
            Err(error) => return Err(error.into()),
        };
        if !entry.was_replaced_by(&record.value) {
            return Ok(Fate::LeftAlone);
        }
        let Some(value) = entry.value() else {
            return failed("the undo file is damaged here".to_owned());
        };
        let rule = self.session.rule(&resource);
        let old = self.open(&rule, &record.key, &value).await;
        let new = self.open(&rule, &record.key, &record.value).await;
        let (old, new) = match (old, new) {
            (Ok(old), Ok(new)) => (old, new),
            (Err(error), _) | (_, Err(error)) => return failed(error),
        };
        // Nothing but the key may differ.
        if old.plaintext.expose() != new.plaintext.expose() {
            return failed("the value before opens to another object".to_owned());
        }
        let keys = [&new.written_with, &old.written_with];
        let goes_on = || !self.stop.is_requested();
        let lengths = [record.key.len(), value.len()];
        let room = self.room.take(index, lengths, goes_on).await;
        room.map_err(RunError::from)?;
        let permit = pace.permit(lengths.iter().sum());
        let Some(permit) = self.stop.unless_requested(permit).await else {
            return Ok(Fate::NotBegun);
        };
        self.trail.before(&record, keys, &value).await?;
        let sent = permit.sent();
        let put = store
            .compare_and_put(&record.key, record.mod_revision, value, record.lease)
            .await;
        permit.answered(sent, store.strain());
        match put {
            Ok(Put::Done { revision }) => {
                self.trail
                    .after(&record, keys, revision, "restored")
                    .await?;
                Ok(Fate::Restored)
            }
            Ok(Put::Lost(Some(_))) => Ok(Fate::LeftAlone),
            Ok(Put::Lost(None)) => Ok(Fate::Vanished),
            // Of this object alone: its lease has ended, and it with it; or etcd takes no value as large.
            Err(StoreError::LeaseNotFound { .. }) => Ok(Fate::Vanished),
            Err(error @ (StoreError::TooLarge { .. } | StoreError::OtherKey { .. })) => {
                failed(error.to_string())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn open(&self, rule: &Rule, key: &[u8], value: &[u8]) -> Result<Opened, String> {
        let opened = self.session.keys.open(rule, key, value).await;
        opened.map_err(|error| Chain(&error).to_string())
    }
}

fn text(report: &UndoReport) -> String {
    let UndoReport {
        restored,
        left_alone,
        vanished,
        failed,
        failures,
        ..
    } = report;
    let mut text = format!(
        "{restored} restored, {left_alone} written by others or not at all, {vanished} vanished, {failed} failed\n"
    );
    for failure in failures {
        text.push_str(&format!(
            "failed: {}: {}\n",
            OneLine(&failure.key),
            failure.error
        ));
    }
    text
}
