//! An undo file: who may add to it, and what it holds.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
};

use serde::de::DeserializeOwned;

use super::CommandError;
use crate::{journal::Journal, rewrap::UndoHeader, session::Session};

/// The longest line that may be the first.
const HEADER: u64 = 4096;

/// A file to keep what this run replaces: a new one, or one of other runs over the same cluster.
pub(super) async fn open_undo_file(
    path: &Path,
    session: &Session,
) -> Result<Journal, CommandError> {
    let here = session.cluster_uid().await?.ok_or(CommandError::NoUid)?;
    let header = UndoHeader::new(&here);
    match path.metadata() {
        Ok(found) if found.is_file() && found.len() > 0 => {
            Lines::open(path)?.expect(&header)?;
            Ok(Journal::append_to(path)?)
        }
        _ => {
            let journal = Journal::append_to(path)?;
            journal.append(&header).await?;
            Ok(journal)
        }
    }
}

/// The lines of an undo file.
pub(super) struct Lines<'a> {
    path: &'a Path,
    file: BufReader<File>,
    number: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn open(path: &'a Path) -> Result<Self, CommandError> {
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

    /// Reads the first one, which must be this.
    pub(super) fn expect(&mut self, header: &UndoHeader) -> Result<(), CommandError> {
        let line = self.read(HEADER)?;
        let found: UndoHeader = serde_json::from_slice(&line).map_err(|_| self.damaged())?;
        if found == *header {
            return Ok(());
        }
        Err(CommandError::OtherCluster {
            file: found.cluster_uid,
            here: header.cluster_uid.clone(),
        })
    }

    /// The next one. What has no end was being written when the run was killed: nothing came of it.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, CommandError> {
        let mut line = self.read(u64::MAX)?;
        if line.pop() != Some(b'\n') {
            return Ok(None);
        }
        match serde_json::from_slice(&line) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(self.damaged()),
        }
    }

    /// One line with its end, if it is no longer than that.
    fn read(&mut self, longest: u64) -> Result<Vec<u8>, CommandError> {
        let mut line = Vec::new();
        let read = self
            .file
            .by_ref()
            .take(longest)
            .read_until(b'\n', &mut line);
        read.map_err(|source| CommandError::File {
            path: self.path.to_owned(),
            source,
        })?;
        self.number += 1;
        Ok(line)
    }

    fn damaged(&self) -> CommandError {
        CommandError::NoUndoFile {
            path: self.path.to_owned(),
            line: self.number,
        }
    }
}
