//! `ringfence.v1`: what `kms-plugin status` asks, on the same socket as KMS v2.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use kms_proto::wire::ringfence::{
    self, DescribeRequest, DescribeResponse, Kek, plugin_server::Plugin,
};
use tonic::{Request, Response, Status};

use crate::{
    keyring::SharedKeyring,
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
        let keks = self
            .keyring
            .load()
            .members()
            .map(|member| Kek {
                name: member.name.clone(),
                key_id: member.kek.key_id().to_string(),
                root: member.root.to_owned(),
                epoch: member.epoch,
            })
            .collect();
        Ok(Response::new(DescribeResponse {
            state: ringfence::State::Serving.into(),
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

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
