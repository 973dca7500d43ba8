use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::StreamExt as _;
use prost::bytes::Bytes;
use tokio::time::Instant;
use tonic::{Request, Streaming, metadata::MetadataValue};

use super::{
    Ask, Record, Store, StoreError,
    call::{Fault, fault},
    prefix_end,
    wire::{
        etcdserverpb::{
            WatchCreateRequest, WatchRequest, WatchResponse, watch_client::WatchClient,
            watch_request::RequestUnion,
        },
        mvccpb::{Event, event::EventType},
    },
};

/// Between the end of a stream and the next.
const PAUSE: Duration = Duration::from_millis(100);

/// A write that a [`Watch`] saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A key was created or changed.
    Put(Record),
    /// A key was deleted, by a client or with its lease.
    Deleted {
        /// The key.
        key: Bytes,
        /// The revision that deleted it.
        revision: i64,
    },
}

/// All writes to the keys under a prefix, in the order of their revisions.
///
/// Where the connection or the member is lost it goes on at another one where it was: no write is
/// left out or told twice.
pub struct Watch {
    store: Store,
    prefix: Vec<u8>,
    /// The first revision that was not told yet.
    next: i64,
    stream: Option<Streaming<WatchResponse>>,
    live: Live,
}

/// Since when a [`Watch`] has been open without a break; nothing where it is not.
#[derive(Debug, Clone, Default)]
pub struct Live(Arc<Mutex<Option<Instant>>>);

impl Live {
    /// Since when.
    pub fn since(&self) -> Option<Instant> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("prefix", &self.prefix.escape_ascii().to_string())
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Tells every write under the prefix from this revision on.
    ///
    /// # Panics
    /// If the prefix does not end in `/`, or the revision is not positive.
    pub fn watch(&self, prefix: &[u8], from_revision: i64) -> Watch {
        assert!(
            prefix.ends_with(b"/") && from_revision > 0,
            "a watch begins at a directory and a revision"
        );
        Watch {
            store: self.clone(),
            prefix: prefix.to_vec(),
            next: from_revision,
            stream: None,
            live: Live::default(),
        }
    }
}

impl Watch {
    /// What tells whether it is open.
    pub fn live(&self) -> Live {
        self.live.clone()
    }

    /// Waits for the next writes: one or more.
    ///
    /// It may be dropped while it waits and called again; nothing is lost by that.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] where the next revision is gone, and what any call can meet.
    pub async fn next(&mut self) -> Result<Vec<Change>, StoreError> {
        loop {
            let stream = match &mut self.stream {
                Some(stream) => stream,
                none => none.insert(open(&self.store, &self.prefix, self.next).await?),
            };
            let ask = ask(&self.prefix, self.next);
            let response = match stream.message().await {
                Ok(Some(response)) => response,
                Ok(None) => {
                    self.again().await;
                    continue;
                }
                Err(status) => match fault(&status, &ask, self.store.caller.max_reply) {
                    Fault::Answered(error) => return Err(error),
                    Fault::NotDone(_) | Fault::InDoubt(_) | Fault::Cut(_) => {
                        self.again().await;
                        continue;
                    }
                },
            };
            self.live.lock().get_or_insert_with(Instant::now);
            if response.canceled || response.compact_revision > 0 {
                return Err(refusal(&response, ask, self.next));
            }
            let mut changes = Vec::new();
            for event in response.events {
                let change = Change::from_wire(event).ok_or_else(|| StoreError::Incomplete {
                    ask: ask.clone(),
                    part: "the key of an event",
                })?;
                // All events of a revision come in one response.
                self.next = self.next.max(change.revision() + 1);
                changes.push(change);
            }
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }
}

impl Watch {
    /// The member ends or has lost its leader: another stream is opened, after a pause in case
    /// that one ends likewise.
    async fn again(&mut self) {
        self.stream = None;
        *self.live.lock() = None;
        tokio::time::sleep(PAUSE).await;
    }
}

impl Change {
    fn from_wire(event: Event) -> Option<Self> {
        let deleted = event.r#type() == EventType::Delete;
        let kv = event.kv?;
        Some(if deleted {
            Self::Deleted {
                key: kv.key,
                revision: kv.mod_revision,
            }
        } else {
            Self::Put(kv.into())
        })
    }

    fn revision(&self) -> i64 {
        match self {
            Self::Put(record) => record.mod_revision,
            Self::Deleted { revision, .. } => *revision,
        }
    }
}

async fn open(
    store: &Store,
    prefix: &[u8],
    from: i64,
) -> Result<Streaming<WatchResponse>, StoreError> {
    let request = WatchCreateRequest {
        key: Bytes::copy_from_slice(prefix),
        range_end: prefix_end(prefix).into(),
        start_revision: from,
    };
    let max_reply = store.caller.max_reply;
    store
        .caller
        .read(
            &ask(prefix, from),
            request,
            |channel, mut request: Request<WatchCreateRequest>| async move {
                // Else a member that is cut off from the others is silent for ever
                // (`go.etcd.io/etcd/api/v3/v3rpc/rpctypes/metadatafields.go`).
                request
                    .metadata_mut()
                    .insert("hasleader", MetadataValue::from_static("true"));
                // The server ends the watch where our side of the stream ends.
                let create = request.map(|create| {
                    let request_union = Some(RequestUnion::CreateRequest(create));
                    tokio_stream::once(WatchRequest { request_union })
                        .chain(tokio_stream::pending())
                });
                WatchClient::new(channel)
                    .max_decoding_message_size(max_reply)
                    .watch(create)
                    .await
            },
        )
        .await
}

fn ask(prefix: &[u8], revision: i64) -> Ask {
    Ask::Watch {
        prefix: prefix.into(),
        revision,
    }
}

fn refusal(response: &WatchResponse, ask: Ask, revision: i64) -> StoreError {
    if response.compact_revision > 0 {
        return StoreError::Compacted { revision };
    }
    let reason = &response.cancel_reason;
    if reason.contains("permission denied") {
        return StoreError::Denied { ask };
    }
    StoreError::Refused {
        ask,
        code: tonic::Code::Cancelled,
        message: reason.clone(),
    }
}
