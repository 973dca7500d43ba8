//! The SDK's own chain of credentials, which reads the environment: each test runs itself again as a child that has it.

use std::{env, process::Command};

use super::*;

/// Says which test is the child, and where AWS is.
const CHILD: &str = "RINGFENCE_TEST_AWS_ENDPOINT";

/// In the child: asks for the version, with what the environment gives. In the parent: has a child do so,
/// with nothing of AWS in its environment but this.
async fn ask_as_a_child(test: &str, aws: &AwsReplies, variables: &[(&str, String)]) {
    let mut child = Command::new(env::current_exe().unwrap());
    child
        .args(["--exact", "--nocapture"])
        .arg(format!("roots::aws_kms::children::{test}"))
        .env(CHILD, aws.endpoint())
        .env("HOME", "/nonexistent")
        .envs(variables.iter().map(|(name, value)| (name, value)));
    let inherited = env::vars().filter(|(name, _)| name.starts_with("AWS_"));
    for (name, _) in inherited {
        if !variables.iter().any(|(known, _)| *known == name) {
            child.env_remove(name);
        }
    }
    let output = tokio::task::spawn_blocking(move || child.output().unwrap());
    let output = output.await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert!(text.contains("1 passed"), "{text}");
}

/// Whether this is the child; then everything is done.
async fn is_child() -> bool {
    let Ok(endpoint) = env::var(CHILD) else {
        return false;
    };
    let mut config = Site::new().config(KEY, &endpoint);
    config.credentials = Credentials::Default;
    let root = AwsKms::open(&config);
    let version = root.version().await.unwrap();
    assert_eq!(version.as_str(), format!("aws-kms:{KEY}#{MATERIAL}"));
    true
}

/// As both endpoints of credentials answer.
fn lent(access_key: &str) -> Reply {
    Reply::json(&json!({
        "AccessKeyId": access_key,
        "Code": "Success",
        "Expiration": "2100-01-01T00:00:00Z",
        "LastUpdated": "2026-01-01T00:00:00Z",
        "SecretAccessKey": "secret",
        "Token": "session",
        "Type": "AWS-HMAC",
    }))
}

#[track_caller]
fn signed_with(aws: &AwsReplies, access_key: &str) {
    let seen = aws.take_seen();
    let call = seen
        .iter()
        .find(|request| request.action() == "DescribeKey");
    assert_eq!(call.unwrap().access_key(), Some(access_key));
}

#[tokio::test]
async fn an_access_key_in_the_environment() {
    if is_child().await {
        return;
    }
    let aws = AwsReplies::start(None);
    aws.always(described(KEY, "Enabled"));
    let variables = [
        ("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        // Neither may move the calls.
        ("AWS_REGION", "us-west-2".to_owned()),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9".to_owned()),
    ];
    ask_as_a_child("an_access_key_in_the_environment", &aws, &variables).await;
    signed_with(&aws, "AKIAENVIRONMENT");
}

#[tokio::test]
async fn a_profile_in_the_home_folder() {
    if is_child().await {
        return;
    }
    let aws = AwsReplies::start(None);
    aws.always(described(KEY, "Enabled"));
    let site = Site::new();
    fs::create_dir(site.path(".aws")).unwrap();
    let profile = "[default]\naws_access_key_id = AKIAHOME\naws_secret_access_key = secret\n";
    site.write(".aws/credentials", profile);
    let variables = [("HOME", site.0.path().display().to_string())];
    ask_as_a_child("a_profile_in_the_home_folder", &aws, &variables).await;
    signed_with(&aws, "AKIAHOME");
}

/// IRSA: the webhook of EKS, or the operator, sets both variables.
#[tokio::test]
async fn a_web_identity_in_the_environment() {
    if is_child().await {
        return;
    }
    let (site, aws) = (Site::new(), AwsReplies::start(None));
    aws.answer(|request| {
        Some(match request.action() {
            action @ "AssumeRoleWithWebIdentity" => logins::role_of(action, "ASIAIRSA"),
            _ => described(KEY, "Enabled"),
        })
    });
    site.write("token", "token-one");
    let variables = [
        (
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            site.path("token").display().to_string(),
        ),
        ("AWS_ROLE_ARN", ROLE.to_owned()),
        // The chain's own STS client follows this variable.
        ("AWS_ENDPOINT_URL_STS", aws.endpoint()),
    ];
    ask_as_a_child("a_web_identity_in_the_environment", &aws, &variables).await;
    signed_with(&aws, "ASIAIRSA");
}

#[tokio::test]
async fn eks_pod_identity() {
    if is_child().await {
        return;
    }
    let (site, aws) = (Site::new(), AwsReplies::start(None));
    aws.answer(|request| {
        Some(match request.path.as_str() {
            "/v1/credentials" => {
                assert_eq!(request.headers["authorization"], "pod-token");
                lent("ASIAPOD")
            }
            _ => described(KEY, "Enabled"),
        })
    });
    site.write("token", "pod-token");
    let endpoint = format!("{}/v1/credentials", aws.endpoint());
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", endpoint),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            site.path("token").display().to_string(),
        ),
    ];
    ask_as_a_child("eks_pod_identity", &aws, &variables).await;
    signed_with(&aws, "ASIAPOD");
}

/// IMDSv2: a session token first, by PUT, and then nothing without it.
#[tokio::test]
async fn the_metadata_service_of_the_machine() {
    if is_child().await {
        return;
    }
    let aws = AwsReplies::start(None);
    aws.answer(|request| {
        let text = |body: &str| Reply::text(200, body);
        let role = "/latest/meta-data/iam/security-credentials/";
        let path = request.path.as_str();
        if path == "/latest/api/token" && request.method == "PUT" {
            assert!(
                request
                    .headers
                    .contains_key("x-aws-ec2-metadata-token-ttl-seconds")
            );
            return Some(Reply {
                header: Some(("x-aws-ec2-metadata-token-ttl-seconds", "21600")),
                ..text("metadata-token")
            });
        }
        if !path.starts_with("/latest/") {
            return Some(described(KEY, "Enabled"));
        }
        assert_eq!(
            request.headers["x-aws-ec2-metadata-token"],
            "metadata-token"
        );
        match path.strip_prefix(role)? {
            "" => Some(text("control-plane")),
            "control-plane" => Some(lent("ASIAMACHINE")),
            _ => None,
        }
    });
    let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", aws.endpoint())];
    ask_as_a_child("the_metadata_service_of_the_machine", &aws, &variables).await;
    signed_with(&aws, "ASIAMACHINE");
}
