//! Who the plugin is to AWS: each way to log in, and credentials that change under it.

use std::{fs, net::TcpListener, os::unix::fs::symlink};

use kms_plugin::root::aws_kms::AssumeRole;

use super::*;
use crate::{
    roots::{refused, unreachable},
    support::aws_replies::Request,
};

/// What STS answers: a role's credentials, which expire an hour from a fixed time far ahead.
pub(super) fn role_of(action: &str, access_key: &str) -> Reply {
    Reply::text(
        200,
        format!(
            r#"<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>
<AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:ringfence</AssumedRoleId><Arn>arn:aws:sts::111122223333:assumed-role/k8s/ringfence</Arn></AssumedRoleUser>
<Credentials><AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>
</{action}Result></{action}Response>"#
        ),
    )
}

/// A KMS with an enabled key, and an STS that gives the role its own key.
fn aws() -> AwsReplies {
    let aws = AwsReplies::start(None);
    aws.answer(|request| {
        Some(match request.action() {
            action @ ("AssumeRole" | "AssumeRoleWithWebIdentity") => role_of(action, "ASIAROLE"),
            _ => described(KEY, "Enabled"),
        })
    });
    aws
}

fn actions(seen: &[Request]) -> Vec<(&str, Option<&str>)> {
    seen.iter()
        .map(|request| (request.action(), request.access_key()))
        .collect()
}

#[tokio::test]
async fn a_changed_credentials_file_counts_at_the_next_call() {
    let (site, aws) = (Site::new(), aws());
    let root = site.open(KEY, &aws.endpoint());
    root.version().await.unwrap();
    site.log_in_with("AKIASECOND");
    root.version().await.unwrap();
    root.version().await.unwrap();
    assert_eq!(
        actions(&aws.take_seen()),
        [
            ("DescribeKey", Some("AKIAEXAMPLE")),
            ("DescribeKey", Some("AKIASECOND")),
            ("DescribeKey", Some("AKIASECOND")),
        ]
    );

    fs::remove_file(site.path("credentials")).unwrap();
    let words = unreachable(root.version().await);
    assert!(words.contains("cannot log in"), "{words}");
    assert!(words.contains("credentials"), "{words}");
    site.write(
        "credentials",
        "[other]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = hush\n",
    );
    let words = unreachable(root.version().await);
    assert!(!words.contains("hush"), "{words}");
    site.log_in_with("AKIATHIRD");
    root.version().await.unwrap();
}

#[tokio::test]
async fn a_credentials_file_that_others_may_read_is_not_used() {
    let (site, aws) = (Site::new(), aws());
    fs::set_permissions(site.path("credentials"), Permissions::from_mode(0o644)).unwrap();
    let words = unreachable(site.open(KEY, &aws.endpoint()).version().await);
    assert!(words.contains("chmod"), "{words}");
    assert_eq!(aws.take_seen().len(), 0);
}

/// As kubelet renews a token: `token` points into `..data`, which is swapped.
#[tokio::test]
async fn a_web_identity_token_is_read_again_when_kubelet_swaps_it() {
    let (site, aws) = (Site::new(), aws());
    let swap = |version: &str, token: &str| {
        fs::create_dir(site.path(version)).unwrap();
        site.write(&format!("{version}/token"), token);
        symlink(version, site.path("..new")).unwrap();
        fs::rename(site.path("..new"), site.path("..data")).unwrap();
    };
    swap("..1", "token-one\n");
    symlink("..data/token", site.path("token")).unwrap();
    let mut config = site.config(KEY, &aws.endpoint());
    config.credentials = Credentials::WebIdentity {
        token_file: site.path("token"),
        role_arn: ROLE.to_owned(),
    };
    let root = AwsKms::open(&config);
    root.version().await.unwrap();
    root.version().await.unwrap();
    swap("..2", "token-two\n");
    root.version().await.unwrap();

    let seen = aws.take_seen();
    let tokens: Vec<_> = seen
        .iter()
        .filter(|request| request.action() == "AssumeRoleWithWebIdentity")
        .map(|request| {
            assert_eq!(request.access_key(), None, "signed");
            let form = request.body.split('&');
            let mut token = form.filter_map(|pair| pair.strip_prefix("WebIdentityToken="));
            token.next().unwrap().to_owned()
        })
        .collect();
    assert_eq!(tokens, ["token-one", "token-two"]);
    let calls = seen
        .iter()
        .filter(|request| request.action() == "DescribeKey");
    assert!(
        calls
            .clone()
            .all(|call| call.access_key() == Some("ASIAROLE"))
    );
    assert_eq!(calls.count(), 3);

    swap("..3", "\n");
    let words = unreachable(root.version().await);
    assert!(words.contains("is empty"), "{words}");
}

#[tokio::test]
async fn a_role_is_assumed_with_what_guards_against_a_confused_deputy() {
    let (site, aws) = (Site::new(), aws());
    let mut config = site.config(KEY, &aws.endpoint());
    let source = "arn:aws:eks:eu-central-1:444455556666:cluster/prod";
    config.assume_role = Some(AssumeRole {
        arn: ROLE.to_owned(),
        external_id: Some("prod-eu1".to_owned()),
        source_arn: Some(source.to_owned()),
    });
    let root = AwsKms::open(&config);
    root.version().await.unwrap();
    root.version().await.unwrap();
    let seen = aws.take_seen();
    assert_eq!(
        actions(&seen),
        [
            ("AssumeRole", Some("AKIAEXAMPLE")),
            ("DescribeKey", Some("ASIAROLE")),
            ("DescribeKey", Some("ASIAROLE")),
        ]
    );
    assert!(seen[0].body.contains("ExternalId=prod-eu1"));
    assert_eq!(seen[0].headers["x-amz-source-arn"], source);
    assert_eq!(seen[0].headers["x-amz-source-account"], "444455556666");
    let signed = &seen[0].headers["authorization"];
    assert!(
        signed.contains("x-amz-source-account;x-amz-source-arn"),
        "{signed}"
    );
}

/// The session of the role was ended, or the clock is wrong: with a new login it goes on.
#[tokio::test]
async fn an_expired_token_is_no_revocation_and_a_new_login_heals_it() {
    let (site, aws) = (Site::new(), AwsReplies::start(None));
    let mut logins = 0;
    aws.answer(move |request| {
        Some(match (request.action(), request.access_key()) {
            (action @ "AssumeRole", _) => {
                logins += 1;
                role_of(action, &format!("ASIA{logins}"))
            }
            (_, Some("ASIA1")) => Reply::error(
                400,
                "ExpiredTokenException",
                "The security token included in the request is expired",
            ),
            (_, Some("ASIA2")) => Reply::error(400, "AccessDeniedException", "no"),
            _ => described(KEY, "Enabled"),
        })
    });
    let mut config = site.config(KEY, &aws.endpoint());
    config.assume_role = Some(AssumeRole {
        arn: ROLE.to_owned(),
        external_id: None,
        source_arn: None,
    });
    let root = AwsKms::open(&config);
    let words = unreachable(root.version().await);
    assert!(words.contains("ExpiredTokenException; see that"), "{words}");
    refused(root.version().await);
    root.version().await.unwrap();
    root.version().await.unwrap();
    let seen = aws.take_seen();
    let logins = seen
        .iter()
        .filter(|request| request.action() == "AssumeRole");
    assert_eq!(logins.count(), 3);
}

/// What STS denies is no word on the key.
#[tokio::test]
async fn a_login_that_is_denied_is_no_refusal() {
    let (site, aws) = (Site::new(), AwsReplies::start(None));
    site.write("token", "token-one");
    let mut web_identity = site.config(KEY, &aws.endpoint());
    web_identity.credentials = Credentials::WebIdentity {
        token_file: site.path("token"),
        role_arn: ROLE.to_owned(),
    };
    let mut assumed = site.config(KEY, &aws.endpoint());
    assumed.assume_role = Some(AssumeRole {
        arn: ROLE.to_owned(),
        external_id: None,
        source_arn: None,
    });
    for config in [web_identity, assumed] {
        let root = AwsKms::open(&config);
        for (status, code, message) in [
            (
                403,
                "AccessDenied",
                "Not authorized to perform sts:AssumeRoleWithWebIdentity",
            ),
            (
                400,
                "ExpiredTokenException",
                "Token expired: current date/time must be before",
            ),
            (
                400,
                "InvalidIdentityToken",
                "No OpenIDConnect provider found in your account",
            ),
            (
                403,
                "SignatureDoesNotMatch",
                "The Canonical String was 'x-amz-security-token:session'",
            ),
            (400, "Throttling", "Rate exceeded"),
            (503, "ServiceUnavailable", ""),
        ] {
            aws.always(Reply::sts_error(status, code, message));
            let words = unreachable(root.version().await);
            assert!(
                words.contains("cannot log in") && words.contains(code),
                "{words}"
            );
            assert!(!words.contains("session"), "{words}");
        }
    }
}

/// Within the five seconds that the daemon gives a call.
#[tokio::test]
async fn a_login_without_an_answer_is_given_up_and_said() {
    let (site, aws) = (Site::new(), aws());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = site.config(KEY, &aws.endpoint());
    config.sts_endpoint = Some(format!("http://{}", silent.local_addr().unwrap()));
    config.assume_role = Some(AssumeRole {
        arn: ROLE.to_owned(),
        external_id: None,
        source_arn: None,
    });
    let words = unreachable(AwsKms::open(&config).version().await);
    assert!(words.contains("cannot log in"), "{words}");
    assert!(words.contains("within 4 s"), "{words}");
}

#[tokio::test]
#[ignore = "needs moto: make conformance"]
async fn a_web_identity_opens_the_key_at_a_real_sts() {
    let site = Site::new();
    let moto = Moto::start();
    site.write("token", "token-one");
    let mut config = site.config(&moto.create_key(), &moto.endpoint());
    // moto takes the account of the role for that of the caller; this is where its keys are.
    config.credentials = Credentials::WebIdentity {
        token_file: site.path("token"),
        role_arn: "arn:aws:iam::123456789012:role/k8s".to_owned(),
    };
    config.assume_role = Some(AssumeRole {
        arn: "arn:aws:iam::123456789012:role/second".to_owned(),
        external_id: Some("prod-eu1".to_owned()),
        source_arn: None,
    });
    let root = AwsKms::open(&config);
    let (kek, here) = (local_kek(), binding("prod-eu1"));
    let wrapped = root.wrap(&kek, &here).await.unwrap();
    let opened = root.unwrap(&wrapped, &here).await.unwrap();
    assert_eq!(opened.expose(), kek.expose());
}
