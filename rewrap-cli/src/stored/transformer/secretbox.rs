//! NaCl's secretbox, XSalsa20-Poly1305: `nonce (24) || tag (16) || ciphertext`. Authenticated, but
//! not bound to the etcd key. The one file that knows the crate behind it.

use crypto_secretbox::{Key, KeyInit as _, XSalsa20Poly1305, aead::AeadInPlace as _};

use super::{OpenCause, Plaintext};

/// Bytes of a nonce.
pub(in crate::stored) const NONCE_LEN: usize = 24;
/// Bytes of an authentication tag.
pub(in crate::stored) const TAG_LEN: usize = 16;
const KEY_LEN: usize = 32;

/// Opens a body.
pub(in crate::stored) fn open(key: &[u8], body: &[u8]) -> Result<Plaintext, OpenCause> {
    let cipher = cipher(key).ok_or(OpenCause::KeyLength(key.len()))?;
    let too_short = OpenCause::TooShort {
        len: body.len(),
        least: NONCE_LEN + TAG_LEN,
    };
    let Some((nonce, sealed)) = body.split_first_chunk::<NONCE_LEN>() else {
        return Err(too_short);
    };
    let Some((tag, ciphertext)) = sealed.split_first_chunk::<TAG_LEN>() else {
        return Err(too_short);
    };
    let mut plaintext = Plaintext::new(ciphertext.to_vec());
    cipher
        .decrypt_in_place_detached(nonce.into(), b"", &mut plaintext.0, tag.into())
        .map_err(|_| OpenCause::NotAuthentic)?;
    Ok(plaintext)
}

/// Appends `nonce || tag || ciphertext`; `None` where the key has a wrong length. The caller never
/// gives one nonce twice with one key.
pub(in crate::stored) fn seal(
    key: &[u8],
    plaintext: &[u8],
    nonce: [u8; NONCE_LEN],
    out: &mut Vec<u8>,
) -> Option<()> {
    let cipher = cipher(key)?;
    out.extend_from_slice(&nonce);
    let start = out.len();
    out.extend_from_slice(&[0; TAG_LEN]);
    out.extend_from_slice(plaintext);
    let (head, buffer) = out[start..].split_at_mut(TAG_LEN);
    let tag = cipher
        .encrypt_in_place_detached(&nonce.into(), b"", buffer)
        .ok()?;
    head.copy_from_slice(&tag);
    Some(())
}

fn cipher(key: &[u8]) -> Option<XSalsa20Poly1305> {
    (key.len() == KEY_LEN).then(|| XSalsa20Poly1305::new(Key::from_slice(key)))
}
