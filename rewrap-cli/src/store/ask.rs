use std::fmt;

/// What was asked of etcd, in words that finish "etcd refuses …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// To read one key or more.
    Read {
        /// The first key.
        key: Key,
        /// The first that is not read; empty where one key is read.
        end: Key,
        /// At which revision; 0 is the newest.
        revision: i64,
    },
    /// To write a key.
    Write {
        /// The key.
        key: Key,
        /// The value's length in bytes.
        size: usize,
        /// The lease it carries; 0 is none.
        lease: i64,
    },
    /// To tell of every write.
    Watch {
        /// What the keys begin with.
        prefix: Key,
        /// From which revision on.
        revision: i64,
    },
    /// To grant, keep or revoke the lease of our lock.
    Lease,
    /// To describe itself.
    Status,
    /// To forget old revisions, or to give their space back to the file system.
    Maintain,
    /// To say what a user may do.
    Rights,
    /// To copy its database.
    Snapshot,
    /// To give out a token.
    Login,
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { key, end, .. } if end.0.is_empty() => write!(f, "to read {key}"),
            Self::Read { key, end, .. } => write!(f, "to read {key} up to {end}"),
            Self::Write { key, .. } => write!(f, "to write {key}"),
            Self::Watch { prefix, .. } => write!(f, "to watch {prefix}"),
            Self::Lease => f.write_str("to serve the lease of the lock"),
            Self::Status => f.write_str("to tell its status"),
            Self::Maintain => f.write_str("to compact or to defragment"),
            Self::Rights => f.write_str("to tell the rights of a user"),
            Self::Snapshot => f.write_str("to copy its database"),
            Self::Login => f.write_str("to authenticate a user"),
        }
    }
}

/// A key of etcd, shown as text with escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl Key {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Key {
    fn from(key: &[u8]) -> Self {
        Self(key.into())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}
