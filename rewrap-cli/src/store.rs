//! The store: etcd, over its gRPC API. The only place that speaks it.
//!
//! * Calls go to the endpoint that answered last and fail over to the others. What only reads is
//!   asked again; a transaction whose answer was lost is never sent again before the key was read.
//! * Every error says what to do next, and [`StoreError::exit_code`] with which code to end.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use prost::bytes::Bytes;
use zeroize::Zeroizing;

mod auth;
mod call;
mod connect;
mod error;
mod lock;
mod put;
mod status;
mod wire;

use auth::Auth;
use call::{Caller, Member};
use wire::{
    etcdserverpb::{RangeRequest, RangeResponse, ResponseHeader, kv_client::KvClient},
    mvccpb::KeyValue,
};

pub use error::{Ask, Causes, Key, StoreError};
pub use lock::Lock;
pub use put::Put;
pub use status::EndpointStatus;

/// Where the store is and how to speak to it.
#[derive(Debug)]
pub struct StoreConfig {
    /// `https://HOST:PORT` or `http://HOST:PORT`, all of one cluster. Without a scheme it is https
    /// where TLS files are given, else http.
    pub endpoints: Vec<String>,
    /// Files for TLS.
    pub tls: TlsFiles,
    /// A user of etcd's own authentication.
    pub login: Option<Login>,
    /// How long a connection may take, TLS included.
    pub connect_timeout: Duration,
    /// How long one request to one endpoint may take.
    pub request_timeout: Duration,
    /// The largest answer to be taken, in bytes; a larger one is [`StoreError::ReplyTooLarge`].
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

/// An open store. Cheap to clone: all clones share the connections and the token.
#[derive(Clone)]
pub struct Store(Arc<Caller>);

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.members.iter().map(|member| &member.name);
        f.debug_list().entries(names).finish()
    }
}

impl Store {
    /// Reads the TLS files, connects to every endpoint and authenticates.
    ///
    /// Endpoints that do not answer are passed over as long as one does.
    ///
    /// # Errors
    /// A configuration that cannot work, no endpoint that answers, a refused user, or endpoints of
    /// different clusters.
    pub async fn connect(config: StoreConfig) -> Result<Self, StoreError> {
        let members = connect::members(&config)?;
        let auth = config
            .login
            .map(|login| Auth::new(login.user, &login.password))
            .transpose()?;
        let store = Self(Arc::new(Caller {
            members,
            auth,
            request_timeout: config.request_timeout,
            max_reply: config.max_reply,
            preferred: 0.into(),
        }));
        store.check_endpoints().await?;
        Ok(store)
    }

    /// Reads one page of a range, linearizably.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] where `revision` is gone, [`StoreError::ReplyTooLarge`] where the
    /// page must be smaller, and what any call can meet.
    pub async fn range(&self, options: RangeOptions) -> Result<Page, StoreError> {
        let ask = Ask::Read {
            key: options.key.as_slice().into(),
            end: options.range_end.as_slice().into(),
            revision: options.revision,
        };
        let max_reply = self.0.max_reply;
        let response = self
            .0
            .read(
                &ask,
                RangeRequest::from(options),
                |channel, request| async move {
                    KvClient::new(channel)
                        .max_decoding_message_size(max_reply)
                        .range(request)
                        .await
                },
            )
            .await?;
        Page::from_wire(response, &ask)
    }

    /// Reads one key as it is now.
    ///
    /// # Errors
    /// What any call can meet.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Record>, StoreError> {
        let page = self.range(RangeOptions::one(key)).await?;
        Ok(page.records.into_iter().next())
    }
}

/// What to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeOptions {
    /// The first key.
    pub key: Vec<u8>,
    /// The first key that is not read; empty reads `key` alone.
    pub range_end: Vec<u8>,
    /// The most records to return; 0 is no limit.
    pub limit: i64,
    /// At which revision; 0 is the newest.
    pub revision: i64,
    /// Leave the values out.
    pub keys_only: bool,
    /// Leave the records out.
    pub count_only: bool,
}

impl RangeOptions {
    /// One key, newest revision.
    pub fn one(key: &[u8]) -> Self {
        Self {
            key: key.into(),
            ..Self::default()
        }
    }

    /// All keys that begin with this prefix, newest revision.
    pub fn prefix(prefix: &[u8]) -> Self {
        Self {
            key: prefix.into(),
            range_end: prefix_end(prefix),
            ..Self::default()
        }
    }
}

impl From<RangeOptions> for RangeRequest {
    fn from(options: RangeOptions) -> Self {
        let RangeOptions {
            key,
            range_end,
            limit,
            revision,
            keys_only,
            count_only,
        } = options;
        Self {
            key: key.into(),
            range_end: range_end.into(),
            limit,
            revision,
            keys_only,
            count_only,
        }
    }
}

/// The first key after all that begin with `prefix`: its last byte that can be raised is raised, what
/// follows is cut. Where none can, `\0`, which etcd reads as "to the end".
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.last_mut() {
        if let Some(next) = last.checked_add(1) {
            *last = next;
            return end;
        }
        end.pop();
    }
    vec![0]
}

/// An answer to a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In the order of their keys.
    pub records: Vec<Record>,
    /// Whether the limit cut the range.
    pub more: bool,
    /// How many keys the range has, whatever the limit.
    pub count: i64,
    /// The store's revision when it was read: reading at it again sees the same.
    pub revision: i64,
}

impl Page {
    fn from_wire(response: RangeResponse, ask: &Ask) -> Result<Self, StoreError> {
        Ok(Self {
            revision: revision(response.header.as_ref(), ask)?,
            records: response.kvs.into_iter().map(Record::from).collect(),
            more: response.more,
            count: response.count,
        })
    }
}

/// One key as etcd holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The key.
    pub key: Bytes,
    /// The stored bytes.
    pub value: Bytes,
    /// The revision of its last write.
    pub mod_revision: i64,
    /// The revision that created it.
    pub create_revision: i64,
    /// The lease that deletes it when it ends; 0 is none. To be carried by every write.
    pub lease: i64,
}

impl From<KeyValue> for Record {
    fn from(kv: KeyValue) -> Self {
        let KeyValue {
            key,
            create_revision,
            mod_revision,
            version: _,
            value,
            lease,
        } = kv;
        Self {
            key,
            value,
            mod_revision,
            create_revision,
            lease,
        }
    }
}

fn revision(header: Option<&ResponseHeader>, ask: &Ask) -> Result<i64, StoreError> {
    let header = header.ok_or_else(|| StoreError::Incomplete {
        ask: ask.clone(),
        part: "its header",
    })?;
    Ok(header.revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_its_successor() {
        assert_eq!(prefix_end(b"/registry/secrets/"), b"/registry/secrets0");
        assert_eq!(prefix_end(b"a\xff\xff"), b"b");
        assert_eq!(prefix_end(b"\xff"), b"\0");
        assert_eq!(prefix_end(b""), b"\0");
    }
}
