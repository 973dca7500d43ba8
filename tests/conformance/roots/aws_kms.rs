//! AWS KMS: on moto, with what moto cannot say added as AWS documents it.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
};

use kms_plugin::root::{
    aws_kms::{AwsKms, Config, Credentials, Place},
    local::KeyMaterial,
    remote::RemoteRoot,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    binding, corrupt, local_kek,
    suite::{Subject, conforms},
};
use crate::support::{
    aws_replies::{AwsReplies, Reply},
    moto::Moto,
};
use amazon::Amazon;

mod amazon;
mod answers;
mod children;
mod daemon;
mod logins;
mod policies;
mod replicas;
mod review;

const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const MATERIAL: &str = "c3f1a5d2e4b60718293a4b5c6d7e8f90c3f1a5d2e4b60718293a4b5c6d7e8f90";
const ROLE: &str = "arn:aws:iam::111122223333:role/k8s";

/// A plugin's side: the files of its credentials.
struct Site(TempDir);

impl Site {
    fn new() -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        site.log_in_with("AKIAEXAMPLE");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Puts a file in the place of the one of this name, for us only.
    fn write(&self, name: &str, content: &str) -> PathBuf {
        let (path, new) = (self.path(name), self.path("new"));
        fs::write(&new, content).unwrap();
        fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
        fs::rename(new, &path).unwrap();
        path
    }

    /// Another access key in the credentials file.
    fn log_in_with(&self, access_key: &str) {
        self.write(
            "credentials",
            &format!("[k8s]\naws_access_key_id = {access_key}\naws_secret_access_key = secret\n"),
        );
    }

    /// The settings with that file, everything at one endpoint.
    fn config(&self, key: &str, endpoint: &str) -> Config {
        Config {
            key: place(key, endpoint),
            replicas: Vec::new(),
            use_fips: false,
            sts_endpoint: Some(endpoint.to_owned()),
            credentials: Credentials::Profile {
                name: "k8s".to_owned(),
                config_file: None,
                credentials_file: Some(self.path("credentials")),
            },
            assume_role: None,
        }
    }

    fn open(&self, key: &str, endpoint: &str) -> AwsKms {
        AwsKms::open(&self.config(key, endpoint))
    }
}

fn place(key: &str, endpoint: &str) -> Place {
    Place {
        key: key.parse().unwrap(),
        endpoint: Some(endpoint.to_owned()),
    }
}

/// A reply to DescribeKey, as the API reference shows it.
fn described(key: &str, state: &str) -> Reply {
    Reply::json(&json!({"KeyMetadata": metadata(key, state)}))
}

fn metadata(key: &str, state: &str) -> Value {
    json!({
        "AWSAccountId": "111122223333",
        "KeyId": key.rsplit('/').next(),
        "Arn": key,
        "CreationDate": 1_585_929_600.0,
        "CurrentKeyMaterialId": MATERIAL,
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "Description": "",
        "Enabled": state == "Enabled",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "KeyManager": "CUSTOMER",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyState": state,
        "KeyUsage": "ENCRYPT_DECRYPT",
        "MultiRegion": false,
        "Origin": "AWS_KMS",
    })
}

#[tokio::test]
#[ignore = "needs moto: make conformance"]
async fn conforms_and_shows_the_rotation_of_its_material() {
    let site = Site::new();
    let moto = Moto::start();
    let (key, stranger) = (moto.create_key(), moto.create_key());
    let amazon = Amazon::before(&moto);
    let root = site.open(&key, &amazon.endpoint());
    conforms(Subject {
        root: &root,
        stranger: &site.open(&stranger, &amazon.endpoint()),
        kind: "aws-kms",
        rotate: Some(&mut || amazon.rotate()),
        flip_every: 7,
        at_once: 16,
    })
    .await;

    let version = root.version().await.unwrap();
    assert_eq!(version.key(), format!("aws-kms:{key}"));
    let sent = amazon.take_seen();
    let decrypts = sent.iter().filter(|request| request.action() == "Decrypt");
    assert!(decrypts.count() > 16);
    for request in sent {
        let body = request.json();
        assert!(
            body["KeyId"].is_string(),
            "{} without a key",
            request.action()
        );
        if request.action() != "DescribeKey" {
            let context = body["EncryptionContext"].as_object().unwrap();
            let names: Vec<_> = context.keys().collect();
            assert_eq!(names, ["ringfence.dev/context", "ringfence.dev/kek"]);
        }
    }
}

#[tokio::test]
#[ignore = "needs moto: make conformance"]
async fn a_key_without_named_material_has_one_version() {
    let site = Site::new();
    let moto = Moto::start();
    let root = site.open(&moto.create_key(), &moto.endpoint());
    let version = root.version().await.unwrap();
    assert!(version.as_str().ends_with("#1"), "{version}");
    let (kek, here) = (local_kek(), binding("prod-eu1"));
    let wrapped = root.wrap(&kek, &here).await.unwrap();
    assert_eq!(wrapped.version, version);
    let opened = root.unwrap(&wrapped, &here).await.unwrap();
    assert_eq!(opened.expose(), kek.expose());
    corrupt(root.unwrap(&wrapped, &binding("prod-eu1")).await);
}
