use std::{fmt, time::Duration};

use prost::bytes::Bytes;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout_at},
};
use tonic::{Request, Response};

use super::{
    Ask, Kind, Put, Store, StoreError,
    wire::etcdserverpb::{
        LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, lease_client::LeaseClient,
    },
};

/// How often a key that keeps changing is looked at before it is left to its end, and how far apart: a
/// busy SQL database fails a delete as if somebody else had written the key.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// The lock that keeps two runs apart: a key that ends by itself unless it is kept, as it is while
/// this lives.
///
/// [`Lock::release`] gives it back at once. Dropping it does so too where a runtime still runs;
/// else, and after a kill, it ends by itself.
pub struct Lock {
    store: Store,
    hold: Hold,
    keeper: JoinHandle<()>,
    lost: watch::Receiver<bool>,
    released: bool,
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("hold", &self.hold)
            .finish_non_exhaustive()
    }
}

/// What makes the key of a lock end by itself.
#[derive(Debug, Clone)]
enum Hold {
    /// On etcd: a lease, which is kept alive.
    Lease(i64),
    /// On kine: so many seconds after its newest write; it is kept by being written again.
    Writes {
        key: Vec<u8>,
        owner: Bytes,
        seconds: i64,
        /// The revision that created it: whoever takes the lock later creates another.
        created: i64,
        /// The revision of its newest write.
        revision: i64,
    },
}

impl Store {
    /// Takes the lock at `key`. `owner` is stored there for whoever finds it taken: host name,
    /// process id and start time. It outlives a holder that was killed by `ttl` (whole seconds; etcd
    /// rounds up what is shorter than its election timeout).
    ///
    /// # Errors
    /// [`StoreError::Locked`] with the holder's words, [`StoreError::Denied`] where the account may not
    /// write there, and what any call can meet.
    pub async fn lock(&self, key: &[u8], owner: &str, ttl: Duration) -> Result<Lock, StoreError> {
        let sent = Instant::now();
        let owner = Bytes::from(owner.to_owned());
        let seconds = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
        let lease = match self.kind {
            Kind::Etcd => self.grant(seconds).await?,
            Kind::Kine => seconds,
        };
        let holder = match self.compare_and_put(key, 0, owner.clone(), lease).await {
            Ok(Put::Done { revision }) => {
                let hold = match self.kind {
                    Kind::Etcd => Hold::Lease(lease),
                    Kind::Kine => Hold::Writes {
                        key: key.into(),
                        owner,
                        seconds,
                        created: revision,
                        revision,
                    },
                };
                let (report, lost) = watch::channel(false);
                let keeper = keep_alive(self.clone(), hold.clone(), ttl, sent, report);
                return Ok(Lock {
                    store: self.clone(),
                    hold,
                    keeper: tokio::spawn(keeper),
                    lost,
                    released: false,
                });
            }
            Ok(Put::Lost(holder)) => Ok(holder),
            Err(error) => Err(error),
        };
        if self.kind == Kind::Etcd {
            // The lease ends by itself if this fails too.
            let _ = self.revoke(lease).await;
        }
        Err(StoreError::Locked {
            key: key.into(),
            holder: holder?.map_or_else(
                || "it was released this instant".to_owned(),
                |record| record.value.escape_ascii().to_string(),
            ),
            ttl: ttl.as_secs(),
        })
    }

    async fn grant(&self, seconds: i64) -> Result<i64, StoreError> {
        let request = LeaseGrantRequest {
            ttl: seconds,
            id: 0,
        };
        // Sent twice at worst: a lease that nobody uses ends by itself.
        let granted = self
            .caller
            .read(&Ask::Lease, request, |channel, request| async move {
                LeaseClient::new(channel).lease_grant(request).await
            })
            .await?;
        Ok(granted.id)
    }

    /// Whether the lock is still ours, with its whole life before it.
    async fn keep(&self, hold: &mut Hold) -> Result<bool, StoreError> {
        match hold {
            Hold::Lease(id) => Ok(self.keep_lease(*id).await? > 0),
            Hold::Writes {
                key,
                owner,
                seconds,
                revision,
                ..
            } => {
                let put = self
                    .compare_and_put(key, *revision, owner.clone(), *seconds)
                    .await?;
                if let Put::Done { revision: written } = put {
                    *revision = written;
                }
                Ok(matches!(put, Put::Done { .. }))
            }
        }
    }

    /// The seconds left; 0 where the lease has ended.
    async fn keep_lease(&self, id: i64) -> Result<i64, StoreError> {
        let kept = self
            .caller
            .read(
                &Ask::Lease,
                LeaseKeepAliveRequest { id },
                |channel, request: Request<LeaseKeepAliveRequest>| async move {
                    let mut answers = LeaseClient::new(channel)
                        .lease_keep_alive(request.map(tokio_stream::once))
                        .await?
                        .into_inner();
                    let answer = answers.message().await?;
                    Ok(Response::new(answer.unwrap_or_default()))
                },
            )
            .await?;
        Ok(kept.ttl)
    }

    /// Ends the lock now.
    async fn let_go(&self, hold: &Hold) -> Result<(), StoreError> {
        match hold {
            Hold::Lease(id) => self.revoke(*id).await,
            Hold::Writes { key, created, .. } => {
                // A write that was under way to keep it may come between.
                for attempt in 0..TRIES {
                    if attempt > 0 {
                        sleep(BETWEEN_TRIES).await;
                    }
                    let ours = self.get(key).await?;
                    let Some(ours) = ours.filter(|record| record.create_revision == *created)
                    else {
                        return Ok(());
                    };
                    if self.compare_and_delete(key, ours.mod_revision).await? {
                        return Ok(());
                    }
                }
                Err(StoreError::NotWritten {
                    key: key.as_slice().into(),
                })
            }
        }
    }

    async fn revoke(&self, id: i64) -> Result<(), StoreError> {
        self.caller
            .read(
                &Ask::Lease,
                LeaseRevokeRequest { id },
                |channel, request| async move {
                    LeaseClient::new(channel).lease_revoke(request).await
                },
            )
            .await?;
        Ok(())
    }
}

impl Lock {
    /// Resolves when the lock is no longer ours, because it could not be kept: whoever works under
    /// it must stop.
    pub async fn lost(&self) {
        let mut lost = self.lost.clone();
        // An error means that the keeper ended without a word: it was stopped.
        let _ = lost.wait_for(|lost| *lost).await;
    }

    /// Gives the lock back.
    ///
    /// # Errors
    /// What any call can meet; the lock then ends by itself.
    pub async fn release(mut self) -> Result<(), StoreError> {
        self.released = true;
        self.keeper.abort();
        self.store.let_go(&self.hold).await
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.keeper.abort();
        if self.released {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (store, hold) = (self.store.clone(), self.hold.clone());
            runtime.spawn(async move {
                let _ = store.let_go(&hold).await;
            });
        }
    }
}

/// Keeps the lock three times in its life, until it has ended or could not be kept for a whole
/// life. `kept` is when the last request that kept it was sent.
async fn keep_alive(
    store: Store,
    mut hold: Hold,
    ttl: Duration,
    mut kept: Instant,
    report: watch::Sender<bool>,
) {
    loop {
        sleep(ttl / 3).await;
        let sent = Instant::now();
        match timeout_at(kept + ttl, store.keep(&mut hold)).await {
            Ok(Ok(true)) => kept = sent,
            Ok(Err(_)) if kept.elapsed() < ttl => {}
            _ => break,
        }
    }
    report.send_replace(true);
}
