//! Reading files that hold secrets or say who may have them.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags},
    process::geteuid,
};
use zeroize::Zeroizing;

/// Reads a whole file on which others have no say: a regular file of root's or our own, none of
/// whose `forbidden` mode bits is set, of at most `max_len` bytes.
///
/// The file is judged after it was opened, so nothing can be put in its place between the two.
///
/// # Errors
/// The rule that it breaks, or why it cannot be read.
pub fn read(path: &Path, forbidden: u32, max_len: u64) -> Result<Zeroizing<Vec<u8>>, ReadError> {
    let io = |source| ReadError::Io {
        path: path.to_owned(),
        source,
    };
    // Without NONBLOCK, opening a pipe would wait for its other end.
    let fd = rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY,
        Mode::empty(),
    )
    .map_err(|errno| io(errno.into()))?;
    let file = File::from(fd);
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(ReadError::NotAFile(path.to_owned()));
    }
    if metadata.uid() != 0 && metadata.uid() != geteuid().as_raw() {
        return Err(ReadError::Owner {
            path: path.to_owned(),
            uid: metadata.uid(),
        });
    }
    if metadata.mode() & forbidden != 0 {
        return Err(ReadError::Mode {
            path: path.to_owned(),
            mode: metadata.mode() & 0o7777,
            allowed: 0o666 & !forbidden,
        });
    }

    // One allocation that never grows: a grown buffer would leave copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(max_len as usize + 1));
    file.take(max_len + 1)
        .read_to_end(&mut content)
        .map_err(io)?;
    if content.len() as u64 > max_len {
        return Err(ReadError::TooLong {
            path: path.to_owned(),
            max_len,
        });
    }
    Ok(content)
}

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The operating system refused.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// Others may read or write it.
    #[error("{} has mode {mode:04o} and is open to others; run `chmod {allowed:04o}` on it", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The widest mode that is accepted.
        allowed: u32,
    },
    /// A directory, a pipe, a device or a socket.
    #[error("{} is no regular file", .0.display())]
    NotAFile(PathBuf),
    /// It belongs to somebody else.
    #[error("{} belongs to uid {uid}; it must belong to root or to the user of this process", path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// Longer than anything it could hold.
    #[error("{} is longer than {max_len} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        max_len: u64,
    },
}
