use std::{sync::Arc, time::Duration};

use kms_proto::{
    DekSource,
    wire::v1beta1::{
        DecryptRequest, EncryptRequest, VersionRequest,
        key_management_service_client::KeyManagementServiceClient,
    },
};
use tokio::sync::OnceCell;

use super::{KmsError, channel::Socket};
use crate::config::encryption::SocketAddress;

/// The only version of KMS v1 there is, in requests and answers.
const VERSION: &str = "v1beta1";

/// A client of one KMS v1 plugin. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KmsV1Client {
    socket: Socket,
    /// Whether the plugin has said that it speaks [`VERSION`].
    checked: Arc<OnceCell<()>>,
}

impl KmsV1Client {
    /// A client that connects at its first call. `timeout` bounds each call, the connection included.
    pub fn new(address: SocketAddress, timeout: Duration) -> Self {
        Self {
            socket: Socket::new(address, timeout),
            checked: Arc::default(),
        }
    }

    /// Asks once whether it speaks the right version, before anything else, as kube-apiserver does
    /// (`k8s.io/apiserver/pkg/storage/value/encrypt/envelope/grpc_service.go`).
    ///
    /// # Errors
    /// [`KmsError::Version`] where it speaks another one, or it does not answer; it is asked again
    /// then.
    pub async fn check(&self) -> Result<(), KmsError> {
        self.checked
            .get_or_try_init(|| self.check_version())
            .await
            .copied()
    }

    /// Wraps a DEK. Nothing in the answer tells under which KEK.
    ///
    /// # Errors
    /// What [`Self::check`] meets, or the plugin refuses.
    pub async fn encrypt(&self, dek: &DekSource) -> Result<Vec<u8>, KmsError> {
        self.check().await?;
        let request = EncryptRequest {
            version: VERSION.to_owned(),
            plain: dek.expose().to_vec(),
        };
        let answer = self
            .socket
            .call("Encrypt", |channel| async move {
                KeyManagementServiceClient::new(channel)
                    .encrypt(request)
                    .await
            })
            .await?;
        Ok(answer.cipher)
    }

    /// Unwraps a DEK.
    ///
    /// # Errors
    /// [`KmsError::Refused`] where the plugin cannot: one DEK is at fault, not the plugin. What
    /// [`Self::check`] meets.
    pub async fn decrypt(&self, cipher: &[u8]) -> Result<DekSource, KmsError> {
        self.check().await?;
        let request = DecryptRequest {
            version: VERSION.to_owned(),
            cipher: cipher.to_vec(),
        };
        let mut answer = self
            .socket
            .call("Decrypt", |channel| async move {
                KeyManagementServiceClient::new(channel)
                    .decrypt(request)
                    .await
            })
            .await?;
        Ok(DekSource::new(std::mem::take(&mut answer.plain)))
    }

    async fn check_version(&self) -> Result<(), KmsError> {
        let request = VersionRequest {
            version: VERSION.to_owned(),
        };
        let answer = self
            .socket
            .call("Version", |channel| async move {
                KeyManagementServiceClient::new(channel)
                    .version(request)
                    .await
            })
            .await?;
        if answer.version == VERSION {
            return Ok(());
        }
        Err(KmsError::Version {
            socket: self.socket.address.clone(),
            version: answer.version.as_str().into(),
            expected: VERSION,
        })
    }
}
