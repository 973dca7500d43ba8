//! `--snapshot-before`: a copy of etcd from before the first write.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use kms_proto::inventory::SnapshotFile;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use sha2::{Digest as _, Sha256};

use crate::{
    command::CommandError,
    journal::{self, sync_folder},
    report::bytes,
    session::{NamedStore, Session},
    store::{Kind, Snapshot, StoreError},
};

/// The SHA-256 behind the database.
const HASH: usize = 32;

/// The database is written in whole blocks of a disk (`go.etcd.io/etcd/etcdutl/v3/snapshot`).
const BLOCK: u64 = 512;

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Something is there.
    #[error("{} exists; give --snapshot-before another name; nothing was written to etcd", .0.display())]
    Exists(PathBuf),
    /// kine has none.
    #[error(
        "kine gives no snapshot; back up its database with the database's own tool, and leave \
         --snapshot-before out; nothing was written to etcd"
    )]
    Kine,
    /// The file cannot be written.
    #[error("cannot write the snapshot {}; nothing was written to etcd", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What came is not what etcd sent.
    #[error(
        "the snapshot {} is damaged or incomplete: {why}; it was thrown away, and nothing was written \
         to etcd; try again",
        path.display()
    )]
    Damaged {
        /// The file that was to be.
        path: PathBuf,
        /// What shows it.
        why: &'static str,
    },
    /// etcd does not give it.
    #[error(
        "no snapshot from etcd, so nothing was written to it; where its authentication is on, only \
         root may have one: take it with `etcdctl snapshot save` and leave --snapshot-before out"
    )]
    Store(#[source] StoreError),
}

/// Refuses what cannot end in a snapshot, before anything else is done.
pub(super) fn refuse(session: &Session, path: &Path) -> Result<(), SnapshotError> {
    if session.has_kine() {
        return Err(SnapshotError::Kine);
    }
    for (_, path) in files(session, path) {
        if path.symlink_metadata().is_ok() {
            return Err(SnapshotError::Exists(path));
        }
    }
    Ok(())
}

/// Copies every etcd of the session and says where to.
pub(super) async fn take(
    session: &Session,
    path: &Path,
) -> Result<Vec<SnapshotFile>, CommandError> {
    let mut taken = Vec::new();
    for (store, path) in files(session, path) {
        let snapshot = store.store.snapshot().await.map_err(SnapshotError::Store)?;
        let file = save(store, snapshot, path).await?;
        eprintln!(
            "snapshot: {}, {}, every write up to revision {}",
            file.path,
            bytes(file.bytes),
            file.revision
        );
        taken.push(file);
    }
    Ok(taken)
}

/// Where each etcd goes: the default one to `path`, those of overrides to `path.1` and so on.
fn files<'a>(
    session: &'a Session,
    path: &'a Path,
) -> impl Iterator<Item = (&'a NamedStore, PathBuf)> {
    session.stores.iter().enumerate().map(|(index, store)| {
        debug_assert!(store.store.kind() == Kind::Etcd, "kine was refused");
        let path = match index {
            0 => path.to_owned(),
            more => with_suffix(path, &format!(".{more}")),
        };
        (store, path)
    })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Writes beside the file and gives it its name when all of it is on the disk and proved: what bears
/// the name is whole.
async fn save(
    store: &NamedStore,
    snapshot: Snapshot<'_>,
    path: PathBuf,
) -> Result<SnapshotFile, SnapshotError> {
    let partial = with_suffix(&path, ".partial");
    let failed = |source| SnapshotError::File {
        path: path.clone(),
        source,
    };
    // Whoever was killed while writing left it.
    journal::remove(&partial).map_err(failed)?;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&partial)
        .map_err(failed)?;
    let revision = snapshot.revision;
    let saved = match copy(snapshot, &file, &path).await {
        Ok(saved) => file.sync_all().map(|()| saved).map_err(failed),
        Err(error) => Err(error),
    };
    let named = saved.and_then(|saved| {
        // Never over a file that came meanwhile.
        renameat_with(CWD, &partial, CWD, &path, RenameFlags::NOREPLACE)
            .map_err(io::Error::from)
            .and_then(|()| sync_folder(&path))
            .map_err(failed)?;
        Ok(saved)
    });
    let (bytes, hash) = match named {
        Ok(saved) => saved,
        Err(error) => {
            // The cause is worth more than what may be left of the attempt.
            let _ = fs::remove_file(&partial);
            return Err(error);
        }
    };
    Ok(SnapshotFile {
        store: store.name.clone(),
        path: path.display().to_string(),
        revision,
        bytes,
        sha256: hex::encode(hash),
    })
}

/// Copies the stream and holds it against the hash at its end; gives the length and that hash.
async fn copy(
    mut snapshot: Snapshot<'_>,
    mut file: &File,
    path: &Path,
) -> Result<(u64, [u8; HASH]), SnapshotError> {
    let mut hash = TrailingHash::default();
    while let Some(part) = snapshot.next().await.map_err(SnapshotError::Store)? {
        hash.update(&part);
        file.write_all(&part)
            .map_err(|source| SnapshotError::File {
                path: path.to_owned(),
                source,
            })?;
    }
    hash.check().map_err(|why| SnapshotError::Damaged {
        path: path.to_owned(),
        why,
    })
}

/// Hashes all but the last 32 bytes of what it is shown.
#[derive(Default)]
struct TrailingHash {
    hash: Sha256,
    length: u64,
    tail: Vec<u8>,
}

impl TrailingHash {
    fn update(&mut self, part: &[u8]) {
        self.length += part.len() as u64;
        self.tail.extend_from_slice(part);
        let behind = self.tail.len().saturating_sub(HASH);
        self.hash.update(&self.tail[..behind]);
        self.tail.drain(..behind);
    }

    fn check(self) -> Result<(u64, [u8; HASH]), &'static str> {
        let Ok(told) = <[u8; HASH]>::try_from(self.tail) else {
            return Err("it is empty");
        };
        let database = self.length - HASH as u64;
        if database == 0 || !database.is_multiple_of(BLOCK) {
            return Err("its end is missing");
        }
        if self.hash.finalize()[..] != told {
            return Err("the SHA-256 at its end is of something else");
        }
        Ok((self.length, told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], part: usize) -> Result<u64, &'static str> {
        let mut hash = TrailingHash::default();
        for part in bytes.chunks(part) {
            hash.update(part);
        }
        hash.check().map(|(length, _)| length)
    }

    #[test]
    fn what_is_damaged_or_cut_off_is_seen_however_it_is_cut() {
        let database = [7; 1024];
        let whole = [&database[..], &Sha256::digest(database)[..]].concat();
        for part in [1, 31, 32, 33, 512, 4096] {
            assert_eq!(check(&whole, part), Ok(1056));
            for end in [1, 16, 31, 33, 544, 1000] {
                assert!(check(&whole[..whole.len() - end], part).is_err(), "{end}");
            }
            for at in [0, 600, 1023, 1024, 1055] {
                let mut damaged = whole.clone();
                damaged[at] ^= 1;
                assert!(check(&damaged, part).is_err(), "{at}");
            }
        }
        assert!(check(&[], 1).is_err());
        assert!(check(&Sha256::digest(b""), 1).is_err());
    }
}
