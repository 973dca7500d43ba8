//! What each answer of AWS means.

use kms_plugin::root::remote::{RootError, WrappedKek};

use super::*;
use crate::roots::{refused, unreachable};

/// Codes and messages as the service sends them.
const UNREACHABLE: [(u16, &str, &str); 15] = [
    (
        400,
        "ThrottlingException",
        "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
    ),
    (
        400,
        "LimitExceededException",
        "The request was rejected because a quota was exceeded.",
    ),
    (
        500,
        "KMSInternalException",
        "The request was rejected because an internal exception occurred.",
    ),
    (
        500,
        "DependencyTimeoutException",
        "The system timed out while trying to fulfill the request.",
    ),
    (
        500,
        "KeyUnavailableException",
        "The specified KMS key was not available.",
    ),
    (503, "ServiceUnavailableException", ""),
    (500, "InternalFailure", ""),
    (
        400,
        "ExpiredTokenException",
        "The security token included in the request is expired",
    ),
    (
        400,
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    ),
    (
        400,
        "com.amazon.coral.service#InvalidSignatureException",
        "Signature expired: 20261124T000000Z is now earlier than 20261124T001000Z",
    ),
    (
        403,
        "MissingAuthenticationTokenException",
        "Missing Authentication Token",
    ),
    (
        400,
        "IncompleteSignatureException",
        "Credential must have exactly 5 slash-delimited elements",
    ),
    (
        400,
        "KMSInvalidStateException",
        "AWS KMS rejected the request because the external key store proxy did not respond in time. Retry the request. If you see this error repeatedly, report it to your external key store proxy administrator.",
    ),
    (
        400,
        "KMSInvalidStateException",
        "arn:aws:kms:eu-central-1:111122223333:key/1 is unavailable.",
    ),
    (400, "TheNextNewException", "unheard of"),
];

const REFUSED: [(u16, &str, &str); 7] = [
    (
        400,
        "AccessDeniedException",
        "User: arn:aws:sts::111122223333:assumed-role/k8s/ringfence is not authorized to perform: kms:Decrypt on this resource because no identity-based policy allows the kms:Decrypt action",
    ),
    (
        400,
        "DisabledException",
        "arn:aws:kms:eu-central-1:111122223333:key/1 is disabled.",
    ),
    (
        400,
        "NotFoundException",
        "Key 'arn:aws:kms:eu-central-1:111122223333:key/1' does not exist",
    ),
    (
        400,
        "KMSInvalidStateException",
        "arn:aws:kms:eu-central-1:111122223333:key/1 is pending deletion.",
    ),
    (
        400,
        "KMSInvalidStateException",
        "arn:aws:kms:eu-central-1:111122223333:key/1 is pending import.",
    ),
    (
        400,
        "KMSInvalidStateException",
        "The external key store proxy rejected the request because the external key is not enabled in the external key manager.",
    ),
    (
        400,
        "InvalidKeyUsageException",
        "You cannot generate a data key with an asymmetric CMK",
    ),
];

const CORRUPT: [(u16, &str, &str); 3] = [
    (400, "InvalidCiphertextException", ""),
    (
        400,
        "IncorrectKeyException",
        "The key ID in the request does not identify a CMK that can perform this operation.",
    ),
    (
        400,
        "KMSInvalidStateException",
        "The external key store proxy rejected the request because the specified ciphertext or additional authenticated data is corrupted, missing, or otherwise invalid.",
    ),
];

#[tokio::test]
async fn each_code_has_its_class() {
    let (site, aws) = (Site::new(), AwsReplies::start(None));
    let root = site.open(KEY, &aws.endpoint());
    let wrapped = wrapped(&root, &aws).await;
    let table = UNREACHABLE
        .iter()
        .zip(["unreachable"; 15])
        .chain(REFUSED.iter().zip(["refused"; 7]))
        .chain(CORRUPT.iter().zip(["corrupt"; 3]));
    for (&(status, code, message), class) in table {
        aws.always(Reply::error(status, code, message));
        let error = root.unwrap(&wrapped, &binding("prod")).await;
        let words = match (class, error) {
            ("unreachable", error) => unreachable(error),
            ("refused", error) => refused(error),
            (_, error) => corrupt(error),
        };
        let code = code.rsplit('#').next().unwrap();
        assert!(words.contains(code), "{words}");
        assert!(words.contains("kms:Decrypt in eu-central-1"), "{words}");
    }
}

#[tokio::test]
async fn what_is_no_answer_of_aws_is_no_refusal() {
    let (site, aws) = (Site::new(), AwsReplies::start(None));
    let root = site.open(KEY, &aws.endpoint());
    for (status, body) in [
        (200, "<html>a portal</html>"),
        (200, "{}"),
        (200, r#"{"KeyMetadata":{"KeyId":"1"}}"#),
        (403, "forbidden by a proxy"),
        (404, ""),
        (502, "<html>bad gateway</html>"),
    ] {
        aws.always(Reply::text(status, body));
        unreachable(root.version().await);
    }
    let endpoint = aws.endpoint();
    drop(aws);
    let words = unreachable(site.open(KEY, &endpoint).version().await);
    assert!(words.contains("no connection"), "{words}");
}

#[tokio::test]
async fn the_state_of_the_key_decides() {
    let (site, aws) = (Site::new(), AwsReplies::start(None));
    let root = site.open(KEY, &aws.endpoint());
    for state in ["Enabled", "Updating"] {
        aws.always(described(KEY, state));
        let version = root.version().await.unwrap();
        assert_eq!(version.as_str(), format!("aws-kms:{KEY}#{MATERIAL}"));
    }
    for state in [
        "Disabled",
        "PendingDeletion",
        "PendingImport",
        "PendingReplicaDeletion",
    ] {
        aws.always(described(KEY, state));
        let words = refused(root.version().await);
        assert!(words.contains(state), "{words}");
        refused(root.wrap(&local_kek(), &binding("prod")).await);
    }
    for state in ["Unavailable", "Creating"] {
        aws.always(described(KEY, state));
        unreachable(root.version().await);
    }
    let mut asymmetric = metadata(KEY, "Enabled");
    asymmetric["EncryptionAlgorithms"] = json!(["RSAES_OAEP_SHA_256"]);
    aws.always(Reply::json(&json!({"KeyMetadata": asymmetric})));
    let words = refused(root.version().await);
    assert!(words.contains("SYMMETRIC_DEFAULT"), "{words}");
}

/// Encrypt and Decrypt do not agree: the local KEK must not be used.
#[tokio::test]
async fn a_kms_that_does_not_open_what_it_wrapped_is_caught() {
    let (site, aws) = (Site::new(), AwsReplies::start(None));
    let root = site.open(KEY, &aws.endpoint());
    aws.answer(|request| Some(fake(request.action(), &[7; 32])));
    let words = unreachable(root.wrap(&local_kek(), &binding("prod")).await);
    assert!(words.contains("another key came back"), "{words}");
}

#[tokio::test]
async fn what_opens_to_another_length_is_no_local_kek() {
    let (site, aws) = (Site::new(), AwsReplies::start(None));
    let root = site.open(KEY, &aws.endpoint());
    let wrapped = wrapped(&root, &aws).await;
    aws.answer(|request| Some(fake(request.action(), &[7; 31])));
    corrupt(root.unwrap(&wrapped, &binding("prod")).await);
}

#[tokio::test]
async fn nothing_that_aws_cannot_have_made_is_sent_there() {
    let (site, aws) = (Site::new(), AwsReplies::start(None));
    let root = site.open(KEY, &aws.endpoint());
    let mut wrapped = wrapped(&root, &aws).await;
    aws.take_seen();
    for len in [0, 6145] {
        wrapped.ciphertext = vec![1; len];
        corrupt(root.unwrap(&wrapped, &binding("prod")).await);
    }
    assert_eq!(aws.take_seen().len(), 0);
}

/// What a key with a KMS that gives everybody the same local KEK wrapped.
async fn wrapped(root: &AwsKms, aws: &AwsReplies) -> WrappedKek {
    aws.answer(|request| Some(fake(request.action(), &[7; 32])));
    let kek = KeyMaterial::new(Box::new([7; 32]));
    let wrapped: Result<_, RootError> = root.wrap(&kek, &binding("prod")).await;
    wrapped.unwrap()
}

/// A KMS that opens everything to this.
fn fake(action: &str, opens_to: &[u8]) -> Reply {
    fake_of(KEY, action, opens_to)
}

/// As [`fake`], of another key.
pub(super) fn fake_of(key: &str, action: &str, opens_to: &[u8]) -> Reply {
    let encode = |bytes: &[u8]| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, bytes);
    match action {
        "DescribeKey" => described(key, "Enabled"),
        "Encrypt" => Reply::json(&json!({
            "CiphertextBlob": encode(b"ciphertext"),
            "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "KeyId": key,
        })),
        _ => Reply::json(&json!({
            "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "KeyId": key,
            "KeyMaterialId": MATERIAL,
            "Plaintext": encode(opens_to),
        })),
    }
}
