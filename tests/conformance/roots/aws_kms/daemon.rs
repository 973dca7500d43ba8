//! The daemon with its KEK under a key of AWS KMS.

use kms_proto::wire::v2::{
    DecryptRequest, EncryptRequest, EncryptResponse, StatusRequest,
    key_management_service_client::KeyManagementServiceClient,
};
use tonic::transport::Channel;

use super::*;
use crate::support::{
    DEADLINE,
    aws_replies::Request,
    plugin::{Plugin, Site as PluginSite},
};

type Client = KeyManagementServiceClient<Channel>;

const SEED: &[u8] = b"a seed of 32 bytes, more or less";

async fn encrypt(client: &mut Client) -> EncryptResponse {
    let request = EncryptRequest {
        plaintext: SEED.to_vec(),
        uid: "1".to_owned(),
    };
    client.encrypt(request).await.unwrap().into_inner()
}

async fn opens(client: &mut Client, wrapped: &EncryptResponse) {
    let request = DecryptRequest {
        ciphertext: wrapped.ciphertext.clone(),
        uid: "2".to_owned(),
        key_id: wrapped.key_id.clone(),
        annotations: wrapped.annotations.clone(),
    };
    let answer = client.decrypt(request).await.unwrap().into_inner();
    assert_eq!(answer.plaintext, SEED);
}

/// Asks until there is a key id other than this.
async fn key_id_after(client: &mut Client, before: &str) -> String {
    let ask = async {
        loop {
            if let Ok(status) = client.status(StatusRequest {}).await {
                let key_id = status.into_inner().key_id;
                if key_id != before {
                    return key_id;
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, ask).await.unwrap()
}

fn count(seen: &[Request], action: &str) -> usize {
    seen.iter()
        .filter(|request| request.action() == action)
        .count()
}

#[tokio::test]
#[ignore = "needs moto: make conformance"]
async fn the_daemon_serves_follows_a_rotation_and_comes_back_with_one_unwrap_each() {
    let (files, site) = (Site::new(), PluginSite::new());
    let moto = Moto::start();
    let amazon = Amazon::before(&moto);
    site.write_config(&format!(
        "{}stateDirectory: {}
roots:
- name: aws
  awsKms:
    keyId: {}
    endpoint: {}
    stsEndpoint: {}
    profile: {{name: k8s, credentialsFile: {}}}
keks:
- {{name: main, wrapWith: [aws]}}
",
        site.settings,
        site.path("state").display(),
        moto.create_key(),
        amazon.endpoint(),
        amazon.endpoint(),
        files.path("credentials").display(),
    ));
    let check = site.run("check");
    let said = String::from_utf8_lossy(&check.stdout) + String::from_utf8_lossy(&check.stderr);
    assert!(check.status.success(), "{said}");
    assert!(said.contains("without our encryption context"), "{said}");

    let mut plugin = Plugin::start(&site);
    let mut client = plugin.client().await;
    let first = key_id_after(&mut client, "").await;
    let old = encrypt(&mut client).await;
    assert_eq!(old.key_id, first);
    opens(&mut client, &old).await;

    amazon.rotate();
    let second = key_id_after(&mut client, &first).await;
    let new = encrypt(&mut client).await;
    assert_eq!(new.key_id, second);
    opens(&mut client, &old).await;

    plugin.signal(rustix::process::Signal::TERM);
    plugin.wait();
    amazon.take_seen();
    let plugin = Plugin::start(&site);
    let mut client = plugin.client().await;
    assert_eq!(key_id_after(&mut client, "").await, second);
    for wrapped in [&old, &new] {
        opens(&mut client, wrapped).await;
    }
    let seen = amazon.take_seen();
    assert_eq!((count(&seen, "Decrypt"), count(&seen, "Encrypt")), (2, 0));

    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (mut client, old) = (client.clone(), old.clone());
        calls.spawn(async move {
            for _ in 0..157 {
                opens(&mut client, &old).await;
            }
        });
    }
    calls.join_all().await;
    // The keeper's own rounds, of which there are more on a slow machine; none for any of the calls.
    let seen = amazon.take_seen();
    let [described, decrypted] = ["DescribeKey", "Decrypt"].map(|action| count(&seen, action));
    assert_eq!(described + decrypted, seen.len());
    assert!(
        decrypted <= described && described < 100,
        "{described}, {decrypted}"
    );
    eprintln!(
        "VmHWM {} KiB after 10,000 Decrypts",
        plugin.peak_memory_kib()
    );
}
