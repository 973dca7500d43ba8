//! The KMS v2 service on the wire: translation only.

use std::{future::Future, mem, sync::Arc, time::Instant};

use kms_proto::{
    DekSource, EncryptedDekSource, EncryptedDekSourceError, HEALTHZ_OK, STATUS_VERSION,
    wire::v2::{
        DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, StatusRequest,
        StatusResponse, key_management_service_server::KeyManagementService,
    },
};
use sha2::{Digest, Sha256};
use tonic::{Request, Response, Status};
use tracing::{debug, warn};

use crate::{
    kek::KekError,
    load::chain,
    metrics::{Code, Method, Metrics},
    service::{DecryptError, KmsService},
};

/// The longest message that is read, in bytes: a ciphertext, a key id and annotations at their
/// limits need a little more than half of it.
pub const MAX_MESSAGE_LEN: usize = 64 * 1024;

/// Longer texts of a peer are cut in the log, in characters.
const MAX_LOGGED_LEN: usize = 128;

/// Answers KMS v2 calls out of a [`KmsService`].
#[derive(Debug, Clone)]
pub struct Kms {
    service: KmsService,
    metrics: Arc<Metrics>,
}

impl Kms {
    /// Translates for `service`.
    pub fn new(service: KmsService, metrics: Arc<Metrics>) -> Self {
        Self { service, metrics }
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
        let (uid, key_id) = (shortened(uid), shortened(key_id));
        match result {
            Ok(answer) => {
                debug!(?method, ?uid, ?key_id, "answered");
                Ok(Response::new(answer))
            }
            Err(error) => {
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
        let key_id = self.service.status().to_string();
        let answer = StatusResponse {
            version: STATUS_VERSION.to_owned(),
            healthz: HEALTHZ_OK.to_owned(),
            key_id: key_id.clone(),
        };
        self.answer(Method::Status, "", &key_id, async { Ok(answer) })
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
        self.answer(Method::Decrypt, &uid, &key_id, async {
            let wrapped = EncryptedDekSource::from_wire(ciphertext, &key_id, annotations)?;
            let mut dek = self.service.decrypt(&wrapped).await?.into_inner();
            Ok(DecryptResponse {
                plaintext: mem::take(&mut *dek),
            })
        })
        .await
    }
}

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
enum CallError {
    Decrypt(#[from] DecryptError),
    Encrypt(#[from] KekError),
    Malformed(#[from] EncryptedDekSourceError),
}

fn code(error: &CallError) -> Code {
    match error {
        CallError::Malformed(_) => Code::InvalidArgument,
        CallError::Decrypt(DecryptError::UnknownKeyId) => Code::FailedPrecondition,
        CallError::Decrypt(DecryptError::Kek(error)) | CallError::Encrypt(error) => match error {
            KekError::Random(_) => Code::Internal,
            KekError::TooLong { .. } | KekError::Unauthentic => Code::InvalidArgument,
        },
    }
}

impl From<Code> for tonic::Code {
    fn from(code: Code) -> Self {
        match code {
            Code::Ok => Self::Ok,
            Code::FailedPrecondition => Self::FailedPrecondition,
            Code::Internal => Self::Internal,
            Code::InvalidArgument => Self::InvalidArgument,
        }
    }
}

/// A wrapped DEK source as `rewrap` lists it, so that a log and an inventory can be compared.
fn name(ciphertext: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(ciphertext)))
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_LOGGED_LEN).collect()
}

#[cfg(test)]
mod tests;
