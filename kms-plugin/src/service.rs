//! What a KMS v2 plugin does, in our own types. No sockets, no messages.

use std::sync::Arc;

use kms_proto::{DekSource, EncryptedDekSource, KeyId};

use crate::{
    kek::{KekError, Unavailable},
    keyring::{Keyring, SharedKeyring},
};

/// What a KMS v2 plugin does, in our own types.
///
/// Status and Encrypt answer from the same immutable keyring, so the key id of an Encrypt is the
/// one of the Status before it unless a rotation fell between the two.
#[derive(Debug, Clone)]
pub struct KmsService {
    keyring: Arc<SharedKeyring>,
}

impl KmsService {
    /// Serves the keyring that `keyring` holds at the time of each call.
    pub fn new(keyring: Arc<SharedKeyring>) -> Self {
        Self { keyring }
    }

    /// The key id under which the next [`Self::encrypt`] answers. From memory; never waits.
    ///
    /// # Errors
    /// Nothing may be wrapped now.
    pub fn status(&self) -> Result<KeyId, Unavailable> {
        self.snapshot().primary().kek.key_id()
    }

    /// Wraps a DEK source with the primary KEK.
    ///
    /// # Errors
    /// Those of [`Kek::wrap`](crate::kek::Kek::wrap).
    pub async fn encrypt(&self, dek: DekSource) -> Result<EncryptedDekSource, KekError> {
        self.snapshot().primary().kek.wrap(dek).await
    }

    /// Unwraps a DEK source with the KEK that its key id names.
    ///
    /// # Errors
    /// No KEK has that key id, or the KEK refuses it.
    pub async fn decrypt(&self, wrapped: &EncryptedDekSource) -> Result<DekSource, DecryptError> {
        let keyring = self.snapshot();
        let member = keyring.find(wrapped).ok_or(DecryptError::UnknownKeyId)?;
        Ok(member.kek.unwrap(wrapped).await?)
    }

    fn snapshot(&self) -> Arc<Keyring> {
        self.keyring.load()
    }
}

/// Why a DEK source was not unwrapped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecryptError {
    /// The KEK refused it.
    #[error(transparent)]
    Kek(#[from] KekError),
    /// No KEK in the keyring has this key id.
    #[error("no KEK in the keyring has this key id; add the key that made it to `keks` again")]
    UnknownKeyId,
}
