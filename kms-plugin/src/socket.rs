//! The Unix socket: made safely, owned, removed; who may use it, and what is understood on it.

use std::{
    fs::{self, File},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, Gid, Mode, OFlags},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType},
    process::geteuid,
};
use tokio::net::UnixListener;

pub mod authority;
mod incoming;
mod peers;

pub use incoming::{Connection, Incoming};
pub use peers::{Peer, Peers};

/// The longest path that fits into `sockaddr_un`, in bytes (unix(7)), without the zero at its end.
const MAX_PATH_LEN: usize = 107;

/// The settings of the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where it is: absolute.
    pub path: PathBuf,
    /// Its mode bits.
    pub mode: u32,
    /// Its group, if not our own.
    pub group: Option<u32>,
    /// Who may talk to us through it.
    pub peers: Peers,
}

/// A bound socket. Removed when dropped, if it is still ours.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    bound: Bound,
}

/// The file of a socket: unlinked when dropped, if the path still leads to it.
#[derive(Debug)]
struct Bound {
    path: PathBuf,
    inode: (u64, u64),
    // Held, never read: while it lives, nobody else binds this path.
    _lock: File,
}

impl Socket {
    /// Binds the socket: under a lock, under another name, with its final mode and group, and only
    /// then at its path. Nobody ever connects to a socket that is not finished, and a path that does not hold a
    /// dead socket is never touched.
    ///
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// The directory is open to others, the path is taken, or the operating system refuses.
    pub fn bind(config: &Config) -> Result<Self, BindError> {
        let path = &config.path;
        check_directory(path)?;
        let lock = lock(path)?;
        check_vacant(path)?;

        let unfinished = with_suffix(path, ".new");
        if unfinished.as_os_str().len() > MAX_PATH_LEN {
            return Err(BindError::PathTooLong(path.clone()));
        }
        let io = |source| BindError::Io {
            path: path.clone(),
            source,
        };
        // What a crash may have left; the lock says that nobody works on it.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&unfinished).map_err(io)?;
        let metadata = fs::symlink_metadata(&unfinished).map_err(io)?;
        let finish = || {
            if let Some(group) = config.group {
                rustix::fs::chown(&unfinished, None, Some(Gid::from_raw(group)))?;
            }
            fs::set_permissions(&unfinished, fs::Permissions::from_mode(config.mode))?;
            fs::rename(&unfinished, path)
        };
        finish().map_err(io)?;
        Ok(Self {
            listener,
            bound: Bound {
                path: path.clone(),
                inode: (metadata.dev(), metadata.ino()),
                _lock: lock,
            },
        })
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let still_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.inode);
        if still_ours {
            // Best effort: a socket that stays behind is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Checks that nobody but root and ourselves can put anything into the directory of the socket.
///
/// # Errors
/// The directory is missing, belongs to somebody else, or others can write to it.
pub fn check_directory(path: &Path) -> Result<(), BindError> {
    let directory = path.parent().unwrap_or_else(|| Path::new("/"));
    let metadata = match fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => return Err(BindError::NoDirectory(directory.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(BindError::NoDirectory(directory.to_owned()));
        }
        Err(source) => {
            return Err(BindError::Io {
                path: directory.to_owned(),
                source,
            });
        }
    };
    let is_owner_trusted = [0, geteuid().as_raw()].contains(&metadata.uid());
    if !is_owner_trusted || metadata.mode() & 0o022 != 0 {
        return Err(BindError::Directory {
            path: directory.to_owned(),
            uid: metadata.uid(),
            mode: metadata.mode() & 0o7777,
        });
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, BindError> {
    let path = with_suffix(path, ".lock");
    let io = |errno: Errno| BindError::Io {
        path: path.clone(),
        source: errno.into(),
    };
    let file = rustix::fs::open(
        &path,
        OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::RUSR | Mode::WUSR,
    )
    .map_err(io)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file.into()),
        Err(Errno::WOULDBLOCK) => Err(BindError::Locked(path)),
        Err(errno) => Err(io(errno)),
    }
}

/// Whether the path is free, or holds a socket that nobody listens on.
fn check_vacant(path: &Path) -> Result<(), BindError> {
    let io = |source| BindError::Io {
        path: path.to_owned(),
        source,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(BindError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    let address = SocketAddrUnix::new(path.as_os_str().as_bytes())
        .map_err(|_| BindError::PathTooLong(path.to_owned()))?;
    // Not blocking: a live socket with a full backlog would hold us up.
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let probe = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(|errno| io(errno.into()))?;
    match rustix::net::connect(&probe, &address) {
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(()),
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Err(BindError::Live(path.to_owned())),
        Err(errno) => Err(io(errno.into())),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Why the socket was not bound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Somebody else could replace what is in the directory.
    #[error("the directory {} of the socket has mode {mode:04o} and belongs to uid {uid}; it must belong to root or to the user of this process, and nobody else may write to it", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// Its mode.
        mode: u32,
    },
    /// The operating system refused.
    #[error("cannot bind {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// Somebody answers there.
    #[error("another process serves {}; stop it first", .0.display())]
    Live(PathBuf),
    /// Another daemon is starting or running.
    #[error("another kms-plugin holds {}; stop it first", .0.display())]
    Locked(PathBuf),
    /// There is no such directory.
    #[error("there is no directory {}; make it with `install -d -m 0750 {}`", .0.display(), .0.display())]
    NoDirectory(PathBuf),
    /// Something that is no socket.
    #[error("{} exists and is no socket; move it away, or choose another `socket.path`", .0.display())]
    NotASocket(PathBuf),
    /// It would not fit into a socket address.
    #[error("the path {} is too long; at most {} bytes are possible", .0.display(), MAX_PATH_LEN - ".new".len())]
    PathTooLong(PathBuf),
}

#[cfg(test)]
mod tests;
