//! The KMS plugins, over their Unix sockets: the second and last piece of network code.
//!
//! Every answer is held to the rules that kube-apiserver enforces, so what passes here passes there
//! (`k8s.io/apiserver/pkg/server/options/encryptionconfig/config.go`,
//! `k8s.io/apiserver/pkg/storage/value/encrypt/envelope/kmsv2/envelope.go`).

use std::time::Duration;

use kms_proto::{
    DekSource, EncryptedDekSource, HEALTHZ_OK, KeyId,
    wire::v2::{
        DecryptRequest, EncryptRequest, EncryptResponse, StatusRequest, StatusResponse,
        key_management_service_client::KeyManagementServiceClient,
    },
};
use tonic::Code;

use crate::config::encryption::SocketAddress;

mod channel;
mod error;
mod uid;
mod v1;

use channel::Socket;

pub use error::{Excerpt, KmsError};
pub use v1::KmsV1Client;

/// The values of `StatusResponse.version` that one apiserver or another accepts.
const VERSIONS: [&str; 2] = ["v2beta1", "v2"];

/// A client of one KMS v2 plugin. Cheap to clone: clones share the connection.
#[derive(Clone, Debug)]
pub struct KmsClient {
    socket: Socket,
}

/// What a healthy plugin says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsStatus {
    /// The key id under which it encrypts now.
    pub key_id: KeyId,
    /// `v2beta1` or `v2`.
    pub version: String,
}

impl KmsClient {
    /// A client that connects at its first call, and again after the plugin was away. `timeout` bounds
    /// each call, the connection included (`timeout` of the EncryptionConfiguration, 3 s by default).
    pub fn new(address: SocketAddress, timeout: Duration) -> Self {
        Self {
            socket: Socket::new(address, timeout),
        }
    }

    /// Asks for version, health and key id.
    ///
    /// # Errors
    /// Whatever would make an apiserver call the plugin unhealthy.
    pub async fn status(&self) -> Result<KmsStatus, KmsError> {
        let answer = self
            .socket
            .call("Status", |channel| async move {
                KeyManagementServiceClient::new(channel)
                    .status(StatusRequest {})
                    .await
            })
            .await?;
        let StatusResponse {
            version,
            healthz,
            key_id,
        } = answer;
        let socket = || self.socket.address.clone();
        if !VERSIONS.contains(&version.as_str()) {
            return Err(KmsError::Version {
                socket: socket(),
                version: version.as_str().into(),
                expected: "v2beta1 or v2",
            });
        }
        if healthz != HEALTHZ_OK {
            return Err(KmsError::Unhealthy {
                socket: socket(),
                healthz: healthz.as_str().into(),
            });
        }
        let key_id = key_id.parse().map_err(|source| KmsError::KeyId {
            socket: socket(),
            source,
        })?;
        Ok(KmsStatus { key_id, version })
    }

    /// Wraps a DEK source under the plugin's current key, which must be the one that
    /// [`Self::status`] named.
    ///
    /// # Errors
    /// [`KmsError::KeyIdChanged`] where the plugin rotated in between: ask for the status again.
    pub async fn encrypt(
        &self,
        dek_source: &DekSource,
        expected: &KeyId,
    ) -> Result<EncryptedDekSource, KmsError> {
        let request = EncryptRequest {
            plaintext: dek_source.expose().to_vec(),
            uid: uid::fresh()?,
        };
        let answer = self
            .socket
            .call("Encrypt", |channel| async move {
                KeyManagementServiceClient::new(channel)
                    .encrypt(request)
                    .await
            })
            .await?;
        let EncryptResponse {
            ciphertext,
            key_id,
            annotations,
        } = answer;
        let wrapped =
            EncryptedDekSource::from_wire(ciphertext, &key_id, annotations).map_err(|source| {
                KmsError::Answer {
                    socket: self.socket.address.clone(),
                    source,
                }
            })?;
        if wrapped.key_id != *expected {
            return Err(KmsError::KeyIdChanged {
                socket: self.socket.address.clone(),
                status: expected.clone(),
                encrypt: wrapped.key_id,
            });
        }
        Ok(wrapped)
    }

    /// Unwraps a DEK source.
    ///
    /// # Errors
    /// [`KmsError::Refused`] where the plugin cannot: one DEK source is at fault, not the plugin.
    pub async fn decrypt(&self, wrapped: &EncryptedDekSource) -> Result<DekSource, KmsError> {
        let EncryptedDekSource {
            ciphertext,
            key_id,
            annotations,
        } = wrapped;
        let request = DecryptRequest {
            ciphertext: ciphertext.as_bytes().to_vec(),
            uid: uid::fresh()?,
            key_id: key_id.as_str().to_owned(),
            annotations: annotations.to_wire(),
        };
        let mut answer = self
            .socket
            .call("Decrypt", |channel| async move {
                KeyManagementServiceClient::new(channel)
                    .decrypt(request)
                    .await
            })
            .await?;
        Ok(DekSource::new(std::mem::take(&mut answer.plaintext)))
    }
}

/// Whether a code says that nobody answered, rather than that the plugin refused.
fn is_absence(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::DeadlineExceeded)
}

#[cfg(test)]
mod tests;
