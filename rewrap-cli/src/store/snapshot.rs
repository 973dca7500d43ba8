use std::{fmt, time::Duration};

use prost::bytes::Bytes;
use tonic::Streaming;

use super::{
    Ask, RangeOptions, Store, StoreError,
    call::{Member, fault, within},
    revision,
    wire::etcdserverpb::{
        RangeRequest, SnapshotRequest, SnapshotResponse, kv_client::KvClient,
        maintenance_client::MaintenanceClient,
    },
};

impl Store {
    /// Begins to copy the database of the member that answered last. With authentication on, only
    /// `root` may.
    ///
    /// # Errors
    /// What any call can meet, [`StoreError::Unsupported`] from kine.
    pub async fn snapshot(&self) -> Result<Snapshot<'_>, StoreError> {
        let caller = &self.caller;
        let member = caller.preferred();
        // A member that has answered a linearizable read has applied everything up to its revision.
        let range = RangeRequest {
            count_only: true,
            ..RangeRequest::from(RangeOptions::one(b"\0"))
        };
        let rpc = async |channel, request| KvClient::new(channel).range(request).await;
        let ask = RangeOptions::one(b"\0").ask();
        let header = caller
            .once(member, &ask, range, &rpc)
            .await
            .map_err(|fault| fault.of(member))?
            .header;
        let revision = revision(header.as_ref(), &ask)?;
        let rpc = async |channel, request| MaintenanceClient::new(channel).snapshot(request).await;
        let parts = caller
            .once(member, &Ask::Snapshot, SnapshotRequest {}, &rpc)
            .await
            .map_err(|fault| fault.of(member))?;
        Ok(Snapshot {
            revision,
            member,
            parts,
            timeout: caller.request_timeout,
        })
    }
}

/// A database on its way: the file that bbolt writes, and the SHA-256 of it in the last 32 bytes.
pub struct Snapshot<'a> {
    /// Every write up to this revision is in it; younger ones may be.
    pub revision: i64,
    member: &'a Member,
    parts: Streaming<SnapshotResponse>,
    timeout: Duration,
}

impl fmt::Debug for Snapshot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("revision", &self.revision)
            .field("member", &self.member.name)
            .finish_non_exhaustive()
    }
}

impl Snapshot<'_> {
    /// The next part; `None` at the end, which alone does not say that all of it came.
    ///
    /// # Errors
    /// The member does not go on.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let part = within(self.timeout, self.parts.message()).await;
        let part = part.and_then(|part| part.map_err(|status| fault(&status, &Ask::Snapshot, 0)));
        let part = part.map_err(|fault| fault.of(self.member))?;
        Ok(part.map(|part| part.blob))
    }
}
