use std::{fmt, time::Duration};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tonic::{Request, Response};

use super::{
    Ask, Put, Store, StoreError,
    wire::etcdserverpb::{
        LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, lease_client::LeaseClient,
    },
};

/// The lock that keeps two runs apart: a key under a lease, kept alive while this lives.
///
/// [`Lock::release`] gives it back at once. Dropping it does so too where a runtime still runs;
/// else, and after a kill, it ends with its lease.
pub struct Lock {
    store: Store,
    lease: i64,
    keeper: JoinHandle<()>,
    lost: watch::Receiver<bool>,
    released: bool,
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
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
        let lease = self.grant(ttl).await?;
        let taken = self
            .compare_and_put(key, 0, owner.to_owned().into(), lease)
            .await;
        let holder = match taken {
            Ok(Put::Done { .. }) => {
                let (report, lost) = watch::channel(false);
                let keeper = tokio::spawn(keep_alive(self.clone(), lease, ttl, sent, report));
                return Ok(Lock {
                    store: self.clone(),
                    lease,
                    keeper,
                    lost,
                    released: false,
                });
            }
            Ok(Put::Lost(holder)) => holder,
            Err(error) => {
                // The lease ends by itself if this fails too.
                let _ = self.revoke(lease).await;
                return Err(error);
            }
        };
        let _ = self.revoke(lease).await;
        Err(StoreError::Locked {
            key: key.into(),
            holder: holder.map_or_else(
                || "it was released this instant".to_owned(),
                |record| record.value.escape_ascii().to_string(),
            ),
            ttl: ttl.as_secs(),
        })
    }

    async fn grant(&self, ttl: Duration) -> Result<i64, StoreError> {
        let request = LeaseGrantRequest {
            ttl: i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX),
            id: 0,
        };
        // Sent twice at worst: a lease that nobody uses ends by itself.
        let granted = self
            .0
            .read(&Ask::Lease, request, |channel, request| async move {
                LeaseClient::new(channel).lease_grant(request).await
            })
            .await?;
        Ok(granted.id)
    }

    async fn revoke(&self, id: i64) -> Result<(), StoreError> {
        self.0
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

    /// The seconds left; 0 where the lease has ended.
    async fn keep(&self, id: i64) -> Result<i64, StoreError> {
        let kept = self
            .0
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
}

impl Lock {
    /// Resolves when the lock is no longer ours, because its lease could not be kept: whoever works
    /// under it must stop.
    pub async fn lost(&self) {
        let mut lost = self.lost.clone();
        // An error means that the keeper ended without a word: it was stopped.
        let _ = lost.wait_for(|lost| *lost).await;
    }

    /// Gives the lock back.
    ///
    /// # Errors
    /// What any call can meet; the lock then ends with its lease.
    pub async fn release(mut self) -> Result<(), StoreError> {
        self.released = true;
        self.keeper.abort();
        self.store.revoke(self.lease).await
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.keeper.abort();
        if self.released {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (store, lease) = (self.store.clone(), self.lease);
            runtime.spawn(async move {
                let _ = store.revoke(lease).await;
            });
        }
    }
}

/// Renews the lease three times in its life, until it has ended or could not be renewed for a whole
/// life. `renewed` is when the last request that renewed it was sent.
async fn keep_alive(
    store: Store,
    lease: i64,
    ttl: Duration,
    mut renewed: Instant,
    report: watch::Sender<bool>,
) {
    loop {
        tokio::time::sleep(ttl / 3).await;
        let sent = Instant::now();
        match timeout_at(renewed + ttl, store.keep(lease)).await {
            Ok(Ok(left)) if left > 0 => renewed = sent,
            Ok(Err(_)) if renewed.elapsed() < ttl => {}
            _ => break,
        }
    }
    report.send_replace(true);
}
