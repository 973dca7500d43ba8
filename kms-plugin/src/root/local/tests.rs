use kms_proto::Ciphertext;
use proptest::prelude::*;
use serde::Deserialize;
use sha3::{
    Shake128,
    digest::{ExtendableOutput, Update, XofReader},
};
use xaes_256_gcm::{
    Nonce, Xaes256Gcm,
    aead::{Aead, KeyInit, Payload},
};

use super::*;

const GOLDEN: &str = include_str!("../../../../tests/vectors/kms-plugin-local-v1.json");

/// `tests/vectors/kms-plugin-local-v1.json`: made by another implementation from the description
/// of [`Local`] alone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Golden {
    key: String,
    context: String,
    key_ids: Vec<(u32, String)>,
    wrapped: Vec<Wrapped>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wrapped {
    key_id: String,
    annotations: Vec<(String, String)>,
    ciphertext: String,
    plaintext: String,
}

fn golden() -> (Golden, Local) {
    let golden: Golden = serde_json::from_str(GOLDEN).unwrap();
    let local = with_context(&golden, &golden.context);
    (golden, local)
}

fn with_context(golden: &Golden, context: &str) -> Local {
    let material = KeyMaterial::parse(&hex::decode(&golden.key).unwrap()).unwrap();
    Local::new(&material, context, 1)
}

impl Wrapped {
    fn source(&self) -> EncryptedDekSource {
        let annotations = self
            .annotations
            .iter()
            .map(|(key, value)| (key.clone(), hex::decode(value).unwrap()));
        let ciphertext = hex::decode(&self.ciphertext).unwrap();
        EncryptedDekSource::from_wire(ciphertext, &self.key_id, annotations).unwrap()
    }
}

async fn is_unauthentic(local: &Local, wrapped: &EncryptedDekSource) -> bool {
    matches!(local.unwrap(wrapped).await, Err(KekError::Unauthentic))
}

#[tokio::test]
async fn golden_values_open_for_ever() {
    let (golden, local) = golden();
    for (epoch, key_id) in &golden.key_ids {
        assert_eq!(local.key_ids()[*epoch as usize - 1].as_str(), key_id);
    }
    assert!(golden.wrapped.len() >= 4);
    for wrapped in &golden.wrapped {
        let opened = local.unwrap(&wrapped.source()).await.unwrap();
        assert_eq!(hex::encode(opened.expose()), wrapped.plaintext);
    }
}

#[tokio::test]
async fn every_altered_bit_is_refused() {
    let (golden, local) = golden();
    for wrapped in &golden.wrapped {
        let source = wrapped.source();
        let bytes = source.ciphertext.as_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.to_vec();
            altered[bit / 8] ^= 1 << (bit % 8);
            let ciphertext = altered.try_into().unwrap();
            let altered = EncryptedDekSource {
                ciphertext,
                ..source.clone()
            };
            assert!(is_unauthentic(&local, &altered).await, "bit {bit}");
        }
        for len in 1..bytes.len() {
            let ciphertext = bytes[..len].to_vec().try_into().unwrap();
            let cut = EncryptedDekSource {
                ciphertext,
                ..source.clone()
            };
            assert!(is_unauthentic(&local, &cut).await, "{len} bytes");
        }
    }
}

#[tokio::test]
async fn another_context_key_id_or_annotation_is_refused() {
    let (golden, local) = golden();
    let source = golden.wrapped[0].source();
    for context in ["", "golde", "golden2"] {
        let other = with_context(&golden, context);
        assert!(is_unauthentic(&other, &source).await, "{context:?}");
    }
    for key_id in &local.key_ids()[1..] {
        let moved = EncryptedDekSource {
            key_id: key_id.clone(),
            ..source.clone()
        };
        assert!(is_unauthentic(&local, &moved).await);
    }
    for value in [b"".to_vec(), b"x".to_vec()] {
        let annotations = Annotations::new([("added.example.com".to_owned(), value)]).unwrap();
        let annotated = EncryptedDekSource {
            annotations,
            ..source.clone()
        };
        assert!(is_unauthentic(&local, &annotated).await);
    }
    let annotated = golden
        .wrapped
        .iter()
        .find(|wrapped| !wrapped.annotations.is_empty())
        .unwrap();
    let stripped = EncryptedDekSource {
        annotations: Annotations::default(),
        ..annotated.source()
    };
    assert!(is_unauthentic(&local, &stripped).await);
}

#[tokio::test]
async fn another_key_refuses() {
    let (golden, _) = golden();
    let other = Local::new(&KeyMaterial::new(Box::new([1; 32])), &golden.context, 1);
    assert!(is_unauthentic(&other, &golden.wrapped[0].source()).await);
}

#[tokio::test]
async fn every_epoch_opens_what_any_epoch_wrapped() {
    let material = KeyMaterial::new(Box::new([7; 32]));
    let opener = Local::new(&material, "test", 5);
    for epoch in 1..=MAX_EPOCH {
        let wrapper = Local::new(&material, "test", epoch);
        let wrapped = wrapper.wrap(DekSource::new(vec![1; 32])).await.unwrap();
        assert_eq!(&wrapped.key_id, wrapper.current_id());
        assert_eq!(opener.unwrap(&wrapped).await.unwrap().expose(), [1; 32]);
    }
}

#[test]
fn key_ids_tell_keys_and_epochs_apart_and_are_public() {
    let ids = |seed| Local::new(&KeyMaterial::new(Box::new([seed; 32])), "a", 1).key_ids;
    let mut all = [ids(1), ids(2)].concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 2 * MAX_EPOCH as usize);
    assert!(all.iter().all(|id| {
        let digits = id.as_str().strip_prefix("rf-local-").unwrap();
        digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit())
    }));
}

#[tokio::test]
async fn wrapping_is_randomised_and_bounded() {
    let local = Local::new(&KeyMaterial::new(Box::new([7; 32])), "test", 1);
    let wrap = |len| local.wrap(DekSource::new(vec![0; len]));
    let (first, second) = (wrap(32).await.unwrap(), wrap(32).await.unwrap());
    assert_ne!(first.ciphertext, second.ciphertext);
    assert!(first.annotations.is_empty());

    let longest = wrap(983).await.unwrap();
    assert_eq!(longest.ciphertext.as_bytes().len(), Ciphertext::MAX_LEN);
    assert_eq!(local.unwrap(&longest).await.unwrap().expose().len(), 983);
    assert!(matches!(
        wrap(984).await,
        Err(KekError::TooLong { len: 984, max: 983 })
    ));
}

#[test]
fn debug_shows_the_key_id_alone() {
    let local = Local::new(&KeyMaterial::new(Box::new([7; 32])), "test", 1);
    let key_id = local.current_id();
    assert_eq!(
        format!("{local:?}"),
        format!("Local {{ key_id: {key_id:?}, .. }}")
    );
}

proptest! {
    #[test]
    fn random_bytes_never_open_and_never_panic(bytes in proptest::collection::vec(any::<u8>(), 1..200), formatted: bool) {
        let (golden, local) = golden();
        let mut bytes = bytes;
        if formatted {
            bytes[0] = 1;
        }
        let source = EncryptedDekSource {
            ciphertext: bytes.try_into().unwrap(),
            ..golden.wrapped[0].source()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        prop_assert!(runtime.block_on(is_unauthentic(&local, &source)));
    }
}

/// C2SP's accumulated vectors (<https://c2sp.org/XAES-256-GCM>): keys, nonces, plaintexts and
/// additional data out of SHAKE128 of nothing; the hash of all ciphertexts.
fn accumulated(iterations: usize) -> String {
    let mut source = Shake128::default().finalize_xof();
    let mut read = |len: usize| {
        let mut bytes = vec![0; len];
        source.read(&mut bytes);
        bytes
    };
    let mut hash = Shake128::default();
    for _ in 0..iterations {
        let key: [u8; 32] = read(32).try_into().unwrap();
        let nonce: [u8; 24] = read(24).try_into().unwrap();
        let len = read(1)[0].into();
        let msg = read(len);
        let len = read(1)[0].into();
        let aad = read(len);
        let cipher = Xaes256Gcm::new(&key.into());
        let payload = Payload {
            msg: &msg,
            aad: &aad,
        };
        hash.update(&cipher.encrypt(&Nonce::from(nonce), payload).unwrap());
    }
    let mut digest = [0; 32];
    hash.finalize_xof().read(&mut digest);
    hex::encode(digest)
}

#[test]
fn the_cipher_is_c2sp_xaes_256_gcm() {
    assert_eq!(
        accumulated(10_000),
        "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"
    );
}

#[test]
#[ignore = "a minute in the dev profile"]
fn the_cipher_is_c2sp_xaes_256_gcm_a_million_times() {
    assert_eq!(
        accumulated(1_000_000),
        "2163ae1445985a30b60585ee67daa55674df06901b890593e824b8a7c885ab15"
    );
}
