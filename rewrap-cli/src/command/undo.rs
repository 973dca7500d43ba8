//! `rewrap undo`.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kms_proto::inventory::{API_VERSION, Unreadable};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    CommandError, Exit,
    run::{confirm, release, take_lock},
    status,
};
use crate::{
    area::Areas,
    chain::Chain,
    cli::UndoArgs,
    journal::Journal,
    pace::Pace,
    printable::OneLine,
    report,
    rewrap::{Trail, UndoEntry, UndoHeader},
    session::Session,
    store::Put,
    stored::{Opened, Rule},
};

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
    /// Values that would not open to the same object as what is stored now.
    failures: Vec<Unreadable>,
}

/// What becomes of one entry.
enum Fate {
    Restored,
    LeftAlone,
    Vanished,
    Failed(Unreadable),
}

/// Restores what a run replaced.
pub(super) async fn undo(args: UndoArgs) -> Result<Exit, CommandError> {
    let session = Session::open(&args.connection).await?;
    status::warn_of_silent_plugins(&session);
    let mut lines = Lines::open(&args.file)?;
    let header: UndoHeader = lines.next()?.ok_or_else(|| lines.damaged())?;
    let here = session.cluster_uid().await?.ok_or(CommandError::NoUid)?;
    if header != UndoHeader::new(&here) {
        let file = header.cluster_uid;
        return Err(CommandError::OtherCluster { file, here });
    }
    confirm(args.yes, "restore what is as the run left it")?;
    let limits = args.pace.limits();
    let undo = Undo {
        areas: session.areas().await?,
        session: &session,
        paces: session.stores.iter().map(|_| Pace::new(limits)).collect(),
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
    let report = undo.all(&args.file).await;
    if let Some(lock) = lock {
        release(lock).await;
    }
    let report = report?;
    report::print(args.output, &report, text).map_err(CommandError::Io)?;
    Ok(if report.failures.is_empty() {
        Exit::Done
    } else {
        Exit::Partly
    })
}

struct Undo<'a> {
    session: &'a Session,
    areas: Areas,
    /// One for each store: what one suffers says nothing about another.
    paces: Vec<Pace>,
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
            if report.restored == 0 {
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
            failures: Vec::new(),
        };
        while let Some(fate) = fates.next().await.transpose()? {
            match fate {
                Fate::Restored => report.restored += 1,
                Fate::LeftAlone => report.left_alone += 1,
                Fate::Vanished => report.vanished += 1,
                Fate::Failed(failure) => report.failures.push(failure),
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
        let Some(record) = store.get(entry.key.as_bytes()).await? else {
            return Ok(Fate::Vanished);
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
        let permit = pace.permit(record.key.len() + value.len()).await;
        self.trail.before(&record, keys, &value).await?;
        let sent = permit.sent();
        let put = store
            .compare_and_put(&record.key, record.mod_revision, value, record.lease)
            .await;
        permit.answered(sent, store.strain());
        match put? {
            Put::Done { revision } => {
                self.trail
                    .after(&record, keys, revision, "restored")
                    .await?;
                Ok(Fate::Restored)
            }
            Put::Lost(Some(_)) => Ok(Fate::LeftAlone),
            Put::Lost(None) => Ok(Fate::Vanished),
        }
    }

    async fn open(&self, rule: &Rule, key: &[u8], value: &[u8]) -> Result<Opened, String> {
        let opened = self.session.keys.open(rule, key, value).await;
        opened.map_err(|error| Chain(&error).to_string())
    }
}

/// The lines of an undo file.
struct Lines<'a> {
    path: &'a Path,
    file: BufReader<File>,
    number: usize,
}

impl<'a> Lines<'a> {
    fn open(path: &'a Path) -> Result<Self, CommandError> {
        let file = File::open(path).map_err(|source| CommandError::File {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path,
            file: BufReader::new(file),
            number: 0,
        })
    }

    /// The next one. What has no end was being written when the run was killed: nothing came of it.
    fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, CommandError> {
        let mut line = Vec::new();
        self.file
            .read_until(b'\n', &mut line)
            .map_err(|source| CommandError::File {
                path: self.path.to_owned(),
                source,
            })?;
        self.number += 1;
        if line.pop() != Some(b'\n') {
            return Ok(None);
        }
        match serde_json::from_slice(&line) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(self.damaged()),
        }
    }

    fn damaged(&self) -> CommandError {
        CommandError::NoUndoFile {
            path: self.path.to_owned(),
            line: self.number,
        }
    }
}

fn text(report: &UndoReport) -> String {
    let UndoReport {
        restored,
        left_alone,
        vanished,
        failures,
        ..
    } = report;
    let mut text = format!(
        "{restored} restored, {left_alone} written by others or not at all, {vanished} vanished, {} failed\n",
        failures.len()
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
