//! Sealed copies of local KEKs: for a machine that starts while no root answers. Off by default.

use hkdf::Hkdf;
use kms_proto::{Annotations, DekSource, EncryptedDekSource, KeyId};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{ANNOTATION, Envelope};
use crate::{
    fields,
    kek::{KekError, Sealer},
    root::local::KeyMaterial,
};

const LABEL: &[u8] = b"ringfence/sealed-copy/v1";

/// Seals and opens copies of local KEKs under a key of this machine, such as one that systemd keeps as an
/// encrypted credential.
#[expect(missing_debug_implementations, reason = "it holds a key")]
pub struct SealedCopies(Sealer);

impl SealedCopies {
    /// Seals under a key derived from this one.
    pub fn new(material: &KeyMaterial, context: &str) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, material.expose())
            .expand(&fields::encode([LABEL, b"seal"]), &mut *key)
            .expect("SHA-256 expands to far more than 32 bytes");
        Self(Sealer::new(&key, LABEL, context))
    }

    /// A copy of a local KEK, bound to it as the roots wrapped it.
    pub(super) fn seal(
        &self,
        material: &KeyMaterial,
        envelope: &Envelope,
    ) -> Result<Vec<u8>, KekError> {
        let key = DekSource::new(material.expose().to_vec());
        let (key_id, annotations) = place(envelope);
        let sealed = self.0.wrap(&key, key_id, annotations)?;
        Ok(sealed.ciphertext.as_bytes().to_vec())
    }

    /// The local KEK in a copy; `None` if it is not that of this envelope, or was sealed under another key.
    pub(super) fn open(&self, sealed: &[u8], envelope: &Envelope) -> Option<KeyMaterial> {
        let (key_id, annotations) = place(envelope);
        let opened = self.0.unwrap(&EncryptedDekSource {
            ciphertext: sealed.to_vec().try_into().ok()?,
            key_id,
            annotations,
        });
        let key = <[u8; 32]>::try_from(opened.ok()?.expose()).ok()?;
        Some(KeyMaterial::new(Box::new(key)))
    }
}

/// What a copy is bound to: which local KEK it is, and as what the roots wrapped it.
fn place(envelope: &Envelope) -> (KeyId, Annotations) {
    let id = envelope.id().to_string();
    let annotations = Annotations::new([(ANNOTATION.to_owned(), envelope.to_bytes())])
        .expect("an envelope is within the limits of annotations");
    (id.parse().expect("32 digits are a key id"), annotations)
}
