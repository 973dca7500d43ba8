//! The values of upstream's own unit tests, which have no prefix: `tests/vectors/upstream-aes.json`.

use kms_proto::{DekSource, DekSourceType};
use serde::Deserialize;

use super::{aes_gcm::GcmKey, *};
use crate::stored::dek::ReadDek;

#[derive(Deserialize)]
struct File {
    vectors: [Vector; 2],
}

#[derive(Deserialize)]
struct Vector {
    kind: String,
    #[serde(alias = "seed_hex")]
    key_hex: String,
    aad: String,
    data_hex: String,
    plaintext: String,
}

#[test]
fn values_of_upstreams_unit_tests_open_under_their_aad_only() {
    let file: File = serde_json::from_str(include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/vectors/upstream-aes.json"
    )))
    .unwrap();
    for vector in file.vectors {
        let key = hex::decode(vector.key_hex).unwrap();
        let data = hex::decode(vector.data_hex).unwrap();
        let open = |aad: &str| match &*vector.kind {
            "aesgcm" => GcmKey::new(&key).unwrap().open(aad.as_bytes(), &data),
            "hkdf_xnonce" => kms_v2::open(
                &ReadDek::new(DekSource::new(key.clone())),
                DekSourceType::HkdfSha256XnonceAesGcmSeed,
                aad.as_bytes(),
                &data,
            ),
            other => panic!("{other}"),
        };
        let plaintext = open(&vector.aad).unwrap();
        assert_eq!(plaintext.expose(), vector.plaintext.as_bytes());
        assert_eq!(
            open("panda").unwrap_err(),
            OpenCause::NotAuthentic,
            "{}",
            vector.kind
        );
    }
}

#[test]
fn a_plaintext_prints_nothing() {
    let plaintext = Plaintext::new(b"hunter2".to_vec());
    assert_eq!(format!("{plaintext:?}"), "Plaintext([REDACTED])");
}
