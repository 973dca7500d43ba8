use std::time::Duration;

use super::{
    Ask, Store, StoreError,
    wire::etcdserverpb::{
        CompactionRequest, DefragmentRequest, kv_client::KvClient,
        maintenance_client::MaintenanceClient,
    },
};

/// How long a compaction, or the defragmentation of one member, may take: a database of 8 GiB, the
/// most that etcd advises, is copied in it.
const TIMEOUT: Duration = Duration::from_secs(600);

impl Store {
    /// Forgets all revisions before this one, and answers when they are gone from the database. For
    /// stores without a live apiserver only: it takes away what watches and paged lists go on from.
    ///
    /// # Errors
    /// What any call can meet. A revision that was compacted before is none.
    pub async fn compact(&self, revision: i64) -> Result<(), StoreError> {
        let request = CompactionRequest {
            revision,
            physical: true,
        };
        let rpc = async |channel, request| KvClient::new(channel).compact(request).await;
        let preferred = self.caller.preferred();
        let done = self
            .caller
            .once_within(TIMEOUT, preferred, &Ask::Maintain, request, &rpc)
            .await;
        match done.map_err(|fault| fault.of(preferred)) {
            Err(StoreError::Refused { message, .. }) if message.contains("has been compacted") => {
                Ok(())
            }
            done => done.map(drop),
        }
    }

    /// Gives the space of forgotten revisions back to the file system, one endpoint after the other and
    /// the leader last: a member serves nobody meanwhile. Calls `done` with each endpoint.
    ///
    /// # Errors
    /// The first endpoint that does not answer or refuses; the others are left as they are.
    pub async fn defragment(&self, mut done: impl FnMut(&str)) -> Result<(), StoreError> {
        let mut members = Vec::new();
        for member in &self.caller.members {
            let status = self.caller.endpoint_status(member).await;
            members.push((status.map_err(|fault| fault.of(member))?.leader, member));
        }
        members.sort_by_key(|(leader, _)| *leader);
        let rpc =
            async |channel, request| MaintenanceClient::new(channel).defragment(request).await;
        for (_, member) in members {
            self.caller
                .once_within(TIMEOUT, member, &Ask::Maintain, DefragmentRequest {}, &rpc)
                .await
                .map_err(|fault| fault.of(member))?;
            done(&member.name);
        }
        Ok(())
    }
}
