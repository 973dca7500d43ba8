//! Stored values made and opened by other code than the one under test.

use std::fmt::Write as _;

use aes::Aes256;
use cbc::{
    Decryptor, Encryptor,
    cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7},
};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::{
    dice::Dice,
    encryption::{Provider, secret},
};

const AES_CBC: &str = "k8s:enc:aescbc:v1:";
const AES_GCM: &str = "k8s:enc:aesgcm:v1:";

/// A Secret as kube-apiserver stores it in JSON.
pub(crate) fn secret_json(namespace: &str, name: &str, data: &str) -> Vec<u8> {
    let mut text = String::new();
    write!(
        text,
        r#"{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"{name}","namespace":"{namespace}","uid":"uid-{name}"}},"stringData":{{"data":"{data}"}}}}"#
    )
    .unwrap();
    text.into_bytes()
}

/// The same in protobuf.
pub(crate) fn secret_protobuf(namespace: &str, name: &str, data: &[u8]) -> Vec<u8> {
    let uid = format!("uid-{name}");
    let metadata = [
        field(1, name.as_bytes()),
        field(3, namespace.as_bytes()),
        field(5, uid.as_bytes()),
    ];
    let entry = [field(1, b"data"), field(2, data)].concat();
    let object = [
        field(1, &metadata.concat()),
        field(2, &entry),
        field(3, b"Opaque"),
    ]
    .concat();
    let kind = [field(1, b"v1"), field(2, b"Secret")].concat();
    [
        b"k8s\0".to_vec(),
        field(1, &kind),
        field(2, &object),
        field(3, b""),
        field(4, b""),
    ]
    .concat()
}

/// A length-delimited protobuf field.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
    out
}

/// What kube-apiserver stores under `path` for this plaintext.
pub(crate) fn seal(
    provider: Provider<'_>,
    path: &str,
    plaintext: &[u8],
    dice: &mut Dice,
) -> Vec<u8> {
    match provider {
        Provider::Identity => plaintext.to_vec(),
        Provider::AesCbc(name) => {
            let iv: [u8; 16] = dice.bytes(16).try_into().unwrap();
            let blocks = Encryptor::<Aes256>::new(&secret(name).into(), &iv.into())
                .encrypt_padded_vec::<Pkcs7>(plaintext);
            [format!("{AES_CBC}{name}:").as_bytes(), &iv, &blocks].concat()
        }
        Provider::AesGcm(name) => {
            let nonce: [u8; 12] = dice.bytes(12).try_into().unwrap();
            let mut body = plaintext.to_vec();
            aes_gcm(name)
                .seal_in_place_append_tag(
                    Nonce::assume_unique_for_key(nonce),
                    Aad::from(path.as_bytes()),
                    &mut body,
                )
                .unwrap();
            [format!("{AES_GCM}{name}:").as_bytes(), &nonce, &body].concat()
        }
        Provider::Local(..) => panic!("one key of 32 bytes is enough here"),
        Provider::Kms(..) | Provider::KmsWithin(..) | Provider::KmsV1(..) => {
            panic!("a plugin is needed for that")
        }
    }
}

/// The plaintext of a value, and the name of its key; "" for plain text. Fails where no key opens
/// it.
pub(crate) fn open(path: &str, value: &[u8]) -> (String, Vec<u8>) {
    let named = |prefix: &str| {
        let rest = value.strip_prefix(prefix.as_bytes())?;
        let end = rest.iter().position(|byte| *byte == b':')?;
        Some((
            str::from_utf8(&rest[..end]).unwrap().to_owned(),
            &rest[end + 1..],
        ))
    };
    if let Some((name, body)) = named(AES_CBC) {
        let (iv, blocks) = body.split_first_chunk::<16>().unwrap();
        let plaintext = Decryptor::<Aes256>::new(&secret(&name).into(), &(*iv).into())
            .decrypt_padded_vec::<Pkcs7>(blocks)
            .unwrap();
        (name, plaintext)
    } else if let Some((name, body)) = named(AES_GCM) {
        let (nonce, body) = body.split_first_chunk::<12>().unwrap();
        let mut body = body.to_vec();
        let plaintext = aes_gcm(&name)
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(path.as_bytes()),
                &mut body,
            )
            .unwrap_or_else(|_| panic!("{path} does not open under {name}"));
        let plaintext = plaintext.to_vec();
        (name, plaintext)
    } else {
        (String::new(), value.to_vec())
    }
}

fn aes_gcm(name: &str) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &secret(name)).unwrap())
}
