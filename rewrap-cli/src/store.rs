//! The store: etcd, over its gRPC API, or kine, which speaks a part of it. The only place that
//! speaks to them.
//!
//! * Calls go to the endpoint that answered last and fail over to the others. What only reads is
//!   asked again; a transaction whose answer was lost is never sent again before the key was read.
//! * Every error says what to do next, and [`StoreError::exit_code`] with which code to end.

use std::{fmt, sync::Arc};

mod ask;
mod auth;
mod call;
mod config;
mod connect;
mod error;
mod kine;
mod lock;
mod maintain;
mod put;
mod range;
mod rights;
mod snapshot;
mod status;
mod strain;
mod stream;
mod together;
mod watch;
mod wire;

use auth::Auth;
use call::{Caller, Member};
use wire::etcdserverpb::{RangeRequest, ResponseHeader, kv_client::KvClient};

pub use ask::{Ask, Key};
pub use config::{Login, StoreConfig, TlsFiles};
pub use error::{Causes, StoreError};
pub use lock::Lock;
pub use put::Put;
pub use range::{Page, RangeOptions, Record, key_after, prefix_end};
pub use rights::{Rights, Span};
pub use snapshot::Snapshot;
pub use status::{Concern, EndpointStatus, concerns};
pub use strain::Strain;
pub use stream::RangeStream;
pub use together::{Swap, Together};
pub use watch::{Change, Live, Watch};

/// An open store. Cheap to clone: all clones share the connections and the token.
#[derive(Clone)]
pub struct Store {
    caller: Arc<Caller>,
    kind: Kind,
}

/// What answers at the endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// etcd.
    Etcd,
    /// kine: etcd's API before an SQL database, as far as kube-apiserver needs it.
    Kine,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.caller.members.iter().map(|member| &member.name);
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
        let caller = Arc::new(Caller {
            members,
            auth,
            request_timeout: config.request_timeout,
            quota: config.quota,
            max_reply: config.max_reply,
            preferred: 0.into(),
            setbacks: 0.into(),
            term: 0.into(),
            streams: true.into(),
        });
        let kind = caller.check_endpoints().await?;
        Ok(Self { caller, kind })
    }

    /// What answers.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Reads one page of a range, linearizably. kine reads directories and single keys only.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] where `revision` is gone, [`StoreError::ReplyTooLarge`] where the
    /// page must be smaller, and what any call can meet.
    pub async fn range(&self, options: RangeOptions) -> Result<Page, StoreError> {
        match self.kind {
            Kind::Etcd => self.ask_range(options).await,
            Kind::Kine => self.kine_range(options).await,
        }
    }

    async fn ask_range(&self, options: RangeOptions) -> Result<Page, StoreError> {
        let ask = options.ask();
        let max_reply = options.max_reply(self.caller.max_reply);
        let response = self
            .caller
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

fn revision(header: Option<&ResponseHeader>, ask: &Ask) -> Result<i64, StoreError> {
    let header = header.ok_or_else(|| StoreError::Incomplete {
        ask: ask.clone(),
        part: "its header",
    })?;
    Ok(header.revision)
}
