//! What `check` says of the rights.

use super::*;
use crate::{
    roots::{refused, unreachable},
    support::aws_replies::Request,
};

pub(super) const ASSUMED: &str = "arn:aws:sts::111122223333:assumed-role/k8s/ringfence";

pub(super) fn identity(arn: &str) -> Reply {
    Reply::text(
        200,
        format!(
            r#"<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>{arn}</Arn><UserId>A</UserId><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"#
        ),
    )
}

pub(super) fn denied() -> Reply {
    Reply::error(400, "AccessDeniedException", "not authorized")
}

/// An account as the samples make it, but for what `change` answers.
fn aws(mut change: impl FnMut(&Request) -> Option<Reply> + Send + 'static) -> AwsReplies {
    let aws = AwsReplies::start(None);
    aws.answer(move |request| {
        change(request).or_else(|| {
            Some(match request.action() {
                "GetCallerIdentity" => identity(ASSUMED),
                "DescribeKey" => described(KEY, "Enabled"),
                _ => denied(),
            })
        })
    });
    aws
}

async fn remarks(change: impl FnMut(&Request) -> Option<Reply> + Send + 'static) -> Vec<String> {
    let (site, aws) = (Site::new(), aws(change));
    site.open(KEY, &aws.endpoint()).review().await.unwrap()
}

/// Exactly one, about this.
async fn remark(words: &str, change: impl FnMut(&Request) -> Option<Reply> + Send + 'static) {
    let remarks = remarks(change).await;
    assert_eq!(remarks.len(), 1, "{remarks:?}");
    assert!(remarks[0].contains(words), "{remarks:?}");
}

fn on(action: &str, request: &Request, reply: Reply) -> Option<Reply> {
    (request.action() == action).then_some(reply)
}

#[tokio::test]
async fn the_least_rights_leave_nothing_to_say() {
    assert_eq!(remarks(|_| None).await, [""; 0]);
}

#[tokio::test]
async fn who_is_more_than_a_role_is_said() {
    let root = "arn:aws:iam::111122223333:root";
    remark("the root user", move |request| {
        on("GetCallerIdentity", request, identity(root))
    })
    .await;
    let user = "arn:aws:iam::111122223333:user/k8s";
    remark("does not expire", move |request| {
        on("GetCallerIdentity", request, identity(user))
    })
    .await;
    remark("who we are cannot be told", |request| {
        on(
            "GetCallerIdentity",
            request,
            Reply::sts_error(503, "ServiceUnavailable", ""),
        )
    })
    .await;
}

#[tokio::test]
async fn what_an_operator_will_regret_of_the_key_is_said() {
    for (name, value, words) in [
        ("KeyManager", json!("AWS"), "managed by AWS"),
        ("Origin", json!("EXTERNAL"), "imported key material; keep"),
        ("Origin", json!("EXTERNAL_KEY_STORE"), "custom key store"),
    ] {
        let mut key = metadata(KEY, "Enabled");
        key[name] = value;
        let reply = Reply::json(&json!({"KeyMetadata": key}));
        remark(words, move |request| {
            on("DescribeKey", request, reply.clone())
        })
        .await;
    }
    let mut expires = metadata(KEY, "Enabled");
    expires["Origin"] = json!("EXTERNAL");
    expires["ValidTo"] = json!(4_102_444_800.0);
    let reply = Reply::json(&json!({"KeyMetadata": expires}));
    remark("the material expires", move |request| {
        on("DescribeKey", request, reply.clone())
    })
    .await;

    let status = |on: bool| Reply::json(&json!({"KeyId": KEY, "KeyRotationEnabled": on}));
    remark("does not rotate", move |request| {
        on_rotation(request, status(false))
    })
    .await;
    assert_eq!(
        remarks(move |request| on_rotation(request, status(true))).await,
        [""; 0]
    );
}

fn on_rotation(request: &Request, reply: Reply) -> Option<Reply> {
    on("GetKeyRotationStatus", request, reply)
}

/// The one right beyond the least that can be tried without harm.
#[tokio::test]
async fn a_policy_without_the_encryption_context_is_said() {
    let encrypted = || {
        Reply::json(&json!({
            "CiphertextBlob": "Y2lwaGVydGV4dA==",
            "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "KeyId": KEY,
        }))
    };
    remark("kms:Encrypt of arn", move |request| {
        assert!(request.json()["EncryptionContext"].is_null());
        on("Encrypt", request, encrypted())
    })
    .await;
    remark("kms:Encrypt and kms:Decrypt of arn", move |request| {
        let opened = Reply::json(&json!({"KeyId": KEY, "Plaintext": "eA=="}));
        on("Encrypt", request, encrypted()).or_else(|| on("Decrypt", request, opened))
    })
    .await;
}

#[tokio::test]
async fn what_nothing_works_without_is_an_error() {
    let site = Site::new();
    let no_describe = aws(|request| on("DescribeKey", request, denied()));
    let words = refused(site.open(KEY, &no_describe.endpoint()).review().await);
    assert!(words.contains("without kms:DescribeKey"), "{words}");
    let disabled = aws(|request| on("DescribeKey", request, described(KEY, "Disabled")));
    refused(site.open(KEY, &disabled.endpoint()).review().await);
    let throttled = Reply::error(400, "ThrottlingException", "slow down");
    let throttled = aws(move |request| on("Encrypt", request, throttled.clone()));
    unreachable(site.open(KEY, &throttled.endpoint()).review().await);
}

#[tokio::test]
async fn a_replica_of_no_use_is_said() {
    const HERE: &str = "arn:aws:kms:eu-central-1:111122223333:key/mrk-1";
    const THERE: &str = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1";
    let site = Site::new();
    let aws = aws(|request| {
        let asked = request.json()["KeyId"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        match (request.action(), asked == HERE) {
            ("DescribeKey", true) => Some(described(HERE, "Enabled")),
            ("DescribeKey", false) => Some(described(THERE, "Disabled")),
            _ => None,
        }
    });
    let mut config = site.config(HERE, &aws.endpoint());
    config.replicas = vec![place(THERE, &aws.endpoint())];
    let remarks = AwsKms::open(&config).review().await.unwrap();
    assert_eq!(remarks.len(), 2, "{remarks:?}");
    assert!(remarks[0].contains("is no replica of"), "{remarks:?}");
    assert!(remarks[1].contains("Disabled"), "{remarks:?}");
}
