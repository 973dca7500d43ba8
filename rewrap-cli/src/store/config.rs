use std::{fmt, path::PathBuf, time::Duration};

use zeroize::Zeroizing;

/// Where the store is and how to speak to it.
#[derive(Debug)]
pub struct StoreConfig {
    /// `https://HOST:PORT` or `http://HOST:PORT`, all of one cluster. Without a scheme it is https
    /// where TLS files are given, else http. `unix:///PATH` is a socket, `unixs:///PATH` one with
    /// TLS.
    pub endpoints: Vec<String>,
    /// Files for TLS.
    pub tls: TlsFiles,
    /// A user of etcd's own authentication.
    pub login: Option<Login>,
    /// How long a connection may take, TLS included.
    pub connect_timeout: Duration,
    /// How long one request to one endpoint may take.
    pub request_timeout: Duration,
    /// etcd's quota in bytes, where a member does not tell it.
    pub quota: Option<i64>,
    /// The largest answer to be taken, in bytes; a larger one is
    /// [`StoreError::ReplyTooLarge`](super::StoreError::ReplyTooLarge).
    pub max_reply: usize,
}

impl StoreConfig {
    /// These endpoints, with no TLS files and no user; 5 s to connect, 10 s for a request, answers
    /// of up to 64 MiB.
    pub fn new(endpoints: Vec<String>) -> Self {
        Self {
            endpoints,
            tls: TlsFiles::default(),
            login: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            quota: None,
            max_reply: 64 << 20,
        }
    }
}

/// Files for TLS, all PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The CAs that the server's certificate must come from; without it, the system's.
    pub ca: Option<PathBuf>,
    /// Our certificate; goes with `key`.
    pub cert: Option<PathBuf>,
    /// The key of our certificate.
    pub key: Option<PathBuf>,
}

/// A user of etcd's own authentication.
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The password, in UTF-8.
    pub password: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
