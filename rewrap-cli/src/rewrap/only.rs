//! A run over named objects: what another run could not bring to the current key.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{Rewrap, RunError};
use crate::{area::Content, progress::RunProgress};

/// The most keys that are taken: with more of them a run over everything is as quick, and memory is
/// bounded.
pub const MOST_KEYS: usize = 100_000;

/// How many are worked on before the KMS provider is asked again whether its key is the same.
const TOGETHER: usize = 1000;

/// The etcd keys of the objects that are meant.
#[derive(Debug)]
pub struct OnlyKeys(BTreeSet<Vec<u8>>);

/// A line of the file; it may have more fields, such as why the object failed.
#[derive(Deserialize)]
struct Line {
    key: String,
}

/// Why a file tells no keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnlyKeysError {
    /// It cannot be read.
    #[error("cannot read the keys in {}; nothing was written", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line of it names no key.
    #[error(
        "{} names no etcd key in line {line}: it has lines like {{\"key\": \"/registry/secrets/default/a\"}}; \
         nothing was written",
        path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
        /// Where that shows.
        line: usize,
    },
    /// Too many, or none.
    #[error(
        "{} names {}; leave --only-keys out to go through everything; nothing was written",
        path.display(),
        if *empty { "no key" } else { "more than 100,000 keys" }
    )]
    Count {
        /// The file.
        path: PathBuf,
        /// Whether there are none.
        empty: bool,
    },
}

impl OnlyKeys {
    /// Reads JSON lines with a `key`.
    ///
    /// # Errors
    /// It cannot be read, or tells something else.
    pub fn read(path: &Path) -> Result<Self, OnlyKeysError> {
        let failed = |source| OnlyKeysError::Read {
            path: path.to_owned(),
            source,
        };
        let count = |empty| OnlyKeysError::Count {
            path: path.to_owned(),
            empty,
        };
        let file = File::open(path).map_err(failed)?;
        let mut keys = BTreeSet::new();
        for (index, line) in BufReader::new(file).split(b'\n').enumerate() {
            let line: Line = serde_json::from_slice(&line.map_err(failed)?).map_err(|_| {
                OnlyKeysError::NoKey {
                    path: path.to_owned(),
                    line: index + 1,
                }
            })?;
            keys.insert(line.key.into_bytes());
            if keys.len() > MOST_KEYS {
                return Err(count(false));
            }
        }
        if keys.is_empty() {
            return Err(count(true));
        }
        Ok(Self(keys))
    }

    pub(super) fn contains(&self, key: &[u8]) -> bool {
        self.0.contains(key)
    }
}

impl Rewrap<'_> {
    /// Goes over the named objects that are in scope; those that are gone count as vanished.
    pub(super) async fn only(
        &self,
        only: &OnlyKeys,
        progress: &RunProgress,
    ) -> Result<(), RunError> {
        let keys: Vec<_> = only.0.iter().collect();
        for keys in keys.chunks(TOGETHER) {
            for area in self.areas.iter() {
                let (Content::Objects { .. }, Some(path)) =
                    (&area.content, self.options.scope.path(area))
                else {
                    continue;
                };
                for key in keys.iter().filter(|key| key.starts_with(path.as_bytes())) {
                    self.defer(area, key, false);
                }
            }
            self.revisit(progress).await?;
        }
        Ok(())
    }
}
