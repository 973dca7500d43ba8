//! What we write opens again: here, and with the primitives of other crates put together by hand.

use aes::{
    Aes256,
    cipher::{BlockCipherDecrypt as _, KeyInit, KeyIvInit as _, StreamCipher as _},
};
use aes_gcm::{
    Aes128Gcm, Aes256Gcm,
    aead::{Aead, Payload},
};
use kms_proto::{EncryptedObject, wire::storage};
use poly1305::Poly1305;
use proptest::prelude::*;
use prost::Message as _;
use salsa20::XSalsa20;

use super::*;

const KEY: [u8; 32] = *b"0123456789abcdefFEDCBA9876543210";
const SIZES: [usize; 7] = [0, 1, 15, 16, 17, 256, 70_000];

fn plaintext(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

fn body<'a>(value: &'a [u8], prefix: &str) -> &'a [u8] {
    value.strip_prefix(prefix.as_bytes()).unwrap()
}

fn open_gcm<C: Aead + KeyInit>(key: &[u8], path: &[u8], body: &[u8]) -> Vec<u8> {
    let (nonce, msg) = body.split_at(12);
    let payload = Payload { msg, aad: path };
    C::new_from_slice(key)
        .unwrap()
        .decrypt(nonce.try_into().unwrap(), payload)
        .unwrap()
}

#[test]
fn aesgcm_opens_with_another_implementation() {
    for len in SIZES {
        for key_len in [16, 32] {
            let secret = &KEY[..key_len];
            let rule = Rule::new(Provider::AesGcm(vec![key("k", secret)]), []);
            let value = rule.seal(PATH, &plaintext(len), None).unwrap();
            let body = body(&value, "k8s:enc:aesgcm:v1:k:");
            let opened = match key_len {
                16 => open_gcm::<Aes128Gcm>(secret, PATH, body),
                _ => open_gcm::<Aes256Gcm>(secret, PATH, body),
            };
            assert_eq!(opened, plaintext(len));
        }
    }
}

#[test]
fn aescbc_opens_by_hand() {
    for len in SIZES {
        let rule = Rule::new(Provider::AesCbc(vec![key("k", &KEY)]), []);
        let value = rule.seal(PATH, &plaintext(len), None).unwrap();
        let blocks: Vec<[u8; 16]> = body(&value, "k8s:enc:aescbc:v1:k:")
            .chunks(16)
            .map(|block| block.try_into().unwrap())
            .collect();
        let cipher = Aes256::new(&KEY.into());
        let mut opened = Vec::new();
        for pair in blocks.windows(2) {
            let mut block = pair[1].into();
            cipher.decrypt_block(&mut block);
            opened.extend(block.iter().zip(pair[0]).map(|(a, b)| a ^ b));
        }
        let pad = usize::from(*opened.last().unwrap());
        assert_eq!(pad, 16 - len % 16);
        let padding = opened.split_off(len);
        assert_eq!(padding, vec![pad as u8; pad]);
        assert_eq!(opened, plaintext(len));
    }
}

#[test]
fn secretbox_opens_by_hand() {
    for len in SIZES {
        let rule = Rule::new(Provider::Secretbox(vec![key("k", &KEY)]), []);
        let value = rule.seal(PATH, &plaintext(len), None).unwrap();
        let (nonce, sealed) = body(&value, "k8s:enc:secretbox:v1:k:").split_at(24);
        let (tag, ciphertext) = sealed.split_at(16);
        let nonce: [u8; 24] = nonce.try_into().unwrap();
        let mut stream = [&[0; 32], ciphertext].concat();
        XSalsa20::new(&KEY.into(), &nonce.into()).apply_keystream(&mut stream);
        let (poly_key, opened) = stream.split_at(32);
        let poly_key: [u8; 32] = poly_key.try_into().unwrap();
        let expected = Poly1305::new(&poly_key.into()).compute_unpadded(ciphertext);
        assert_eq!(expected.as_slice(), tag);
        assert_eq!(opened, plaintext(len));
    }
}

#[test]
fn kms_v2_opens_with_another_implementation() {
    let rule = Rule::new(Provider::KmsV2("k".into()), []);
    let seed = write_dek("k", DekSourceType::HkdfSha256XnonceAesGcmSeed, "1");
    let dek = write_dek("k", DekSourceType::AesGcmKey, "1");
    for len in SIZES {
        let value = rule.seal(PATH, &plaintext(len), Some(&seed)).unwrap();
        let object = EncryptedObject::decode(body(&value, "k8s:enc:kms:v2:k:")).unwrap();
        let (info, body) = object.encrypted_data().split_at(32);
        let prk = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, seed.source().expose());
        let derived = ring::hmac::sign(&prk, &[info, &[1]].concat());
        let opened = open_gcm::<Aes256Gcm>(derived.as_ref(), PATH, body);
        assert_eq!(opened, plaintext(len));

        let value = rule.seal(PATH, &plaintext(len), Some(&dek)).unwrap();
        let object = EncryptedObject::decode(self::body(&value, "k8s:enc:kms:v2:k:")).unwrap();
        let opened = open_gcm::<Aes256Gcm>(dek.source().expose(), PATH, object.encrypted_data());
        assert_eq!(opened, plaintext(len));
    }
}

#[test]
fn kms_v1_opens_by_hand() {
    let rule = Rule::new(Provider::KmsV1("k:l".into()), []);
    for len in SIZES {
        let dek = write_dek_v1("k:l");
        let value = rule.seal(PATH, &plaintext(len), Some(&dek)).unwrap();
        let (cipher_len, rest) = body(&value, "k8s:enc:kms:v1:k:l:").split_at(2);
        let (cipher, payload) = rest.split_at(44);
        assert_eq!(cipher_len, [0, 44], "big-endian");
        assert_eq!(
            BASE64_STANDARD.decode(cipher).unwrap(),
            dek.source().expose()
        );
        let opened = open_gcm::<Aes256Gcm>(dek.source().expose(), PATH, payload);
        assert_eq!(opened, plaintext(len));
    }
}

#[test]
fn the_envelope_is_what_the_protobuf_library_writes() {
    let rule = Rule::new(Provider::KmsV2("k".into()), []);
    for kind in [
        DekSourceType::AesGcmKey,
        DekSourceType::HkdfSha256XnonceAesGcmSeed,
    ] {
        let dek = write_dek("k", kind, "key-7");
        for len in SIZES {
            let value = rule.seal(PATH, &plaintext(len), Some(&dek)).unwrap();
            let body = body(&value, "k8s:enc:kms:v2:k:");
            let message = storage::EncryptedObject::decode(body).unwrap();
            assert_eq!(message.encode_to_vec(), body);
        }
    }
}

#[test]
fn nonces_of_a_dek_count_from_the_apiservers_first_one() {
    let rule = Rule::new(Provider::KmsV2("k".into()), []);
    let dek = write_dek("k", DekSourceType::AesGcmKey, "1");
    for count in 1_000_000_001_u64..1_000_000_100 {
        let value = rule.seal(PATH, b"", Some(&dek)).unwrap();
        let object = EncryptedObject::decode(body(&value, "k8s:enc:kms:v2:k:")).unwrap();
        assert_eq!(object.encrypted_data()[4..12], count.to_le_bytes());
    }
}

#[test]
fn what_cannot_be_sealed_is_refused() {
    let seal =
        |rule: Rule, dek: Option<&WriteDek>| rule.seal(PATH, SECRET, dek).unwrap_err().to_string();
    let needs = "no DEK source of the KMS provider \"k\" is at hand";
    let v1 = Rule::new(Provider::KmsV1("k".into()), []);
    let v2 = Rule::new(Provider::KmsV2("k".into()), []);
    let of_v1 = write_dek_v1("k");
    let of_v2 = write_dek("k", DekSourceType::AesGcmKey, "1");
    let of_another = write_dek("other", DekSourceType::AesGcmKey, "1");
    assert_eq!(seal(v1.clone(), None), needs);
    assert_eq!(seal(v1, Some(&of_v2)), needs);
    assert_eq!(seal(v2.clone(), None), needs);
    assert_eq!(seal(v2.clone(), Some(&of_v1)), needs);
    assert_eq!(seal(v2, Some(&of_another)), needs);
    let too_long = vec![0; usize::from(u16::MAX) + 1];
    let source = || FreshDekSource::generate().unwrap();
    assert!(WriteDek::v1(&"k".into(), source(), &too_long).is_none());
    assert!(WriteDek::v1(&"k".into(), source(), &too_long[1..]).is_some());
    let short = Rule::new(Provider::Secretbox(vec![key("k", &KEY[..31])]), []);
    assert_eq!(
        seal(short, None),
        "a key of 31 bytes does not fit this cipher"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_provider_opens_what_it_sealed(
        plaintext in proptest::collection::vec(any::<u8>(), 0..2_000),
        name in "[a-z:]{1,12}",
        path in proptest::collection::vec(any::<u8>(), 0..80),
        which in 0_usize..10,
        version in any::<u8>(),
    ) {
        // Kubernetes objects never begin like an encrypted value.
        let plaintext = [&[version & 1], &plaintext[..]].concat();
        let keys = |len: usize| vec![key(&name, &KEY[..len])];
        let provider = match which {
            0 => Provider::Identity,
            1 => Provider::AesCbc(keys(16)),
            2 => Provider::AesCbc(keys(24)),
            3 => Provider::AesCbc(keys(32)),
            4 => Provider::AesGcm(keys(16)),
            5 => Provider::AesGcm(keys(24)),
            6 => Provider::AesGcm(keys(32)),
            7 => Provider::Secretbox(keys(32)),
            8 => Provider::KmsV1(name.as_str().into()),
            _ => Provider::KmsV2(name.as_str().into()),
        };
        let kind = if version & 2 == 0 {
            DekSourceType::AesGcmKey
        } else {
            DekSourceType::HkdfSha256XnonceAesGcmSeed
        };
        let (dek, state) = match which {
            8 => (write_dek_v1(&name), State::Unknowable),
            _ => (write_dek(&name, kind, "1"), State::Current),
        };
        let rule = Rule::new(provider, []);
        let value = rule.seal(&path, &plaintext, Some(&dek)).unwrap();
        let current = CurrentKeys::from_iter([(
            name.as_str().into(),
            CurrentKey { key_id: "1".parse().unwrap(), dek_type: kind },
        )]);
        let opened = Base64Plugin::default()
            .open_if(&rule, &path, &value, &current, anything)
            .unwrap();
        prop_assert_eq!(opened.plaintext.expose(), &plaintext);
        prop_assert_eq!(opened.state, state);
        let (provider, key) = rule.writes_with();
        prop_assert_eq!(opened.written_with.provider(), provider);
        prop_assert_eq!(opened.written_with.key(), key);
        let class = rule.classify(&value, &current).unwrap();
        prop_assert_eq!(class.written_with, opened.written_with);
        prop_assert_eq!(class.state, state);
    }

    #[test]
    fn random_bytes_never_panic(
        prefix in prop_oneof![
            Just(""), Just("k8s:enc:"), Just("k8s:enc:aescbc:v1:k:"), Just("k8s:enc:aesgcm:v1:k:"),
            Just("k8s:enc:secretbox:v1:k:"), Just("k8s:enc:kms:v1:k:"), Just("k8s:enc:kms:v1:k:\0\x04"),
            Just("k8s:enc:kms:v2:k:"), Just("k8s:enc:kms:v2:k:\x0a\x02"),
        ],
        tail in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let keys = || vec![key("k", &KEY)];
        let rule = Rule::new(Provider::Identity, [
            Provider::AesCbc(keys()),
            Provider::AesGcm(keys()),
            Provider::Secretbox(keys()),
            Provider::KmsV1("k".into()),
            Provider::KmsV2("k".into()),
        ]);
        let value = [prefix.as_bytes(), &tail].concat();
        let opened = Base64Plugin::default().open(&rule, PATH, &value);
        prop_assert_eq!(opened.is_ok(), !value.starts_with(b"k8s:enc:"));
        let _ = rule.classify(&value, &CurrentKeys::default());
    }
}
