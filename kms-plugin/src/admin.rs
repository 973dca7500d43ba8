//! `ringfence.v1`: what `kms-plugin status` asks, on the same socket as KMS v2.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use kms_proto::wire::ringfence::{
    self, DescribeRequest, DescribeResponse, Kek, Root, plugin_server::Plugin,
};
use tonic::{Request, Response, Status};

use crate::{
    keyring::SharedKeyring,
    local_kek::{Phase, Standing, UnderRoots, guarded::Guarded},
    metrics::{Method, Metrics},
    state::{Reload, State},
};

/// Describes the daemon.
#[derive(Debug)]
pub struct Admin {
    /// The context that is bound into every ciphertext.
    pub context: String,
    /// The keyring in use.
    pub keyring: Arc<SharedKeyring>,
    /// Its state.
    pub state: Arc<State>,
    /// Its counters.
    pub metrics: Arc<Metrics>,
}

#[tonic::async_trait]
impl Plugin for Admin {
    async fn describe(
        &self,
        _request: Request<DescribeRequest>,
    ) -> Result<Response<DescribeResponse>, Status> {
        let Reload {
            keyring_loaded_at,
            error,
        } = self.state.reload();
        let keyring = self.keyring.load();
        let keks = keyring
            .members()
            .map(|member| Kek {
                name: member.name.clone(),
                key_id: member
                    .kek
                    .key_id()
                    .map_or_else(|_| String::new(), |id| id.to_string()),
                root: member.root.clone(),
                epoch: member.epoch,
            })
            .collect();
        let under_roots = keyring.under_roots();
        let (state, reason, grace_left) = match keyring.phase() {
            Phase::Serving => (ringfence::State::Serving, None, None),
            Phase::Starting(what) => (ringfence::State::Starting, Some(what), None),
            Phase::Degraded { what, left } => {
                (ringfence::State::Degraded, Some(what), Some(left.as_secs()))
            }
            Phase::Refused(what) | Phase::GraceOver(what) => {
                (ringfence::State::Refused, Some(what), None)
            }
        };
        Ok(Response::new(DescribeResponse {
            state: state.into(),
            reason: reason.unwrap_or_default(),
            grace_left: grace_left.unwrap_or_default(),
            roots: under_roots.map(roots).unwrap_or_default(),
            local_keks: under_roots.map_or(0, |under_roots| under_roots.held() as u64),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            context: self.context.clone(),
            keks,
            reload_error: error.unwrap_or_default(),
            started_at: unix_seconds(self.state.started_at()),
            keyring_loaded_at: unix_seconds(keyring_loaded_at),
            encrypts: self.metrics.answered(Method::Encrypt),
            decrypts: self.metrics.answered(Method::Decrypt),
            failures: self.metrics.failures(),
        }))
    }
}

fn roots(under_roots: &UnderRoots) -> Vec<Root> {
    let current = under_roots.current();
    let describe = |root: &Arc<Guarded>| {
        let (standing, trouble) = match root.standing(under_roots.grace()) {
            _ if root.is_offline() => ("offline", None),
            Standing::Good => ("good", None),
            Standing::Unknown(what) => ("unknown", what),
            Standing::Borne { what, .. } | Standing::Over(what) => ("silent", Some(what)),
            Standing::Refused(what) => ("refused", Some(what)),
        };
        let version = root.last_version();
        let covers = current.as_ref().is_some_and(|envelope| {
            let mut versions = envelope.versions();
            versions.any(|one| {
                version
                    .as_ref()
                    .is_some_and(|version| version.key() == one.key())
            })
        });
        let calls = root.calls();
        Root {
            name: root.name().to_owned(),
            kind: root.kind().to_owned(),
            wraps: under_roots.wraps_with(root),
            version: version
                .map(|version| version.to_string())
                .unwrap_or_default(),
            standing: standing.to_owned(),
            trouble: trouble.unwrap_or_default(),
            last_answer: root.since_contact().map(|since| since.as_secs()),
            covers,
            calls: calls.version + calls.wrap + calls.unwrap,
            failed_calls: calls.failed,
        }
    };
    under_roots.roots().iter().map(describe).collect()
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
