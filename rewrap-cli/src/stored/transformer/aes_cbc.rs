//! AES-CBC with PKCS#7 padding: `IV (16) || ciphertext`. Not authenticated, not bound to the etcd
//! key: with a wrong key the padding fits once in 256 times, so [`open`] also wants to be told what
//! a right plaintext is.

use aes::{Aes128, Aes192, Aes256};
use cbc::{
    Decryptor, Encryptor,
    cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7},
};

use super::{OpenCause, Plaintext};
use crate::stored::object::NotAnObject;

const BLOCK: usize = 16;

/// Bytes of an IV.
pub(in crate::stored) const IV_LEN: usize = BLOCK;

/// Opens a body whose plaintext `accept` takes for right.
///
/// Stricter than kube-apiserver in two places where it would return garbage or panic: a padding of
/// more than one block, which nobody writes, and a body without any block.
pub(in crate::stored) fn open(
    key: &[u8],
    body: &[u8],
    accept: impl Fn(&[u8]) -> Result<(), NotAnObject>,
) -> Result<Plaintext, OpenCause> {
    let Some((iv, blocks)) = body
        .split_first_chunk::<IV_LEN>()
        .filter(|(_, blocks)| !blocks.is_empty())
    else {
        return Err(OpenCause::TooShort {
            len: body.len(),
            least: IV_LEN + BLOCK,
        });
    };
    if !blocks.len().is_multiple_of(BLOCK) {
        return Err(OpenCause::NotBlocks);
    }
    let mut plaintext = Plaintext::new(blocks.to_vec());
    let buffer = &mut plaintext.0;
    let len = match key.len() {
        16 => decrypt::<Decryptor<Aes128>>(key, iv, buffer),
        24 => decrypt::<Decryptor<Aes192>>(key, iv, buffer),
        32 => decrypt::<Decryptor<Aes256>>(key, iv, buffer),
        other => return Err(OpenCause::KeyLength(other)),
    }
    .ok_or(OpenCause::Padding)?;
    buffer.truncate(len);
    accept(buffer).map_err(OpenCause::NotAnObject)?;
    Ok(plaintext)
}

/// Appends `IV || ciphertext`; `None` where the key has a wrong length.
pub(in crate::stored) fn seal(
    key: &[u8],
    plaintext: &[u8],
    iv: [u8; IV_LEN],
    out: &mut Vec<u8>,
) -> Option<()> {
    out.extend_from_slice(&iv);
    let start = out.len();
    out.extend_from_slice(plaintext);
    out.resize(start + (plaintext.len() / BLOCK + 1) * BLOCK, 0);
    let buffer = &mut out[start..];
    match key.len() {
        16 => encrypt::<Encryptor<Aes128>>(key, &iv, buffer, plaintext.len()),
        24 => encrypt::<Encryptor<Aes192>>(key, &iv, buffer, plaintext.len()),
        32 => encrypt::<Encryptor<Aes256>>(key, &iv, buffer, plaintext.len()),
        _ => None,
    }
}

/// The length without padding; `None` where the padding is wrong.
fn decrypt<C: KeyIvInit + BlockModeDecrypt>(
    key: &[u8],
    iv: &[u8; IV_LEN],
    buffer: &mut [u8],
) -> Option<usize> {
    let cipher = C::new_from_slices(key, iv).ok()?;
    let plaintext = cipher.decrypt_padded::<Pkcs7>(buffer).ok()?;
    Some(plaintext.len())
}

fn encrypt<C: KeyIvInit + BlockModeEncrypt>(
    key: &[u8],
    iv: &[u8; IV_LEN],
    buffer: &mut [u8],
    len: usize,
) -> Option<()> {
    let cipher = C::new_from_slices(key, iv).ok()?;
    cipher.encrypt_padded::<Pkcs7>(buffer, len).ok()?;
    Some(())
}
