//! A real Vault with the transit engine, and root's way into it.

use std::{fs, path::PathBuf, process::Command};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::{
    Agent,
    http::{Method, Request},
};

use super::{
    etcd::Certificates,
    kube,
    server::{Server, binary, free_port},
};

/// What a plugin needs for the key `k8s`, and no more.
pub(crate) const POLICY: &str = r#"
path "transit/encrypt/k8s" { capabilities = ["update"] }
path "transit/decrypt/k8s" { capabilities = ["update"] }
path "transit/keys/k8s" { capabilities = ["read"] }
"#;

/// A server on a free port of loopback, with an engine at `transit` and logins at `approle`, `jwt` and
/// `cert`; killed when dropped. Its storage is in files: a restart keeps it.
pub(crate) struct Vault {
    server: Server,
    folder: TempDir,
    flags: Vec<String>,
    scheme: &'static str,
    port: u16,
    agent: Agent,
}

/// What an AppRole logs in with.
pub(crate) struct AppRole {
    pub(crate) role_id: String,
    pub(crate) secret_id: String,
}

impl Vault {
    /// Without TLS.
    pub(crate) fn start() -> Self {
        Self::start_as("http", &[], b"")
    }

    /// With the certificate `server` of these. It asks clients for one, and wants it for the login `cert` only.
    pub(crate) fn start_tls(files: &Certificates) -> Self {
        let flag = |flag: &str, file: &str| format!("--{flag}={}", files.path(file).display());
        let flags = [flag("cert", "server.pem"), flag("key", "server.key")];
        Self::start_as("https", &flags, &fs::read(files.path("ca.pem")).unwrap())
    }

    fn start_as(scheme: &'static str, more: &[String], ca: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut flags = vec![
            format!("--listen=127.0.0.1:{port}"),
            format!("--data={}", folder.path().display()),
        ];
        flags.extend_from_slice(more);
        let mut vault = Self {
            server: spawn(&flags, &folder),
            folder,
            flags,
            scheme,
            port,
            agent: kube::agent(ca),
        };
        vault.wait_for_health(200);
        vault.write("sys/mounts/transit", json!({"type": "transit"}));
        for login in ["approle", "jwt", "cert"] {
            vault.write(&format!("sys/auth/{login}"), json!({"type": login}));
        }
        vault
    }

    /// `http://127.0.0.1:PORT`, or https.
    pub(crate) fn endpoint(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts it again after [`Self::kill`], and waits until it serves.
    pub(crate) fn restart(&mut self) {
        self.server = spawn(&self.flags, &self.folder);
        self.wait_for_health(200);
    }

    /// Starts it again after [`Self::kill`]; it stays sealed.
    pub(crate) fn restart_sealed(&mut self) {
        let mut flags = self.flags.clone();
        flags.push("--sealed".to_owned());
        self.server = spawn(&flags, &self.folder);
        self.wait_for_health(503);
    }

    /// Stops it with SIGSTOP: connections are accepted by the kernel, and nobody answers.
    pub(crate) fn pause(&self) {
        self.server.signal(Signal::STOP);
    }

    /// Has it go on after [`Self::pause`].
    pub(crate) fn resume(&self) {
        self.server.signal(Signal::CONT);
    }

    /// Seals it.
    pub(crate) fn seal(&self) {
        self.write("sys/seal", json!({}));
    }

    /// Unseals it, and waits until it serves.
    pub(crate) fn unseal(&mut self) {
        self.write("sys/unseal", json!({"key": self.file("unseal-key")}));
        self.wait_for_health(200);
    }

    /// Makes a key of the engine at `transit`: `{}` for one of AES-256-GCM.
    pub(crate) fn create_key(&self, name: &str, settings: Value) {
        self.write(&format!("transit/keys/{name}"), settings);
    }

    /// Changes a key's settings, such as `min_decryption_version`.
    pub(crate) fn configure_key(&self, name: &str, settings: Value) {
        self.write(&format!("transit/keys/{name}/config"), settings);
    }

    /// Gives a key a new version.
    pub(crate) fn rotate_key(&self, name: &str) {
        self.write(&format!("transit/keys/{name}/rotate"), json!({}));
    }

    /// Destroys a key.
    pub(crate) fn delete_key(&self, name: &str) {
        self.configure_key(name, json!({"deletion_allowed": true}));
        self.delete(&format!("transit/keys/{name}"));
    }

    /// Makes or replaces a policy, written in Vault's own language.
    pub(crate) fn policy(&self, name: &str, text: &str) {
        self.write(&format!("sys/policies/acl/{name}"), json!({"policy": text}));
    }

    /// A token with one policy besides `default`, which lives for `ttl`, such as `1h`.
    pub(crate) fn token(&self, policy: &str, ttl: &str) -> String {
        let settings = json!({"policies": [policy], "ttl": ttl, "no_parent": true});
        let made = self.write("auth/token/create", settings);
        text(&made["auth"]["client_token"])
    }

    /// Makes or replaces an AppRole, with settings such as `{"token_policies": ["p"], "token_ttl": "1h"}`.
    pub(crate) fn app_role(&self, name: &str, settings: Value) -> AppRole {
        let path = format!("auth/approle/role/{name}");
        self.write(&path, settings);
        let role_id = self.read(&format!("{path}/role-id"));
        AppRole {
            role_id: text(&role_id["data"]["role_id"]),
            secret_id: self.secret_id(name),
        }
    }

    /// One more secret id of an AppRole.
    pub(crate) fn secret_id(&self, role: &str) -> String {
        let made = self.write(&format!("auth/approle/role/{role}/secret-id"), json!({}));
        text(&made["data"]["secret_id"])
    }

    /// What root reads at `path` below `/v1`.
    #[track_caller]
    pub(crate) fn read(&self, path: &str) -> Value {
        self.as_root(Method::GET, path, Value::Null)
    }

    /// The same, or nothing if nothing is there.
    pub(crate) fn find(&self, path: &str) -> Option<Value> {
        let token = self.file("root-token");
        match self.call(Method::GET, path, &token, &Value::Null).unwrap() {
            (200, answer) => Some(answer),
            (404, _) => None,
            other => panic!("GET {path}: {other:?}"),
        }
    }

    /// What root is answered to a write at `path`.
    #[track_caller]
    pub(crate) fn write(&self, path: &str, body: Value) -> Value {
        self.as_root(Method::POST, path, body)
    }

    /// Root deletes what is at `path`.
    #[track_caller]
    pub(crate) fn delete(&self, path: &str) {
        self.as_root(Method::DELETE, path, Value::Null);
    }

    #[track_caller]
    fn as_root(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self
            .call(method.clone(), path, &self.file("root-token"), &body)
            .unwrap();
        assert!(
            (200..300).contains(&status),
            "{method} {path} {status}: {answer}"
        );
        answer
    }

    /// The status and body of what anybody is answered.
    pub(crate) fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: &Value,
    ) -> Result<(u16, Value), ureq::Error> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/v1/{path}", self.endpoint()))
            .header("x-vault-token", token)
            .body(match body {
                Value::Null => String::new(),
                body => body.to_string(),
            })
            .unwrap();
        let mut answer = self.agent.run(request)?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string()?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    fn wait_for_health(&mut self, status: u16) {
        let (agent, url) = (
            self.agent.clone(),
            format!("{}/v1/sys/health", self.endpoint()),
        );
        self.server.wait_until("is as it should be", || {
            let answer = agent.get(&url).call().ok()?;
            (answer.status() == status).then_some(())
        });
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn spawn(flags: &[String], folder: &TempDir) -> Server {
    let mut command = Command::new(binary("vault"));
    command.args(flags);
    Server::start("vault", &mut command, folder.path())
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
