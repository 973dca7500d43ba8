//! KMS envelopes made and opened by other code than the one under test.

use std::{collections::HashMap, path::Path};

use aes::Aes256;
use cbc::{
    Encryptor,
    cipher::{BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7},
};
use kms_proto::{
    DekSourceType, EncryptedDekSource, EncryptedObject,
    wire::v2::{
        DecryptRequest, EncryptRequest, EncryptResponse,
        key_management_service_client::KeyManagementServiceClient,
    },
};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Prk},
};
use tokio::runtime::Runtime;
use tonic::transport::Channel;

use super::{dice::Dice, plugin::connect, puppet::wrap};

/// The plugin of a KMS v2 provider, asked as kube-apiserver asks it.
pub(crate) struct Client {
    provider: &'static str,
    runtime: Runtime,
    client: KeyManagementServiceClient<Channel>,
    known: HashMap<Vec<u8>, Vec<u8>>,
}

/// An opened KMS v2 value.
pub(crate) struct Opened {
    pub(crate) plaintext: Vec<u8>,
    pub(crate) kind: DekSourceType,
    pub(crate) dek_source: EncryptedDekSource,
    /// Of the AES-GCM within.
    pub(crate) nonce: [u8; NONCE_LEN],
}

impl Client {
    /// For the values of this provider, whose plugin serves the socket.
    pub(crate) fn new(provider: &'static str, socket: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let client = KeyManagementServiceClient::new(runtime.block_on(connect(socket)).unwrap());
        Self {
            provider,
            runtime,
            client,
            known: HashMap::new(),
        }
    }

    /// Opens the value under `path`; nothing where it is not of this provider.
    pub(crate) fn open(&mut self, path: &str, value: &[u8]) -> Option<Opened> {
        let prefix = format!("k8s:enc:kms:v2:{}:", self.provider);
        let object = EncryptedObject::decode(value.strip_prefix(prefix.as_bytes())?).unwrap();
        let (data, kind) = (object.encrypted_data(), object.dek_source_type());
        let dek_source = object.into_dek_source().to_source();
        let source = self.unwrap(&dek_source);
        let (key, body) = match kind {
            DekSourceType::AesGcmKey => (source, data),
            DekSourceType::HkdfSha256XnonceAesGcmSeed => {
                let (info, body) = data.split_at(32);
                (expand(&source, info), body)
            }
        };
        Some(Opened {
            plaintext: open_gcm(&key, path, body),
            kind,
            dek_source,
            nonce: *body.first_chunk().unwrap(),
        })
    }

    /// Has a DEK source wrapped.
    pub(crate) fn wrap(&mut self, source: &[u8]) -> EncryptedDekSource {
        let request = EncryptRequest {
            plaintext: source.to_vec(),
            uid: "test".to_owned(),
        };
        let answer = self.runtime.block_on(self.client.encrypt(request)).unwrap();
        let EncryptResponse {
            ciphertext,
            key_id,
            annotations,
        } = answer.into_inner();
        EncryptedDekSource::from_wire(ciphertext, &key_id, annotations).unwrap()
    }

    fn unwrap(&mut self, wrapped: &EncryptedDekSource) -> Vec<u8> {
        let ciphertext = wrapped.ciphertext.as_bytes();
        if let Some(source) = self.known.get(ciphertext) {
            return source.clone();
        }
        let request = DecryptRequest {
            ciphertext: ciphertext.to_vec(),
            uid: "test".to_owned(),
            key_id: wrapped.key_id.as_str().to_owned(),
            annotations: wrapped.annotations.to_wire(),
        };
        let answer = self.runtime.block_on(self.client.decrypt(request)).unwrap();
        let source = answer.get_ref().plaintext.clone();
        self.known.insert(ciphertext.to_vec(), source.clone());
        source
    }
}

/// What kube-apiserver stores under `path` with a seed, and with what a plugin made of it.
pub(crate) fn seal(
    provider: &str,
    seed: &[u8; 32],
    wrapped: EncryptedDekSource,
    path: &str,
    plaintext: &[u8],
    dice: &mut Dice,
) -> Vec<u8> {
    let info = dice.bytes(32);
    let nonce = dice.bytes(NONCE_LEN).try_into().unwrap();
    let body = seal_gcm(&expand(seed, &info), path, plaintext, nonce);
    let data = [info, body].concat();
    let mut value = format!("k8s:enc:kms:v2:{provider}:").into_bytes();
    EncryptedObject::new(
        &data,
        (&wrapped).into(),
        DekSourceType::HkdfSha256XnonceAesGcmSeed,
    )
    .unwrap()
    .encode(&mut value);
    value
}

/// How the payload of a KMS v1 envelope is encrypted, and from where it starts.
#[derive(Clone, Copy)]
pub(crate) enum Payload {
    /// By Kubernetes 1.25 and newer.
    Gcm([u8; NONCE_LEN]),
    /// By Kubernetes 1.24 and older.
    Cbc([u8; 16]),
}

/// What kube-apiserver stores under `path` with a KMS v1 plugin that made `wrapped` of the DEK.
pub(crate) fn seal_v1(
    provider: &str,
    dek: &[u8; 32],
    wrapped: &[u8],
    path: &str,
    plaintext: &[u8],
    payload: Payload,
) -> Vec<u8> {
    let payload = match payload {
        Payload::Gcm(nonce) => seal_gcm(dek, path, plaintext, nonce),
        Payload::Cbc(iv) => {
            let blocks = Encryptor::<Aes256>::new(dek.into(), &iv.into())
                .encrypt_padded_vec::<Pkcs7>(plaintext);
            [&iv[..], &blocks].concat()
        }
    };
    [
        format!("k8s:enc:kms:v1:{provider}:").as_bytes(),
        &u16::try_from(wrapped.len()).unwrap().to_be_bytes(),
        wrapped,
        &payload,
    ]
    .concat()
}

/// The DEK and the plaintext of a value of KMS v1 that is no older than Kubernetes 1.25. One of the
/// DEKs must be what [`wrap`] made its ciphertext of.
pub(crate) fn open_v1(
    provider: &str,
    deks: &[Vec<u8>],
    path: &str,
    value: &[u8],
) -> (Vec<u8>, Vec<u8>) {
    let prefix = format!("k8s:enc:kms:v1:{provider}:");
    let body = value.strip_prefix(prefix.as_bytes()).unwrap();
    let (len, body) = body.split_first_chunk().unwrap();
    let (wrapped, payload) = body.split_at(u16::from_be_bytes(*len).into());
    let dek = deks.iter().find(|dek| wrap(dek) == wrapped).unwrap();
    (dek.clone(), open_gcm(dek, path, payload))
}

fn open_gcm(key: &[u8], path: &str, body: &[u8]) -> Vec<u8> {
    let (nonce, body) = body.split_first_chunk::<NONCE_LEN>().unwrap();
    let mut body = body.to_vec();
    aes_gcm(key)
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(path.as_bytes()),
            &mut body,
        )
        .unwrap_or_else(|_| panic!("{path} does not open"))
        .to_vec()
}

fn seal_gcm(key: &[u8], path: &str, plaintext: &[u8], nonce: [u8; NONCE_LEN]) -> Vec<u8> {
    let mut body = plaintext.to_vec();
    aes_gcm(key)
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(path.as_bytes()),
            &mut body,
        )
        .unwrap();
    [&nonce[..], &body].concat()
}

/// HKDF-Expand alone: the seed is the pseudo-random key.
fn expand(seed: &[u8], info: &[u8]) -> Vec<u8> {
    let mut key = vec![0; 32];
    Prk::new_less_safe(HKDF_SHA256, seed)
        .expand(&[info], HKDF_SHA256)
        .unwrap()
        .fill(&mut key)
        .unwrap();
    key
}

fn aes_gcm(key: &[u8]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap())
}
