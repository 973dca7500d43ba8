//! The local root: a KEK in a key file.

use std::{fmt, path::PathBuf};

use async_trait::async_trait;
use hkdf::Hkdf;
use kms_proto::{Annotations, DekSource, EncryptedDekSource, KeyId};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    fields,
    kek::{Kek, KekError, Sealer, Unavailable},
};

mod key_file;

pub use key_file::{KeyFileError, KeyMaterial, generate};

/// Epochs are numbered from 1 to this; all of them unwrap, whichever wraps.
pub const MAX_EPOCH: u32 = 64;

/// Names this construction in every key, key id and ciphertext made with it.
const LABEL: &[u8] = b"ringfence/local/v1";

/// The settings of a local KEK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The file that holds the key: absolute.
    pub key_file: PathBuf,
}

/// A KEK made from a key file.
///
/// A ciphertext is `format (1) || nonce (24) || XAES-256-GCM ciphertext || tag (16)`, with XAES-256-GCM
/// as C2SP specifies it (<https://c2sp.org/XAES-256-GCM>): its nonces are long enough to be drawn
/// at random for ever. The authenticated data are label, context, key id and annotations, each
/// after its length.
///
/// A key id is `rf-local-` and the first 128 bits of SHA-256 over label, HKDF(key, "key id") and
/// epoch, each after its length. So it says nothing of the key, every node computes the same, and
/// another key under the same name has another id.
pub struct Local {
    sealer: Sealer,
    key_ids: Vec<KeyId>,
    current: usize,
}

impl Local {
    /// Reads the key file.
    ///
    /// # Errors
    /// The file is missing, open to others, or holds no random key.
    pub fn open(config: &Config, context: &str, epoch: u32) -> Result<Self, KeyFileError> {
        let material = KeyMaterial::read(&config.key_file)?;
        Ok(Self::new(&material, context, epoch))
    }

    /// A KEK from key material; `epoch` is 1 to [`MAX_EPOCH`].
    pub fn new(material: &KeyMaterial, context: &str, epoch: u32) -> Self {
        let key_id_key = derive(material, b"key id");
        Self {
            sealer: Sealer::new(&derive(material, b"wrap"), LABEL, context),
            key_ids: (1..=MAX_EPOCH)
                .map(|epoch| key_id(&key_id_key, epoch))
                .collect(),
            current: (epoch.clamp(1, MAX_EPOCH) - 1) as usize,
        }
    }

    /// The key id it wraps under.
    pub fn current_id(&self) -> &KeyId {
        &self.key_ids[self.current]
    }
}

#[async_trait]
impl Kek for Local {
    fn key_id(&self) -> Result<KeyId, Unavailable> {
        Ok(self.current_id().clone())
    }

    fn key_ids(&self) -> &[KeyId] {
        &self.key_ids
    }

    async fn wrap(&self, dek: DekSource) -> Result<EncryptedDekSource, KekError> {
        self.sealer
            .wrap(&dek, self.current_id().clone(), Annotations::default())
    }

    async fn unwrap(&self, wrapped: &EncryptedDekSource) -> Result<DekSource, KekError> {
        self.sealer.unwrap(wrapped)
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local")
            .field("key_id", self.current_id())
            .finish_non_exhaustive()
    }
}

/// HKDF-SHA256 (RFC 5869) without salt: the key material is uniformly random. The purpose keeps
/// the keys apart.
fn derive(material: &KeyMaterial, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, material.expose())
        .expand(&fields::encode([LABEL, purpose]), &mut *key)
        .expect("SHA-256 expands to far more than 32 bytes");
    key
}

fn key_id(key_id_key: &[u8; 32], epoch: u32) -> KeyId {
    let hash = Sha256::digest(fields::encode([LABEL, key_id_key, &epoch.to_be_bytes()]));
    format!("rf-local-{}", hex::encode(&hash[..16]))
        .parse()
        .expect("41 characters are a key id")
}

#[cfg(test)]
mod tests;
