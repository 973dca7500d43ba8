use std::collections::BTreeSet;

use super::{
    Ask, Causes, Kind, Store, StoreError,
    call::{Caller, Fault, Member},
    error::CUT_AFTER_HANDSHAKE,
    wire::etcdserverpb::{StatusRequest, StatusResponse, maintenance_client::MaintenanceClient},
};

/// How many writes a member may be behind before it is worth a word. etcd itself holds up writes at
/// 5,000.
const MAX_BEHIND: u64 = 1000;

/// What one member says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointStatus {
    /// The endpoint.
    pub endpoint: String,
    /// The cluster; 0 on kine.
    pub cluster_id: u64,
    /// The server's version, such as `3.6.16`; on kine, the one it takes after.
    pub version: String,
    /// The store's revision; 0 on kine.
    pub revision: i64,
    /// The database file, in bytes: what the quota is held against. On kine the database's tables.
    pub db_size: i64,
    /// What of the file holds data, in bytes; the rest is free for new data. 0 on kine.
    pub db_size_in_use: i64,
    /// The quota in bytes: what the server tells (etcd 3.6 and newer), or else what
    /// [the configuration](super::StoreConfig::quota) does. kine has none.
    pub quota: Option<i64>,
    /// Whether it leads the cluster.
    pub leader: bool,
    /// Whether it is a learner: it follows, and serves nobody yet.
    pub learner: bool,
    /// The newest entry of the log that it knows to be committed.
    pub committed: u64,
    /// The newest entry of the log that its database shows.
    pub applied: u64,
    /// Alarms of the cluster and the lack of a leader, in etcd's words; healthy if empty.
    pub problems: Vec<String>,
}

impl Store {
    /// Asks every endpoint once, one after the other; what failed stands beside what answered.
    pub async fn status(&self) -> Vec<Result<EndpointStatus, StoreError>> {
        let mut all = Vec::new();
        for member in &self.caller.members {
            let status = self.caller.endpoint_status(member).await;
            all.push(status.map_err(|fault| fault.of(member)));
        }
        all
    }
}

impl Caller {
    /// One endpoint at least answers, and all that do are of one cluster.
    pub(super) async fn check_endpoints(&self) -> Result<Kind, StoreError> {
        let mut causes = Causes::default();
        let mut answers: Vec<EndpointStatus> = Vec::new();
        for member in &self.members {
            match self.endpoint_status(member).await {
                Ok(status) => answers.push(status),
                Err(Fault::Answered(StoreError::Unsupported { ask: Ask::Login })) => {
                    return Err(StoreError::NoUsers);
                }
                Err(Fault::Answered(error)) => return Err(error),
                // With TLS 1.3 the server judges our certificate when we believe to be connected,
                // and its alert may be lost behind a write that fails.
                Err(Fault::Cut(cause)) if member.tls => {
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
        Ok(first.kind())
    }

    pub(super) async fn endpoint_status(&self, member: &Member) -> Result<EndpointStatus, Fault> {
        let response: StatusResponse = self
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
            quota: match response.db_size_quota {
                told @ 1.. => Some(told),
                _ => self.quota.filter(|_| header.cluster_id != 0),
            },
            leader: response.leader != 0 && response.leader == header.member_id,
            learner: response.is_learner,
            committed: response.raft_index,
            applied: response.raft_applied_index,
            problems: response.errors,
        })
    }
}

/// What an operator should know of the members before much is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Concern {
    /// An alarm, in etcd's words.
    #[error(
        "etcd says {}{}",
        .0.trim(),
        if .0.contains("NOSPACE") { RECOVER } else { "" }
    )]
    Alarm(String),
    /// Nobody leads, so nobody writes; or another complaint, in etcd's words.
    #[error("{endpoint} says {problem}")]
    Problem {
        /// Who says it.
        endpoint: String,
        /// What.
        problem: String,
    },
    /// A member that does not answer.
    #[error("{0}")]
    Away(String),
    /// A member that has to catch up.
    #[error(
        "{endpoint} is {behind} writes behind the other members; let it catch up, or every write \
         makes it worse"
    )]
    Behind {
        /// Who.
        endpoint: String,
        /// By how many entries of the log.
        behind: u64,
    },
    /// A member that is no obstacle, and no help either.
    #[error("{0} is a learner, which neither reads nor writes for us")]
    Learner(String),
}

/// How a full etcd takes writes again: <https://etcd.io/docs/v3.6/op-guide/maintenance/#space-quota>.
const RECOVER: &str = ", so it takes no writes; compact (`etcdctl compact REVISION`), defragment \
                       every member (`etcdctl defrag --cluster`), then disarm the alarm (`etcdctl \
                       alarm disarm`): without the second the third is in vain";

/// What there is to think of, once each; nothing where all is well.
pub fn concerns(answers: &[Result<EndpointStatus, StoreError>]) -> Vec<Concern> {
    let mut concerns = Vec::new();
    let newest = answers.iter().flatten().map(|status| status.committed);
    let newest = newest.max().unwrap_or_default();
    for answer in answers {
        match answer {
            Ok(status) => concerns.extend(status.concerns(newest)),
            Err(error) => concerns.push(Concern::Away(error.to_string())),
        }
    }
    // Every member tells the alarms of all.
    let mut said = BTreeSet::new();
    concerns.retain(|concern| said.insert(concern.clone()));
    concerns
}

impl EndpointStatus {
    /// kine leaves the header of its status empty, where etcd names its cluster.
    fn kind(&self) -> Kind {
        match self.cluster_id {
            0 => Kind::Kine,
            _ => Kind::Etcd,
        }
    }

    /// `newest` is the newest entry of the log that any member knows.
    fn concerns(&self, newest: u64) -> Vec<Concern> {
        let endpoint = || self.endpoint.clone();
        let in_words = |problem: &String| match problem.contains("alarm:") {
            true => Concern::Alarm(problem.clone()),
            false => Concern::Problem {
                endpoint: endpoint(),
                problem: problem.clone(),
            },
        };
        let mut concerns: Vec<_> = self.problems.iter().map(in_words).collect();
        if self.learner {
            concerns.push(Concern::Learner(endpoint()));
        }
        let behind = newest.saturating_sub(self.applied);
        if behind > MAX_BEHIND {
            concerns.push(Concern::Behind {
                endpoint: endpoint(),
                behind,
            });
        }
        concerns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(endpoint: &str, committed: u64, applied: u64) -> EndpointStatus {
        EndpointStatus {
            endpoint: endpoint.to_owned(),
            cluster_id: 7,
            version: "3.6.16".to_owned(),
            revision: 1,
            db_size: 1,
            db_size_in_use: 1,
            quota: None,
            leader: false,
            learner: false,
            committed,
            applied,
            problems: Vec::new(),
        }
    }

    #[test]
    fn a_healthy_cluster_is_no_concern() {
        let members = [member("a", 5000, 4990), member("b", 4995, 4500)];
        assert_eq!(concerns(&members.map(Ok)), []);
    }

    #[test]
    fn members_are_named_that_are_away_behind_or_learning() {
        let mut alarmed = member("a", 5000, 5000);
        alarmed.problems = vec!["alarm:NOSPACE".to_owned()];
        let mut learner = member("b", 5000, 5000);
        learner.learner = true;
        learner.problems.clone_from(&alarmed.problems);
        let mut causes = Causes::default();
        causes.add("d", "connection refused".to_owned());
        let answers = [
            Ok(alarmed),
            Ok(learner),
            Ok(member("c", 3000, 2900)),
            Err(causes.into_error()),
        ];
        let concerns = concerns(&answers);
        let concerns: Vec<_> = concerns.iter().map(Concern::to_string).collect();
        let [alarm, learns, behind, away] = &concerns[..] else {
            panic!("{concerns:#?}")
        };
        assert!(alarm.starts_with("etcd says alarm:NOSPACE"), "{alarm}");
        for step in ["etcdctl compact", "etcdctl defrag", "etcdctl alarm disarm"] {
            assert!(alarm.contains(step), "{alarm}");
        }
        assert!(learns.starts_with("b is a learner"), "{learns}");
        assert!(behind.starts_with("c is 2100 writes behind"), "{behind}");
        assert!(away.contains("d: connection refused"), "{away}");
    }
}
