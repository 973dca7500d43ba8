//! The real `kms-plugin`, as kube-apiserver and an operator meet it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod authority;
mod calls;
mod files;
mod module;
mod outside;
mod roots;
mod rotation;
mod socket;

use std::{
    fs::File,
    os::unix::process::CommandExt,
    process::{Command, Output, Stdio},
};

use kms_proto::wire::v2::{
    DecryptRequest, EncryptRequest, EncryptResponse, StatusRequest, StatusResponse,
    key_management_service_client::KeyManagementServiceClient,
};
use tonic::{Code, transport::Channel};

type Client = KeyManagementServiceClient<Channel>;

const SEED: &[u8; 32] = b"a DEK seed of exactly 32 bytes..";

async fn key_id(client: &mut Client) -> String {
    let status = client.status(StatusRequest {}).await.unwrap();
    let StatusResponse {
        version,
        healthz,
        key_id,
    } = status.into_inner();
    assert_eq!((version.as_str(), healthz.as_str()), ("v2beta1", "ok"));
    key_id
}

async fn encrypt(client: &mut Client) -> EncryptResponse {
    let request = EncryptRequest {
        plaintext: SEED.to_vec(),
        uid: "uid-encrypt".to_owned(),
    };
    client.encrypt(request).await.unwrap().into_inner()
}

fn as_request(wrapped: &EncryptResponse) -> DecryptRequest {
    DecryptRequest {
        ciphertext: wrapped.ciphertext.clone(),
        uid: "uid-decrypt".to_owned(),
        key_id: wrapped.key_id.clone(),
        annotations: wrapped.annotations.clone(),
    }
}

async fn opens(client: &mut Client, wrapped: &EncryptResponse) -> bool {
    let answer = client.decrypt(as_request(wrapped)).await;
    answer.is_ok_and(|answer| answer.get_ref().plaintext == SEED)
}

async fn refusal(client: &mut Client, request: DecryptRequest) -> Code {
    client.decrypt(request).await.unwrap_err().code()
}

/// A command that failed: its exit code and what it said.
fn failure(output: Output) -> (i32, String) {
    assert!(output.stdout.is_empty(), "{output:?}");
    let message = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), message)
}

/// `kms-plugin` under another uid and gid, which takes root. Started by way of an open file: the
/// foreigner may not be able to enter the directory of the program.
fn as_foreigner(uid: u32, gid: u32) -> Command {
    let program = File::open(support::plugin::kms_plugin(&[]).get_program()).unwrap();
    let mut command = Command::new("/proc/self/fd/0");
    command
        .stdin(program)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .uid(uid)
        .gid(gid);
    command
}
