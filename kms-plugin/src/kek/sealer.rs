//! How a 256-bit key of this process wraps DEK sources.

use kms_proto::{Annotations, Ciphertext, DekSource, EncryptedDekSource, KeyId};
use xaes_256_gcm::{
    Nonce, Tag, Xaes256Gcm,
    aead::{AeadInOut, KeyInit},
};
use zeroize::Zeroizing;

use super::KekError;
use crate::fields;

/// The first byte of every ciphertext: the format below. A byte that was ever released is read for
/// ever.
const FORMAT: u8 = 1;
const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;
const HEADER_LEN: usize = 1 + NONCE_LEN;
/// The longest DEK source that fits into a ciphertext, in bytes.
const MAX_DEK_LEN: usize = Ciphertext::MAX_LEN - HEADER_LEN - TAG_LEN;

/// A key that wraps DEK sources.
///
/// A ciphertext is `format (1) || nonce (24) || XAES-256-GCM ciphertext || tag (16)`, with XAES-256-GCM
/// as C2SP specifies it (<https://c2sp.org/XAES-256-GCM>): its nonces are long enough to be drawn
/// at random for ever. The authenticated data are label, context, key id and annotations, each
/// after its length.
pub(crate) struct Sealer {
    cipher: Box<Xaes256Gcm>,
    label: &'static [u8],
    context: String,
}

impl Sealer {
    /// `label` names the construction that the key belongs to.
    pub(crate) fn new(key: &[u8; 32], label: &'static [u8], context: &str) -> Self {
        Self {
            cipher: Box::new(Xaes256Gcm::new(key.into())),
            label,
            context: context.to_owned(),
        }
    }

    /// Wraps a DEK source; key id and annotations are authenticated with it.
    pub(crate) fn wrap(
        &self,
        dek: &DekSource,
        key_id: KeyId,
        annotations: Annotations,
    ) -> Result<EncryptedDekSource, KekError> {
        let dek = dek.expose();
        let too_long = || KekError::TooLong {
            len: dek.len(),
            max: MAX_DEK_LEN,
        };
        if dek.len() > MAX_DEK_LEN {
            return Err(too_long());
        }
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(KekError::Random)?;

        let mut sealed = Vec::with_capacity(HEADER_LEN + dek.len() + TAG_LEN);
        sealed.push(FORMAT);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(dek);
        let tag = self
            .cipher
            .encrypt_inout_detached(
                &Nonce::from(nonce),
                &self.authenticated_data(&key_id, &annotations),
                (&mut sealed[HEADER_LEN..]).into(),
            )
            .map_err(|_| too_long())?;
        sealed.extend_from_slice(&tag);
        Ok(EncryptedDekSource {
            ciphertext: sealed.try_into().map_err(|_| too_long())?,
            key_id,
            annotations,
        })
    }

    /// Unwraps a DEK source, if nothing of it was changed.
    pub(crate) fn unwrap(&self, wrapped: &EncryptedDekSource) -> Result<DekSource, KekError> {
        let bytes = wrapped.ciphertext.as_bytes();
        let (header, rest) = bytes
            .split_first_chunk::<HEADER_LEN>()
            .ok_or(KekError::Unauthentic)?;
        let [FORMAT, nonce @ ..] = header else {
            return Err(KekError::Unauthentic);
        };
        let (body, tag) = rest
            .split_last_chunk::<TAG_LEN>()
            .ok_or(KekError::Unauthentic)?;
        let mut opened = Zeroizing::new(body.to_vec());
        self.cipher
            .decrypt_inout_detached(
                &Nonce::from(*nonce),
                &self.authenticated_data(&wrapped.key_id, &wrapped.annotations),
                opened.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .map_err(|_| KekError::Unauthentic)?;
        Ok(DekSource::new(opened))
    }

    fn authenticated_data(&self, key_id: &KeyId, annotations: &Annotations) -> Vec<u8> {
        let count = (annotations.iter().len() as u64).to_be_bytes();
        let head = [
            self.label,
            self.context.as_bytes(),
            key_id.as_str().as_bytes(),
            &count,
        ];
        fields::encode(
            head.into_iter().chain(
                annotations
                    .iter()
                    .flat_map(|(key, value)| [key.as_bytes(), value]),
            ),
        )
    }
}
