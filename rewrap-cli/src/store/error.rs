use std::{fmt, io, path::PathBuf};

use super::{Ask, Key};

/// Why the store could not be opened or did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// An endpoint is no address of etcd.
    #[error(
        "the etcd endpoint {endpoint:?} {reason}; write it as https://HOST:PORT or unix:///PATH"
    )]
    Endpoint {
        /// As it was given.
        endpoint: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A certificate or key file could not be read.
    #[error("cannot read {path}; see that it exists and that this user may read it")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The certificate or key files hold no usable PEM.
    #[error(
        "the TLS files for etcd cannot be used; check that --cacert, --cert and --key are PEM and that the key belongs to the certificate"
    )]
    TlsFiles(#[source] tonic::transport::Error),
    /// A client certificate without its key, or the reverse.
    #[error("a client certificate for etcd needs its key: give --cert and --key together")]
    HalfIdentity,
    /// TLS files beside an endpoint in plain text: they would silently not be used.
    #[error(
        "TLS files are given, but the etcd endpoint {0} is without TLS; write it as https:// or unixs://, or leave the files out"
    )]
    TlsOverHttp(String),
    /// A user beside a store that has none.
    #[error(
        "a user is given, but what answers is kine, which knows no users; leave --user and --password-file out"
    )]
    NoUsers,
    /// The password is no text, so etcd cannot have it.
    #[error("the password of the etcd user is not UTF-8; check the password file")]
    Password,
    /// The endpoints belong to more than one cluster.
    #[error(
        "the etcd endpoints belong to different clusters ({0}); give the endpoints of one cluster"
    )]
    DifferentClusters(String),
    /// No endpoint answered.
    #[error(
        "no etcd endpoint answers: {0}; check --endpoints, that etcd runs there, and that nothing blocks the way"
    )]
    Unreachable(Causes),
    /// TLS was refused by one side.
    #[error(
        "etcd cannot be reached over TLS: {0}; check --cacert against the server's certificate, and --cert and --key against the CA that etcd trusts"
    )]
    Tls(Causes),
    /// The user or the password is wrong.
    #[error("etcd refuses the user {user:?} or its password; check --user and the password file")]
    Login {
        /// The user's name.
        user: String,
    },
    /// Authentication is on, and neither a user nor a certificate names one.
    #[error(
        "etcd wants a user; give --user and --password-file, or a client certificate that names one"
    )]
    NoLogin,
    /// The user may not do this.
    #[error("etcd does not permit this user {ask}; grant its role that range")]
    Denied {
        /// What was asked for.
        ask: Ask,
    },
    /// The database has reached its quota: etcd takes no writes until an operator helps it.
    #[error(
        "etcd's database is full (NOSPACE alarm), so it takes no writes; compact, defragment, raise --quota-backend-bytes if need be, disarm the alarm, and run this again"
    )]
    NoSpace,
    /// The revision that was to be read is gone.
    #[error("revision {revision} has been compacted away; read at a newer one")]
    Compacted {
        /// The revision that was asked for.
        revision: i64,
    },
    /// The value is more than etcd takes in one request.
    #[error(
        "{key} with a value of {size} bytes is more than etcd takes in one request (--max-request-bytes, 1.5 MiB by default); raise that limit on etcd"
    )]
    TooLarge {
        /// The key.
        key: Key,
        /// The value's length in bytes.
        size: usize,
    },
    /// An answer is more than [`StoreConfig::max_reply`](super::StoreConfig::max_reply); ask for fewer keys.
    #[error("etcd's answer has more than {limit} bytes; ask for fewer keys at once")]
    ReplyTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The lease to be carried has ended, and with it every key it held.
    #[error("the lease {lease:x} has ended, and its keys with it; read the key again")]
    LeaseNotFound {
        /// The lease.
        lease: i64,
    },
    /// One key was asked for and another came, as from a kine that compares with SQL's `LIKE`.
    #[error(
        "{got} came when {asked} was asked for: this kine reads _ as any character and takes no notice of case, so nobody can write that object; a newer kine can"
    )]
    OtherKey {
        /// The key that was asked for.
        asked: Key,
        /// The key that came.
        got: Key,
    },
    /// Keys that are not in order, or that were not asked for: reading on would pass some over.
    #[error(
        "the answer to a request {ask} is not in the order of bytes, or holds other keys; is the database behind kine set to compare names byte by byte?"
    )]
    Disorder {
        /// What was asked for.
        ask: Ask,
    },
    /// A walk delivered another number of keys than the store counts at the same revision.
    #[error(
        "reading {prefix} at revision {revision} gave {read} keys, but the store counts {counted}; do not trust what was read, and see whether the database is sound"
    )]
    Miscounted {
        /// What all keys begin with.
        prefix: Key,
        /// The revision.
        revision: i64,
        /// How many were delivered.
        read: i64,
        /// How many there are.
        counted: i64,
    },
    /// The store did not write although nobody else had, as kine answers where its database fails.
    #[error(
        "{key} was not written, although nobody else has written it; see the log of kine, and whether the disk of its database is full"
    )]
    NotWritten {
        /// The key.
        key: Key,
    },
    /// The server does not know the method (kine serves a part of etcd's API).
    #[error("this server does not support {ask}; it may be no etcd")]
    Unsupported {
        /// What was asked for.
        ask: Ask,
    },
    /// Somebody else holds the lock.
    #[error(
        "another rewrap holds the lock {key}: {holder}; wait for it to end, or up to {ttl} seconds after it was killed"
    )]
    Locked {
        /// The lock's key.
        key: Key,
        /// What its holder wrote there.
        holder: String,
        /// How long the lock outlives a holder that was killed, in seconds.
        ttl: u64,
    },
    /// Anything else that etcd answered.
    #[error("etcd refuses {ask}: {message} ({code:?})")]
    Refused {
        /// What was asked for.
        ask: Ask,
        /// The gRPC code.
        code: tonic::Code,
        /// etcd's words.
        message: String,
    },
    /// An answer that breaks etcd's contract.
    #[error("etcd's answer to {ask} lacks {part}; is something between it and us?")]
    Incomplete {
        /// What was asked for.
        ask: Ask,
        /// What is not there.
        part: &'static str,
    },
}

impl StoreError {
    /// The exit code of a command that ends with this: 3 where the configuration is at fault, 4
    /// where etcd cannot be reached or refuses the user, 5 where the lock is held, else 2.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Endpoint { .. }
            | Self::File { .. }
            | Self::TlsFiles(_)
            | Self::HalfIdentity
            | Self::TlsOverHttp(_)
            | Self::NoUsers
            | Self::Password
            | Self::DifferentClusters(_) => 3,
            Self::Unreachable(_)
            | Self::Tls(_)
            | Self::Login { .. }
            | Self::NoLogin
            | Self::Denied { .. } => 4,
            Self::Locked { .. } => 5,
            Self::NoSpace
            | Self::Compacted { .. }
            | Self::TooLarge { .. }
            | Self::ReplyTooLarge { .. }
            | Self::LeaseNotFound { .. }
            | Self::OtherKey { .. }
            | Self::Disorder { .. }
            | Self::Miscounted { .. }
            | Self::NotWritten { .. }
            | Self::Unsupported { .. }
            | Self::Refused { .. }
            | Self::Incomplete { .. } => 2,
        }
    }
}

/// What went wrong at each endpoint, in the order they were tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Causes(Vec<(String, String)>);

impl Causes {
    /// Endpoint and cause; an endpoint that failed more than once stands here with its last cause.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(endpoint, cause)| (endpoint.as_str(), cause.as_str()))
    }

    pub(super) fn add(&mut self, endpoint: &str, cause: String) {
        match self.0.iter_mut().find(|(known, _)| known == endpoint) {
            Some((_, last)) => *last = cause,
            None => self.0.push((endpoint.to_owned(), cause)),
        }
    }

    /// The error they amount to: a TLS refusal is never hidden behind an endpoint that is merely down.
    pub(super) fn into_error(self) -> StoreError {
        if self.0.iter().any(|(_, cause)| is_tls_refusal(cause)) {
            StoreError::Tls(self)
        } else {
            StoreError::Unreachable(self)
        }
    }
}

impl fmt::Display for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (endpoint, cause)) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{endpoint}: {cause}")?;
        }
        Ok(())
    }
}

/// How a client certificate that is refused, or missing, may show.
pub(super) const CUT_AFTER_HANDSHAKE: &str =
    "right after the TLS handshake, as where the server refuses or misses a client certificate";

/// rustls' words for a certificate that we refuse, one that the server refuses, and a server that
/// speaks no TLS. Its error type does not survive the way through HTTP/2, so the words are what is left.
fn is_tls_refusal(cause: &str) -> bool {
    [
        "invalid peer certificate",
        "received fatal alert",
        "received corrupt message",
        "tls handshake eof",
        CUT_AFTER_HANDSHAKE,
    ]
    .iter()
    .any(|words| cause.contains(words))
}
