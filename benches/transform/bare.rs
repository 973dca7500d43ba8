//! What KMS v2 cannot do without, put together with nothing around it.

use std::hint::black_box;

use hkdf::Hkdf;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sha2::Sha256;

const INFO_LEN: usize = 32;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;

/// `info (32) || nonce (12) || ciphertext || tag (16)`: 44 bytes of the operating system, HKDF-Expand
/// and AES-256-GCM. The seed is set up for HKDF once, and each answer is one buffer that is filled
/// once: the least that any implementation with owned results does.
pub(crate) struct Bare(Hkdf<Sha256>);

impl Bare {
    pub(crate) fn new(seed: &[u8]) -> Self {
        Self(Hkdf::from_prk(seed).expect("32 bytes"))
    }

    pub(crate) fn seal(&self, path: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let mut random = [0; INFO_LEN + NONCE_LEN];
        getrandom::fill(&mut random).expect("randomness");
        let (info, nonce) = random.split_at(INFO_LEN);
        let key = self.key(info);
        let mut out = Vec::with_capacity(random.len() + plaintext.len() + TAG_LEN);
        out.extend_from_slice(&random);
        out.extend_from_slice(plaintext);
        let nonce = Nonce::try_assume_unique_for_key(nonce).expect("12 bytes");
        let tag = key
            .seal_in_place_separate_tag(nonce, Aad::from(path), &mut out[INFO_LEN + NONCE_LEN..])
            .expect("not too long");
        out.extend_from_slice(tag.as_ref());
        out
    }

    pub(crate) fn open(&self, path: &[u8], data: &[u8]) -> Vec<u8> {
        let (info, body) = data.split_at(INFO_LEN);
        let (nonce, sealed) = body.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).expect("12 bytes");
        let mut out = sealed.to_vec();
        let len = self
            .key(info)
            .open_in_place(nonce, Aad::from(path), &mut out)
            .expect("authentic")
            .len();
        out.truncate(len);
        out
    }

    fn key(&self, info: &[u8]) -> LessSafeKey {
        let mut key = [0; 32];
        self.0.expand(black_box(info), &mut key).expect("one block");
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).expect("32 bytes"))
    }
}
