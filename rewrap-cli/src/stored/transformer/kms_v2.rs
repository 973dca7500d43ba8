//! The KMS v2 envelope: a protobuf `EncryptedObject`.
//!
//! Its `encryptedData` is, for type 0, `nonce (12) || ciphertext || tag (16)` under the DEK source
//! itself; for type 1, `info (32) || nonce (12) || ciphertext || tag (16)` under
//! `HKDF-Expand(SHA-256, seed, info, 32)`, a key for every value. Both are AES-GCM, bound to the
//! etcd key.

use hkdf::Hkdf;
use kms_proto::DekSourceType;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{
    OpenCause, Plaintext,
    aes_gcm::{GcmKey, NONCE_LEN, TAG_LEN},
};
use crate::stored::{
    dek::{ReadDek, WriteDek},
    rule::SealError,
};

const INFO_LEN: usize = 32;

/// The key of the protobuf field `encryptedData`: number 1, length-delimited.
const ENCRYPTED_DATA: u8 = 1 << 3 | 2;

/// The longest length delimiter, in bytes.
const MAX_DELIMITER_LEN: usize = 10;

/// Opens the `encryptedData` of an envelope.
pub(in crate::stored) fn open(
    dek: &ReadDek,
    kind: DekSourceType,
    path: &[u8],
    data: &[u8],
) -> Result<Plaintext, OpenCause> {
    let secret = dek.source().expose();
    match kind {
        DekSourceType::AesGcmKey => GcmKey::new(secret)
            .ok_or(OpenCause::KeyLength(secret.len()))?
            .open(path, data),
        DekSourceType::HkdfSha256XnonceAesGcmSeed => {
            let Some((info, body)) = data.split_first_chunk::<INFO_LEN>() else {
                return Err(OpenCause::TooShort {
                    len: data.len(),
                    least: INFO_LEN + NONCE_LEN + TAG_LEN,
                });
            };
            dek.seed()
                .ok_or(OpenCause::KeyLength(secret.len()))?
                .derive_key(info)
                .open(path, body)
        }
    }
}

/// The bytes that [`seal`] appends, at most.
pub(in crate::stored) fn sealed_len(dek: &WriteDek, plaintext: &[u8]) -> usize {
    1 + MAX_DELIMITER_LEN + INFO_LEN + NONCE_LEN + plaintext.len() + TAG_LEN + dek.constant().len()
}

/// Appends the envelope of a value, encrypting in place: the plaintext is copied once.
pub(in crate::stored) fn seal(
    dek: &WriteDek,
    path: &[u8],
    plaintext: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), SealError> {
    let gcm_len = NONCE_LEN + plaintext.len() + TAG_LEN;
    match dek.reference().kind() {
        DekSourceType::AesGcmKey => {
            let secret = dek.source().expose();
            let count = dek.next_count().ok_or(SealError::NoncesExhausted)?;
            let mut nonce = [0; NONCE_LEN];
            let (random, counter) = nonce.split_at_mut(NONCE_LEN - size_of_val(&count));
            getrandom::fill(random)?;
            counter.copy_from_slice(&count.to_le_bytes());
            let key = GcmKey::new(secret).ok_or(SealError::KeyLength(secret.len()))?;
            begin(gcm_len, out);
            key.seal(path, plaintext, nonce, out)?;
        }
        DekSourceType::HkdfSha256XnonceAesGcmSeed => {
            let mut random = [0; INFO_LEN + NONCE_LEN];
            getrandom::fill(&mut random)?;
            let (info, nonce) = random.split_at(INFO_LEN);
            let key = dek.seed().derive_key(info);
            begin(INFO_LEN + gcm_len, out);
            out.extend_from_slice(info);
            key.seal(path, plaintext, nonce.try_into().expect("the rest"), out)?;
        }
    }
    out.extend_from_slice(dek.constant());
    Ok(())
}

/// Begins the field `encryptedData`.
fn begin(data_len: usize, out: &mut Vec<u8>) {
    out.push(ENCRYPTED_DATA);
    prost::encode_length_delimiter(data_len, out).expect("a Vec grows");
}

/// A seed, ready to derive keys from: `HKDF-Expand` alone, as kube-apiserver does it, for the seed
/// is random already.
pub(in crate::stored) struct Seed(Hkdf<Sha256>);

impl Seed {
    /// `None` where the seed is shorter than 32 bytes.
    pub(in crate::stored) fn new(secret: &[u8]) -> Option<Self> {
        Hkdf::from_prk(secret).ok().map(Self)
    }

    fn derive_key(&self, info: &[u8]) -> GcmKey {
        let mut key = Zeroizing::new([0; 32]);
        self.0
            .expand(info, &mut *key)
            .expect("one block is not too long");
        GcmKey::new(&*key).expect("32 bytes are a key")
    }
}
