//! moto: a server that answers as AWS KMS and STS do.

use std::{net::TcpStream, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

use super::server::{Server, binary, free_port};

/// Listens on a free port of loopback; killed when dropped. It forgets everything with that.
pub(crate) struct Moto {
    _server: Server,
    _folder: TempDir,
    port: u16,
    agent: Agent,
}

impl Moto {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = Command::new(binary("moto"));
        command
            .current_dir(&folder)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        let mut server = Server::start("moto", &mut command, folder.path());
        server.wait_until("listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        Self {
            _server: server,
            _folder: folder,
            port,
            agent: Agent::config_builder()
                .http_status_as_error(false)
                .build()
                .into(),
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Calls an action of KMS as the administrator, and gives the answer.
    pub(crate) fn kms(&self, action: &str, body: &Value) -> Value {
        let mut answer = self
            .agent
            .post(self.endpoint())
            .header("x-amz-target", format!("TrentService.{action}"))
            .header("content-type", "application/x-amz-json-1.1")
            .header("authorization", AUTHORIZATION)
            .send(body.to_string())
            .unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert_eq!(answer.status(), 200, "{action}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// A new key, by its ARN.
    pub(crate) fn create_key(&self) -> String {
        let answer = self.kms("CreateKey", &json!({}));
        answer["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
    }
}

/// moto reads the region and checks nothing.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/kms/aws4_request, \
                             SignedHeaders=host, Signature=0";
