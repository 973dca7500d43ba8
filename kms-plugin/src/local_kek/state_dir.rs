//! What outlives the process: wrapped local KEKs, which of them wraps, when each root last answered. None of it
//! is secret, but for sealed copies, which only their key opens.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::{
    fs::{FlockOperation, flock},
    process::geteuid,
};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{Envelope, KekId, held::MAX_HELD};

const KEKS: &str = "keks";
const SEALED: &str = "sealed";
const CURRENT: &str = "current.json";
const CONTACTS: &str = "contacts.json";
const LOCK: &str = "lock";

/// The directory of one daemon; nobody else works in it while this exists.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: File,
}

/// The local KEK that wraps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Current {
    /// Its id, in hex.
    pub(super) kek: String,
    /// When it was made, as Unix time in seconds.
    pub(super) made_at: u64,
    /// DEK sources that it may have wrapped by now: those since the last time this was written fit in.
    pub(super) uses: u64,
}

impl StateDir {
    /// Takes the directory for this process; makes it if only the last part of its path is missing.
    ///
    /// # Errors
    /// It cannot be made, belongs to somebody else, is open to others, or is another daemon's.
    pub fn open(path: &Path) -> Result<Self, StateDirError> {
        let failed = |source| StateDirError::Io {
            path: path.to_owned(),
            source,
        };
        let make = |path: &Path| match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        };
        make(path).map_err(failed)?;
        let metadata = fs::metadata(path).map_err(failed)?;
        judge(path, &metadata)?;
        make(&path.join(KEKS)).map_err(failed)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join(LOCK))
            .map_err(failed)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| StateDirError::Taken(path.to_owned()))?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Whether [`Self::open`] would take the directory, without making or taking it: a daemon may work in it.
    ///
    /// # Errors
    /// Those of [`Self::open`], as far as they can be seen.
    pub(crate) fn check(path: &Path) -> Result<(), StateDirError> {
        let failed = |source| StateDirError::Io {
            path: path.to_owned(),
            source,
        };
        let (place, is_made) = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = path.parent().unwrap_or_else(|| Path::new("/"));
                (fs::metadata(parent), false)
            }
            found => (found, true),
        };
        let metadata = place.map_err(failed)?;
        if !metadata.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        if is_made {
            judge(path, &metadata)?;
        }
        Ok(())
    }

    /// All wrapped local KEKs that were ever seen here, as far as they are kept: those seen last first.
    pub(super) fn envelopes(&self) -> Vec<Envelope> {
        let mut found: Vec<(SystemTime, PathBuf)> = fs::read_dir(self.path.join(KEKS))
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| !entry.file_name().to_string_lossy().contains('.'))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        for (_, path) in found.drain(found.len().min(MAX_HELD)..) {
            // Kept only to spare a call; whatever needs it brings it along.
            let _ = fs::remove_file(path);
        }
        let read = |path: PathBuf| match fs::read(&path).map(|bytes| Envelope::parse(&bytes)) {
            Ok(Ok(envelope)) => Some(envelope),
            Ok(Err(error)) => {
                warn!(file = %path.display(), %error, "passing over a damaged file");
                None
            }
            Err(error) => {
                warn!(file = %path.display(), %error, "passing over a file that cannot be read");
                None
            }
        };
        found
            .into_iter()
            .filter_map(|(_, path)| read(path))
            .collect()
    }

    /// Keeps a wrapped local KEK.
    pub(super) fn remember(&self, envelope: &Envelope) -> io::Result<()> {
        let name = envelope.id().to_string();
        self.replace(&Path::new(KEKS).join(name), &envelope.to_bytes())
    }

    /// The same, unless one of its id is kept already. Answers the one that is.
    pub(super) fn remember_new(&self, envelope: Envelope) -> io::Result<Envelope> {
        let path = self.path.join(KEKS).join(envelope.id().to_string());
        let kept = fs::read(&path).ok();
        let kept = kept.and_then(|bytes| Envelope::parse(&bytes).ok());
        if let Some(kept) = kept.filter(|kept| kept.id() == envelope.id()) {
            // Those seen last are kept for longest.
            let _ = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
            return Ok(kept);
        }
        self.remember(&envelope)?;
        Ok(envelope)
    }

    /// The local KEK that wrapped last.
    pub(super) fn current(&self) -> Option<Current> {
        self.read_json(CURRENT)
    }

    /// The same, and it as the roots wrapped it.
    pub(super) fn last(&self) -> Option<(Current, Envelope)> {
        let current = self.current()?;
        let bytes = fs::read(self.path.join(KEKS).join(&current.kek)).ok()?;
        Some((current, Envelope::parse(&bytes).ok()?))
    }

    /// Keeps which local KEK wraps.
    pub(super) fn set_current(&self, current: &Current) -> io::Result<()> {
        self.write_json(CURRENT, current)
    }

    /// How long ago each root last answered, by its name. A time to come is taken for now.
    pub fn contacts(&self) -> BTreeMap<String, Duration> {
        let contacts: BTreeMap<String, u64> = self.read_json(CONTACTS).unwrap_or_default();
        let now = unix_now();
        let age = |at: u64| Duration::from_secs(now.saturating_sub(at));
        contacts
            .into_iter()
            .map(|(name, at)| (name, age(at)))
            .collect()
    }

    /// Keeps how long ago each root last answered.
    pub(super) fn set_contacts(&self, contacts: &BTreeMap<String, Duration>) -> io::Result<()> {
        let now = unix_now();
        let at: BTreeMap<_, _> = contacts
            .iter()
            .map(|(name, age)| (name, now.saturating_sub(age.as_secs())))
            .collect();
        self.write_json(CONTACTS, &at)
    }

    /// A sealed copy of a local KEK.
    pub(super) fn sealed(&self, id: KekId) -> Option<Vec<u8>> {
        fs::read(self.path.join(SEALED).join(id.to_string())).ok()
    }

    /// Keeps a sealed copy.
    pub(super) fn seal(&self, id: KekId, sealed: &[u8]) -> io::Result<()> {
        match fs::DirBuilder::new()
            .mode(0o700)
            .create(self.path.join(SEALED))
        {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        self.replace(&Path::new(SEALED).join(id.to_string()), sealed)
    }

    /// Deletes all sealed copies.
    pub(super) fn unlink_sealed(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.path.join(SEALED)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    fn read_json<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Option<T> {
        let path = self.path.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                warn!(file = %path.display(), %error, "passing over a file that cannot be read");
                return None;
            }
        };
        let parsed = serde_json::from_slice(&bytes);
        if let Err(error) = &parsed {
            warn!(file = %path.display(), %error, "passing over a damaged file");
        }
        parsed.ok()
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        self.replace(Path::new(name), &serde_json::to_vec(value)?)
    }

    /// In one step, and on the disk before it returns.
    fn replace(&self, name: &Path, content: &[u8]) -> io::Result<()> {
        let path = self.path.join(name);
        let unfinished = path.with_extension("new");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(path.parent().unwrap_or(&self.path))?.sync_all()
    }
}

/// Nobody else may have a say in it.
fn judge(path: &Path, metadata: &fs::Metadata) -> Result<(), StateDirError> {
    if metadata.uid() != geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
        return Err(StateDirError::Open(path.to_owned()));
    }
    Ok(())
}

/// Unix time in seconds.
pub(super) fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateDirError {
    /// The operating system refused.
    #[error("cannot use {} as `stateDirectory`", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// Others have a say in it.
    #[error("`stateDirectory` {} must belong to the user of this process and be writable by nobody else; run `chmod go-w` on it", .0.display())]
    Open(PathBuf),
    /// Another daemon works in it.
    #[error("`stateDirectory` {} is in use by another kms-plugin; give each its own", .0.display())]
    Taken(PathBuf),
}
