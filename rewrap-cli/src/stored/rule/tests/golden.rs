//! The values in `tests/vectors`: written by unmodified kube-apiserver sources, opened here.

use serde::Deserialize;

use super::*;

/// A value, the rule that opens it, and what comes out.
pub(super) struct Golden {
    pub(super) name: String,
    pub(super) provider: Provider,
    pub(super) path: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) plaintext: Vec<u8>,
    pub(super) key_id: Option<String>,
}

#[derive(Deserialize)]
struct File<V> {
    vectors: Vec<V>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Transformers {
    name: String,
    provider: String,
    etcd_key: String,
    value_hex: String,
    plain_hex: String,
    key_name: String,
    key_hex: String,
    #[serde(rename = "KeyID")]
    key_id: String,
}

#[derive(Deserialize)]
struct Legacy {
    name: String,
    etcd_key: String,
    value_hex: String,
    plaintext_hex: String,
    key_id: String,
}

/// All values that a Kubernetes release wrote.
pub(super) fn all() -> Vec<Golden> {
    let generated: File<Transformers> = serde_json::from_str(include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/vectors/k8s-0.36-transformers.json"
    )))
    .unwrap();
    let legacy: File<Legacy> = serde_json::from_str(include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/vectors/upstream-kmsv2-legacy.json"
    )))
    .unwrap();
    let generated = generated.vectors.into_iter().map(|vector| Golden {
        provider: match &*vector.provider {
            "aescbc" => Provider::AesCbc(vec![key(&vector.key_name, &unhex(&vector.key_hex))]),
            "aesgcm" => Provider::AesGcm(vec![key(&vector.key_name, &unhex(&vector.key_hex))]),
            "secretbox" => {
                Provider::Secretbox(vec![key(&vector.key_name, &unhex(&vector.key_hex))])
            }
            "kms-v1" => Provider::KmsV1(vector.key_name.into()),
            "kms-v2" => Provider::KmsV2(vector.key_name.into()),
            other => panic!("{other}"),
        },
        name: vector.name,
        path: vector.etcd_key.into(),
        value: unhex(&vector.value_hex),
        plaintext: unhex(&vector.plain_hex),
        key_id: (!vector.key_id.is_empty()).then_some(vector.key_id),
    });
    let legacy = legacy.vectors.into_iter().map(|vector| Golden {
        name: vector.name,
        provider: Provider::KmsV2("kms-provider".into()),
        path: vector.etcd_key.into(),
        value: unhex(&vector.value_hex),
        plaintext: unhex(&vector.plaintext_hex),
        key_id: Some(vector.key_id),
    });
    generated.chain(legacy).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

#[test]
fn every_value_of_kube_apiserver_opens() {
    let vectors = all();
    assert_eq!(vectors.len(), 52 + 2);
    for golden in vectors {
        let rule = Rule::new(golden.provider.clone(), []);
        let opened = Base64Plugin::default()
            .open_if(
                &rule,
                &golden.path,
                &golden.value,
                &CurrentKeys::default(),
                anything,
            )
            .unwrap_or_else(|error| panic!("{}: {error}", golden.name));
        assert_eq!(
            opened.plaintext.expose(),
            golden.plaintext,
            "{}",
            golden.name
        );
        assert_eq!(
            opened.written_with.key_id().map(KeyId::as_str),
            golden.key_id.as_deref()
        );
        assert_eq!(opened.written_with.provider(), golden.provider.kind());
        let class = rule
            .classify(&golden.value, &CurrentKeys::default())
            .unwrap();
        assert_eq!(class.written_with, opened.written_with);
    }
}
