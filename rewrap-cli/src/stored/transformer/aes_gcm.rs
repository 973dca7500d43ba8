//! AES-GCM, bound to the etcd key: `nonce (12) || ciphertext || tag (16)`.
//!
//! ring for keys of 16 and 32 bytes; it has no AES-192, so keys of 24 bytes go through `aes-gcm`.

use aes_gcm::{
    AesGcm, KeyInit as _,
    aead::{AeadInOut as _, consts::U12},
};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::{OpenCause, Plaintext};

/// Bytes of a nonce.
pub(in crate::stored) const NONCE_LEN: usize = 12;
/// Bytes of an authentication tag.
pub(in crate::stored) const TAG_LEN: usize = 16;

/// A key of 16, 24 or 32 bytes, ready for use.
pub(in crate::stored) enum GcmKey {
    Ring(LessSafeKey),
    Aes192(AesGcm<aes::Aes192, U12>),
}

impl GcmKey {
    /// `None` for any other length.
    pub(in crate::stored) fn new(key: &[u8]) -> Option<Self> {
        let algorithm = match key.len() {
            16 => &AES_128_GCM,
            24 => return Some(Self::Aes192(AesGcm::new_from_slice(key).ok()?)),
            32 => &AES_256_GCM,
            _ => return None,
        };
        Some(Self::Ring(LessSafeKey::new(
            UnboundKey::new(algorithm, key).ok()?,
        )))
    }

    /// Opens `nonce || ciphertext || tag`.
    pub(in crate::stored) fn open(&self, path: &[u8], body: &[u8]) -> Result<Plaintext, OpenCause> {
        let Some((nonce, sealed)) = body
            .split_first_chunk::<NONCE_LEN>()
            .filter(|(_, sealed)| sealed.len() >= TAG_LEN)
        else {
            return Err(OpenCause::TooShort {
                len: body.len(),
                least: NONCE_LEN + TAG_LEN,
            });
        };
        let mut plaintext = Plaintext::new(sealed.to_vec());
        let buffer = &mut plaintext.0;
        match self {
            Self::Ring(key) => {
                key.open_in_place(
                    Nonce::assume_unique_for_key(*nonce),
                    Aad::from(path),
                    buffer,
                )
                .map_err(|ring::error::Unspecified| OpenCause::NotAuthentic)?;
                buffer.truncate(sealed.len() - TAG_LEN);
            }
            Self::Aes192(key) => key
                .decrypt_in_place(&(*nonce).into(), path, buffer)
                .map_err(|_| OpenCause::NotAuthentic)?,
        }
        Ok(plaintext)
    }

    /// Appends `nonce || ciphertext || tag`. The caller never gives one nonce twice with one key.
    pub(in crate::stored) fn seal(
        &self,
        path: &[u8],
        plaintext: &[u8],
        nonce: [u8; NONCE_LEN],
        out: &mut Vec<u8>,
    ) -> Result<(), TooLarge> {
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(plaintext);
        let buffer = &mut out[start..];
        match self {
            Self::Ring(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = key
                    .seal_in_place_separate_tag(nonce, Aad::from(path), buffer)
                    .map_err(|ring::error::Unspecified| TooLarge)?;
                out.extend_from_slice(tag.as_ref());
            }
            Self::Aes192(key) => {
                let tag = key
                    .encrypt_inout_detached(&nonce.into(), path, buffer.into())
                    .map_err(|_| TooLarge)?;
                out.extend_from_slice(&tag);
            }
        }
        Ok(())
    }
}

/// The plaintext exceeds what AES-GCM takes: 64 GiB.
#[derive(Debug)]
pub(in crate::stored) struct TooLarge;
