//! An age file with one recipient and a content of fixed length (<https://c2sp.org/age>).

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use chacha20poly1305::{
    ChaCha20Poly1305, Nonce, Tag,
    aead::{AeadInOut, KeyInit},
};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use x25519_dalek::{PublicKey, SharedSecret, StaticSecret};
use zeroize::Zeroizing;

use super::keys::{Identity, Recipient};

/// The length of the content, in bytes.
pub(super) const PAYLOAD_LEN: usize = 64;

const SHARE_LEN: usize = 32;
const FILE_KEY_LEN: usize = 16;
const TAG_LEN: usize = 16;
const MAC_LEN: usize = 32;
const NONCE_LEN: usize = 16;
const LEN: usize = SHARE_LEN + FILE_KEY_LEN + TAG_LEN + MAC_LEN + NONCE_LEN + PAYLOAD_LEN + TAG_LEN;

/// Used with keys that are used once.
const STANZA_NONCE: [u8; 12] = [0; 12];
/// The first chunk of the content (11 bytes), which is the last (1 byte).
const CHUNK_NONCE: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// The parts of the file, in its order: share, encrypted file key, MAC, nonce, encrypted content.
pub(super) struct Sealed(Box<[u8; LEN]>);

impl Sealed {
    pub(super) fn seal(
        recipient: &Recipient,
        payload: &[u8; PAYLOAD_LEN],
    ) -> Result<Self, getrandom::Error> {
        let random = || -> Result<Zeroizing<[u8; 32]>, getrandom::Error> {
            let mut bytes = Zeroizing::new([0; 32]);
            getrandom::fill(&mut *bytes)?;
            Ok(bytes)
        };
        let ephemeral = StaticSecret::from(*random()?);
        let share = PublicKey::from(&ephemeral).to_bytes();
        let shared = recipient
            .agree(&ephemeral)
            .expect("the recipient was tried when it was read");
        let mut file_key = Zeroizing::new([0; FILE_KEY_LEN]);
        file_key.copy_from_slice(&random()?[..FILE_KEY_LEN]);

        let mut sealed = Self(Box::new([0; LEN]));
        let (share_part, rest) = sealed.0.split_at_mut(SHARE_LEN);
        let (key_part, rest) = rest.split_at_mut(FILE_KEY_LEN + TAG_LEN);
        let (mac_part, rest) = rest.split_at_mut(MAC_LEN);
        let (nonce_part, payload_part) = rest.split_at_mut(NONCE_LEN);
        share_part.copy_from_slice(&share);
        key_part[..FILE_KEY_LEN].copy_from_slice(&*file_key);
        encrypt(
            &wrap_key(&shared, &share, recipient),
            &STANZA_NONCE,
            key_part,
        );
        let header = header(share_part, key_part);
        mac_part.copy_from_slice(&mac(&file_key, &header).finalize().into_bytes());
        nonce_part.copy_from_slice(&random()?[..NONCE_LEN]);
        payload_part[..PAYLOAD_LEN].copy_from_slice(payload);
        encrypt(
            &payload_key(&file_key, nonce_part),
            &CHUNK_NONCE,
            payload_part,
        );
        Ok(sealed)
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, NotAgeFile> {
        let bytes = Box::<[u8; LEN]>::try_from(bytes.to_vec()).map_err(|_| NotAgeFile)?;
        Ok(Self(bytes))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &*self.0
    }

    /// The content, if this was sealed to the identity's recipient and not altered.
    pub(super) fn open(&self, identity: &Identity) -> Option<Zeroizing<[u8; PAYLOAD_LEN]>> {
        let Parts {
            share,
            file_key,
            mac: expected,
            nonce,
            payload,
        } = self.parts();
        let shared = identity.agree(share.try_into().ok()?)?;
        let key = wrap_key(&shared, share, &identity.recipient);
        let opened = decrypt::<FILE_KEY_LEN>(&key, &STANZA_NONCE, file_key)?;
        mac(&opened, &header(share, file_key))
            .verify_slice(expected)
            .ok()?;
        decrypt(&payload_key(&opened, nonce), &CHUNK_NONCE, payload)
    }

    /// The file itself.
    pub(super) fn to_file(&self) -> Vec<u8> {
        let Parts {
            share,
            file_key,
            mac,
            nonce,
            payload,
        } = self.parts();
        let mut file = header(share, file_key).into_bytes();
        file.extend_from_slice(format!(" {}\n", BASE64_STANDARD_NO_PAD.encode(mac)).as_bytes());
        file.extend_from_slice(nonce);
        file.extend_from_slice(payload);
        file
    }

    fn parts(&self) -> Parts<'_> {
        let (share, rest) = self.0.split_at(SHARE_LEN);
        let (file_key, rest) = rest.split_at(FILE_KEY_LEN + TAG_LEN);
        let (mac, rest) = rest.split_at(MAC_LEN);
        let (nonce, payload) = rest.split_at(NONCE_LEN);
        Parts {
            share,
            file_key,
            mac,
            nonce,
            payload,
        }
    }
}

struct Parts<'a> {
    share: &'a [u8],
    file_key: &'a [u8],
    mac: &'a [u8],
    nonce: &'a [u8],
    payload: &'a [u8],
}

/// The header as far as its MAC covers it.
fn header(share: &[u8], file_key: &[u8]) -> String {
    format!(
        "age-encryption.org/v1\n-> X25519 {}\n{}\n---",
        BASE64_STANDARD_NO_PAD.encode(share),
        BASE64_STANDARD_NO_PAD.encode(file_key)
    )
}

fn wrap_key(shared: &SharedSecret, share: &[u8], recipient: &Recipient) -> Zeroizing<[u8; 32]> {
    let salt = [share, recipient.as_bytes()].concat();
    derive(&salt, shared.as_bytes(), b"age-encryption.org/v1/X25519")
}

fn payload_key(file_key: &[u8; FILE_KEY_LEN], nonce: &[u8]) -> Zeroizing<[u8; 32]> {
    derive(nonce, file_key, b"payload")
}

fn mac(file_key: &[u8; FILE_KEY_LEN], header: &str) -> Hmac<Sha256> {
    let key = derive(&[], file_key, b"header");
    let mut mac = Hmac::<Sha256>::new_from_slice(&*key).expect("HMAC takes keys of any length");
    mac.update(header.as_bytes());
    mac
}

fn derive(salt: &[u8], secret: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), secret)
        .expand(info, &mut *key)
        .expect("SHA-256 expands to far more than 32 bytes");
    key
}

/// Encrypts all but the last 16 bytes in place, and puts the tag there.
fn encrypt(key: &[u8; 32], nonce: &[u8; 12], buffer: &mut [u8]) {
    let (text, tag) = buffer.split_at_mut(buffer.len() - TAG_LEN);
    let made = ChaCha20Poly1305::new(key.into())
        .encrypt_inout_detached(&Nonce::from(*nonce), &[], text.into())
        .expect("some bytes are not too many");
    tag.copy_from_slice(&made);
}

fn decrypt<const N: usize>(
    key: &[u8; 32],
    nonce: &[u8; 12],
    sealed: &[u8],
) -> Option<Zeroizing<[u8; N]>> {
    let (text, tag) = sealed.split_last_chunk::<TAG_LEN>()?;
    let mut opened = Zeroizing::new([0; N]);
    if text.len() != N {
        return None;
    }
    opened.copy_from_slice(text);
    ChaCha20Poly1305::new(key.into())
        .decrypt_inout_detached(
            &Nonce::from(*nonce),
            &[],
            opened.as_mut_slice().into(),
            &Tag::from(*tag),
        )
        .ok()?;
    Some(opened)
}

/// The bytes are not those of an age file with one X25519 stanza.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was not wrapped by an age recipient")]
pub struct NotAgeFile;
