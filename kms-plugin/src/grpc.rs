//! The KMS v2 service on the wire: translation only.

use std::{
    future::Future,
    mem,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use kms_proto::{
    DekSource, EncryptedDekSource, EncryptedDekSourceError, HEALTHZ_OK, KeyId, STATUS_VERSION,
    wire::v2::{
        DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, StatusRequest,
        StatusResponse, key_management_service_server::KeyManagementService,
    },
};
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use tonic::{Request, Response, Status, metadata::MetadataMap};
use tracing::{debug, warn};

use crate::{
    chain::chain,
    kek::{KekError, Unavailable},
    metrics::{Code, Method, Metrics},
    service::{DecryptError, KmsService},
};

mod groups;

use groups::Groups;

/// The longest message that is read, in bytes: a ciphertext, a key id and annotations at their
/// limits need a little more than half of it.
pub const MAX_MESSAGE_LEN: usize = 64 * 1024;

/// Longer texts of a peer are cut in the log, in characters.
const MAX_LOGGED_LEN: usize = 128;

/// Nobody waits longer than this for a root.
const LONGEST_PATIENCE: Duration = Duration::from_secs(30);

/// Answers KMS v2 calls out of a [`KmsService`].
#[derive(Debug, Clone)]
pub struct Kms {
    service: KmsService,
    metrics: Arc<Metrics>,
    /// An apiserver that starts asks for thousands of DEK sources at once.
    unwraps: Arc<Groups>,
}

impl Kms {
    /// Translates for `service`.
    pub fn new(service: KmsService, metrics: Arc<Metrics>) -> Self {
        Self {
            service,
            metrics,
            unwraps: Arc::default(),
        }
    }

    /// Runs one call; logs and counts how it ended.
    async fn answer<T>(
        &self,
        method: Method,
        uid: &str,
        key_id: &str,
        call: impl Future<Output = Result<T, CallError>>,
    ) -> Result<Response<T>, Status> {
        let start = Instant::now();
        let result = call.await;
        let code = result.as_ref().map_or_else(code, |_| Code::Ok);
        self.metrics.request(method, code, start.elapsed());
        match result {
            Ok(answer) => {
                // Nothing is shortened that is not logged.
                debug!(
                    ?method,
                    uid = ?shortened(uid),
                    key_id = ?shortened(key_id),
                    "answered"
                );
                Ok(Response::new(answer))
            }
            Err(error) => {
                let (uid, key_id) = (shortened(uid), shortened(key_id));
                warn!(?method, ?uid, ?key_id, error = chain(&error), "refused");
                Err(Status::new(code.into(), error.to_string()))
            }
        }
    }
}

#[tonic::async_trait]
impl KeyManagementService for Kms {
    async fn status(
        &self,
        _request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        let status = self.service.status();
        let key_id = status.as_ref().map_or("", KeyId::as_str).to_owned();
        self.answer(Method::Status, "", &key_id, async {
            Ok(StatusResponse {
                version: STATUS_VERSION.to_owned(),
                healthz: HEALTHZ_OK.to_owned(),
                key_id: status?.to_string(),
            })
        })
        .await
    }

    async fn encrypt(
        &self,
        request: Request<EncryptRequest>,
    ) -> Result<Response<EncryptResponse>, Status> {
        let mut request = request.into_inner();
        let dek = DekSource::new(mem::take(&mut request.plaintext));
        self.answer(Method::Encrypt, &request.uid, "", async {
            let EncryptedDekSource {
                ciphertext,
                key_id,
                annotations,
            } = self.service.encrypt(dek).await?;
            Ok(EncryptResponse {
                ciphertext: ciphertext.as_bytes().to_vec(),
                key_id: key_id.to_string(),
                annotations: annotations.to_wire(),
            })
        })
        .await
    }

    async fn decrypt(
        &self,
        request: Request<DecryptRequest>,
    ) -> Result<Response<DecryptResponse>, Status> {
        self.unwraps.place().await;
        let patience = patience(request.metadata());
        let DecryptRequest {
            ciphertext,
            uid,
            key_id,
            annotations,
        } = request.into_inner();
        debug!(
            uid = shortened(&uid),
            dek_source = name(&ciphertext),
            "asked to unwrap"
        );
        // Pinned here: what is moved into another future has its place twice.
        let call = pin!(async {
            let wrapped = EncryptedDekSource::from_wire(ciphertext, &key_id, annotations)?;
            // What is being opened is opened to the end, for those who ask again.
            let mut dek = timeout(patience, self.service.decrypt(&wrapped))
                .await
                .map_err(|_| CallError::Late)??
                .into_inner();
            Ok(DecryptResponse {
                plaintext: mem::take(&mut *dek),
            })
        });
        self.answer(Method::Decrypt, &uid, &key_id, call).await
    }
}

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error(transparent)]
    Decrypt(#[from] DecryptError),
    #[error(transparent)]
    Encrypt(#[from] KekError),
    #[error(transparent)]
    Malformed(#[from] EncryptedDekSourceError),
    #[error("the roots did not answer in the time that the caller waits; see `kms-plugin status`")]
    Late,
    #[error(transparent)]
    Status(#[from] Unavailable),
}

fn code(error: &CallError) -> Code {
    match error {
        CallError::Malformed(_) => Code::InvalidArgument,
        CallError::Decrypt(DecryptError::UnknownKeyId) | CallError::Status(_) => {
            Code::FailedPrecondition
        }
        CallError::Late => Code::DeadlineExceeded,
        CallError::Decrypt(DecryptError::Kek(error)) | CallError::Encrypt(error) => match error {
            KekError::Random(_) => Code::Internal,
            KekError::NoRoot(_) | KekError::Unavailable(_) => Code::FailedPrecondition,
            KekError::Root(_) => Code::Unavailable,
            KekError::TooLong { .. } | KekError::Unauthentic => Code::InvalidArgument,
        },
    }
}

impl From<Code> for tonic::Code {
    fn from(code: Code) -> Self {
        match code {
            Code::Ok => Self::Ok,
            Code::DeadlineExceeded => Self::DeadlineExceeded,
            Code::FailedPrecondition => Self::FailedPrecondition,
            Code::Internal => Self::Internal,
            Code::InvalidArgument => Self::InvalidArgument,
            Code::Unavailable => Self::Unavailable,
        }
    }
}

/// A wrapped DEK source as `rewrap` lists it, so that a log and an inventory can be compared.
fn name(ciphertext: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(ciphertext)))
}

/// How long a call may take: a little less than the caller waits, so that it gets a reason and not silence.
fn patience(metadata: &MetadataMap) -> Duration {
    let asked = metadata
        .get("grpc-timeout")
        .and_then(|value| value.to_str().ok())
        .and_then(grpc_timeout)
        .unwrap_or(LONGEST_PATIENCE);
    let margin = (asked / 10).clamp(Duration::from_millis(5), Duration::from_millis(200));
    asked.saturating_sub(margin).min(LONGEST_PATIENCE)
}

/// At most eight digits and a unit (`grpc/grpc`, `doc/PROTOCOL-HTTP2.md`).
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_LOGGED_LEN).collect()
}

#[cfg(test)]
mod tests;
