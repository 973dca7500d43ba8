use super::{
    Ask, Causes, Store, StoreError,
    call::{Fault, Member},
    error::CUT_AFTER_HANDSHAKE,
    wire::etcdserverpb::{StatusRequest, StatusResponse, maintenance_client::MaintenanceClient},
};

/// What one member says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointStatus {
    /// The endpoint.
    pub endpoint: String,
    /// The cluster; 0 where the server does not tell.
    pub cluster_id: u64,
    /// The server's version, such as `3.6.16`.
    pub version: String,
    /// The store's revision.
    pub revision: i64,
    /// The database file, in bytes: what the quota is held against.
    pub db_size: i64,
    /// What of the file holds data, in bytes; the rest is free for new data.
    pub db_size_in_use: i64,
    /// The quota in bytes, where the server tells (etcd 3.6 and newer).
    pub quota: Option<i64>,
    /// Alarms of the cluster and the lack of a leader, in etcd's words; healthy if empty.
    pub problems: Vec<String>,
}

impl Store {
    /// Asks every endpoint once, one after the other; what failed stands beside what answered.
    pub async fn status(&self) -> Vec<Result<EndpointStatus, StoreError>> {
        let mut all = Vec::new();
        for member in &self.0.members {
            all.push(
                self.endpoint_status(member)
                    .await
                    .map_err(|fault| match fault {
                        Fault::Answered(error) => error,
                        Fault::NotDone(cause) | Fault::InDoubt(cause) | Fault::Cut(cause) => {
                            let mut causes = Causes::default();
                            causes.add(&member.name, cause);
                            causes.into_error()
                        }
                    }),
            );
        }
        all
    }

    /// One endpoint at least answers, and all that do are of one cluster.
    pub(super) async fn check_endpoints(&self) -> Result<(), StoreError> {
        let mut causes = Causes::default();
        let mut answers: Vec<EndpointStatus> = Vec::new();
        for member in &self.0.members {
            match self.endpoint_status(member).await {
                Ok(status) => answers.push(status),
                Err(Fault::Answered(error)) => return Err(error),
                // With TLS 1.3 the server judges our certificate when we believe to be connected,
                // and its alert may be lost behind a write that fails.
                Err(Fault::Cut(cause)) if member.name.starts_with("https:") => {
                    causes.add(&member.name, format!("{cause}, {CUT_AFTER_HANDSHAKE}"));
                }
                Err(Fault::NotDone(cause) | Fault::InDoubt(cause) | Fault::Cut(cause)) => {
                    causes.add(&member.name, cause);
                }
            }
        }
        let Some(first) = answers.first() else {
            return Err(causes.into_error());
        };
        if answers.iter().any(|s| s.cluster_id != first.cluster_id) {
            let ids: Vec<_> = answers
                .iter()
                .map(|s| format!("{} is {:x}", s.endpoint, s.cluster_id))
                .collect();
            return Err(StoreError::DifferentClusters(ids.join(", ")));
        }
        Ok(())
    }

    async fn endpoint_status(&self, member: &Member) -> Result<EndpointStatus, Fault> {
        let response: StatusResponse =
            self.0
                .once(
                    member,
                    &Ask::Status,
                    StatusRequest {},
                    &|channel, request| async move {
                        MaintenanceClient::new(channel).status(request).await
                    },
                )
                .await?;
        let header = response.header.unwrap_or_default();
        Ok(EndpointStatus {
            endpoint: member.name.clone(),
            cluster_id: header.cluster_id,
            version: response.version,
            revision: header.revision,
            db_size: response.db_size,
            db_size_in_use: response.db_size_in_use,
            quota: (response.db_size_quota > 0).then_some(response.db_size_quota),
            problems: response.errors,
        })
    }
}
