use kms_proto::KeyId;

use super::*;
use crate::{
    keyring::{Keyring, Member, SharedKeyring},
    root::local::{KeyMaterial, Local},
};

fn kms() -> (Kms, Arc<SharedKeyring>) {
    let keyring = Arc::new(SharedKeyring::new(keyring(&[1])));
    let service = KmsService::new(Arc::clone(&keyring));
    (Kms::new(service, Arc::new(Metrics::new())), keyring)
}

fn keyring(seeds: &[u8]) -> Keyring {
    let member = |seed: &u8| {
        Member::local(
            seed.to_string(),
            1,
            Box::new(Local::new(
                &KeyMaterial::new(Box::new([*seed; 32])),
                "test",
                1,
            )),
        )
    };
    Keyring::new(seeds.iter().map(member).collect()).unwrap()
}

async fn encrypt(kms: &Kms, plaintext: &[u8]) -> EncryptResponse {
    let request = EncryptRequest {
        plaintext: plaintext.to_vec(),
        uid: String::new(),
    };
    kms.encrypt(Request::new(request))
        .await
        .unwrap()
        .into_inner()
}

fn decrypt_request(wrapped: EncryptResponse) -> DecryptRequest {
    DecryptRequest {
        ciphertext: wrapped.ciphertext,
        uid: String::new(),
        key_id: wrapped.key_id,
        annotations: wrapped.annotations,
    }
}

async fn decrypt(kms: &Kms, request: DecryptRequest) -> Result<Vec<u8>, Status> {
    let mut answer = kms.decrypt(Request::new(request)).await?.into_inner();
    Ok(mem::take(&mut answer.plaintext))
}

#[tokio::test]
async fn status_names_the_key_of_the_next_encrypt_across_a_rotation() {
    let (kms, shared) = kms();
    for seeds in [&[1][..], &[2, 1], &[3, 2, 1]] {
        shared.replace(keyring(seeds)).unwrap();
        let status = kms.status(Request::new(StatusRequest {})).await.unwrap();
        let StatusResponse {
            version,
            healthz,
            key_id,
        } = status.into_inner();
        assert_eq!((version.as_str(), healthz.as_str()), ("v2beta1", "ok"));
        let wrapped = encrypt(&kms, b"a seed").await;
        assert_eq!(wrapped.key_id, key_id);
        let opened = decrypt(&kms, decrypt_request(wrapped)).await.unwrap();
        assert_eq!(opened, b"a seed");
    }
}

#[tokio::test]
async fn every_failure_has_its_code_and_no_detail() {
    let (kms, _) = kms();
    let good = decrypt_request(encrypt(&kms, b"a seed").await);
    let with = |change: &dyn Fn(&mut DecryptRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    use tonic::Code::{FailedPrecondition, InvalidArgument};
    for (request, expected) in [
        (
            with(&|r| r.key_id = "unknown".to_owned()),
            FailedPrecondition,
        ),
        (with(&|r| r.key_id.clear()), InvalidArgument),
        (
            with(&|r| r.key_id = "k".repeat(KeyId::MAX_LEN + 1)),
            InvalidArgument,
        ),
        (with(&|r| r.ciphertext.clear()), InvalidArgument),
        (with(&|r| r.ciphertext = vec![1; 1025]), InvalidArgument),
        (with(&|r| r.ciphertext[30] ^= 1), InvalidArgument),
        (
            with(&|r| _ = r.annotations.insert("a.b".into(), vec![])),
            InvalidArgument,
        ),
        (
            with(&|r| _ = r.annotations.insert("nodot".into(), vec![])),
            InvalidArgument,
        ),
    ] {
        let status = decrypt(&kms, request).await.unwrap_err();
        assert_eq!(status.code(), expected, "{status}");
        assert!(status.message().len() < 200);
    }
    let request = EncryptRequest {
        plaintext: vec![0; 1000],
        uid: String::new(),
    };
    let status = kms.encrypt(Request::new(request)).await.unwrap_err();
    assert_eq!(status.code(), InvalidArgument);
    assert_eq!(kms.metrics.failures(), 9);
}

#[test]
fn a_caller_is_told_before_it_gives_up() {
    for (header, patience) in [
        (Some("3S"), Duration::from_millis(2800)),
        (Some("100m"), Duration::from_millis(90)),
        (Some("10000u"), Duration::from_millis(5)),
        (Some("1H"), LONGEST_PATIENCE),
        (
            Some("123456789S"),
            LONGEST_PATIENCE - Duration::from_millis(200),
        ),
        (Some("S"), LONGEST_PATIENCE - Duration::from_millis(200)),
        (None, LONGEST_PATIENCE - Duration::from_millis(200)),
    ] {
        let mut metadata = MetadataMap::new();
        if let Some(header) = header {
            metadata.insert("grpc-timeout", header.parse().unwrap());
        }
        assert_eq!(super::patience(&metadata), patience, "{header:?}");
    }
}
