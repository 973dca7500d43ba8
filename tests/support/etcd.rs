//! A real etcd, and a second way into it (its JSON gateway) that shares no code with the store.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

/// One member on free ports of loopback, its data in a temporary folder; killed when dropped.
pub(crate) struct Etcd {
    child: Child,
    client: u16,
    scheme: &'static str,
    dir: TempDir,
}

impl Etcd {
    pub(crate) fn start() -> Self {
        Self::start_with(&[] as &[&str])
    }

    /// With more flags of etcd.
    pub(crate) fn start_with(flags: &[impl AsRef<OsStr>]) -> Self {
        Self::start_as("http", flags)
    }

    /// With TLS files that [`Certificates`] made: etcd wants a client certificate.
    pub(crate) fn start_tls(files: &Certificates) -> Self {
        Self::start_as(
            "https",
            &[
                flag("cert-file", &files.path("server.pem")),
                flag("key-file", &files.path("server.key")),
                flag("trusted-ca-file", &files.path("ca.pem")),
                "--client-cert-auth".to_owned(),
            ],
        )
    }

    fn start_as(scheme: &'static str, flags: &[impl AsRef<OsStr>]) -> Self {
        // A free port may be taken by somebody else before etcd binds it; then etcd ends, and other
        // ports are tried.
        for _ in 0..5 {
            if let Some(etcd) = Self::try_start(scheme, flags) {
                return etcd;
            }
        }
        panic!("etcd ended at its start five times; its last words are above");
    }

    fn try_start(scheme: &'static str, flags: &[impl AsRef<OsStr>]) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let [client, peer, metrics] = free_ports();
        let client_url = format!("{scheme}://127.0.0.1:{client}");
        let peer_url = format!("http://127.0.0.1:{peer}");
        let child = Command::new(binary())
            .args(["--name=test", "--log-level=error", "--unsafe-no-fsync"])
            .arg(flag("data-dir", &dir.path().join("data")))
            .arg(format!("--listen-client-urls={client_url}"))
            .arg(format!("--advertise-client-urls={client_url}"))
            .arg(format!("--listen-peer-urls={peer_url}"))
            .arg(format!("--initial-advertise-peer-urls={peer_url}"))
            .arg(format!("--initial-cluster=test={peer_url}"))
            .arg(format!("--listen-metrics-urls=http://127.0.0.1:{metrics}"))
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut etcd = Self {
            child,
            client,
            scheme,
            dir,
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let health = http(metrics, "GET /health HTTP/1.0\r\n\r\n");
            if health.is_ok_and(|answer| answer.contains(r#""health":"true""#)) {
                return Some(etcd);
            }
            if let Some(status) = etcd.child.try_wait().unwrap() {
                eprintln!("etcd ended with {status}: {}", etcd.log());
                return None;
            }
            assert!(
                Instant::now() < deadline,
                "etcd is not healthy after 60 s: {}",
                etcd.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// `http://127.0.0.1:PORT`, or https.
    pub(crate) fn endpoint(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.client)
    }

    /// The port for clients.
    pub(crate) fn port(&self) -> u16 {
        self.client
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Writes a key and returns the revision.
    pub(crate) fn put(&self, key: &str, value: &[u8]) -> i64 {
        self.put_with_lease(key, value, 0)
    }

    /// Writes a key under a lease and returns the revision.
    pub(crate) fn put_with_lease(&self, key: &str, value: &[u8], lease: i64) -> i64 {
        let body = json!({"key": b64(key), "value": b64(value), "lease": lease.to_string()});
        number(&self.post("/v3/kv/put", &body)["header"]["revision"])
    }

    /// Deletes a key.
    pub(crate) fn delete(&self, key: &str) {
        self.post("/v3/kv/deleterange", &json!({"key": b64(key)}));
    }

    /// The value of a key and its lease.
    pub(crate) fn get(&self, key: &str) -> Option<(Vec<u8>, i64)> {
        let answer = self.post("/v3/kv/range", &json!({"key": b64(key)}));
        let kv = answer["kvs"].get(0)?;
        let value = kv["value"].as_str().unwrap_or_default();
        Some((BASE64_STANDARD.decode(value).unwrap(), number(&kv["lease"])))
    }

    /// The revision of the newest write.
    pub(crate) fn revision(&self) -> i64 {
        number(&self.post("/v3/kv/range", &json!({"key": b64("\0")}))["header"]["revision"])
    }

    /// Everything under keys that begin with `prefix`.
    pub(crate) fn list(&self, prefix: &str) -> Vec<Stored> {
        // The end of the range is the prefix with its last byte raised.
        let mut end = prefix.as_bytes().to_vec();
        *end.last_mut().unwrap() += 1;
        let answer = self.post(
            "/v3/kv/range",
            &json!({"key": b64(prefix), "range_end": b64(end)}),
        );
        let kvs = answer["kvs"].as_array().map_or(&[][..], Vec::as_slice);
        let bytes = |value: &Value| {
            BASE64_STANDARD
                .decode(value.as_str().unwrap_or_default())
                .unwrap()
        };
        kvs.iter()
            .map(|kv| Stored {
                key: String::from_utf8(bytes(&kv["key"])).unwrap(),
                value: bytes(&kv["value"]),
                lease: number(&kv["lease"]),
            })
            .collect()
    }

    /// A new lease of so many seconds.
    pub(crate) fn lease(&self, seconds: i64) -> i64 {
        number(&self.post("/v3/lease/grant", &json!({"TTL": seconds}))["ID"])
    }

    /// Ends a lease and deletes its keys.
    pub(crate) fn revoke(&self, lease: i64) {
        self.post("/v3/lease/revoke", &json!({"ID": lease.to_string()}));
    }

    /// Forgets all revisions before this one.
    pub(crate) fn compact(&self, revision: i64) {
        self.post(
            "/v3/kv/compaction",
            &json!({"revision": revision.to_string(), "physical": true}),
        );
    }

    /// Switches authentication on: `root` with its password, and a user that may read and write only
    /// the keys from the first to before the second.
    pub(crate) fn enable_auth(
        &self,
        root_password: &str,
        user: &str,
        password: &str,
        range: [&str; 2],
    ) {
        let [key, end] = range;
        for (path, body) in [
            (
                "user/add",
                json!({"name": "root", "password": root_password}),
            ),
            ("role/add", json!({"name": "root"})),
            ("user/grant", json!({"user": "root", "role": "root"})),
            ("user/add", json!({"name": user, "password": password})),
            ("role/add", json!({"name": "limited"})),
            (
                "role/grant",
                json!({"name": "limited", "perm": {"permType": "READWRITE", "key": b64(key), "range_end": b64(end)}}),
            ),
            ("user/grant", json!({"user": user, "role": "limited"})),
            ("enable", json!({})),
        ] {
            self.post(&format!("/v3/auth/{path}"), &body);
        }
    }

    /// As `root`, gives a user a password, which ends the tokens it has.
    pub(crate) fn change_password(&self, root_password: &str, user: &str, password: &str) {
        let login = json!({"name": "root", "password": root_password});
        let answer = self.post("/v3/auth/authenticate", &login);
        let token = format!("Authorization: {}\r\n", answer["token"].as_str().unwrap());
        let body = json!({"name": user, "password": password});
        self.post_with(&token, "/v3/auth/user/changepw", &body);
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.post_with("", path, body)
    }

    /// Asks the JSON gateway of an etcd without TLS; an error fails the test.
    fn post_with(&self, header: &str, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let length = body.len();
        let answer = http(
            self.client,
            &format!(
                "POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{header}\r\n{body}"
            ),
        )
        .unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.lines().next().unwrap().ends_with("200 OK"),
            "{path}: {head} {body}"
        );
        serde_json::from_str(body).unwrap()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is stored under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) key: String,
    pub(crate) value: Vec<u8>,
    /// 0 where there is none.
    pub(crate) lease: i64,
}

/// A CA, a server certificate for 127.0.0.1, a client certificate, and another CA that signed neither.
pub(crate) struct Certificates(TempDir);

impl Certificates {
    pub(crate) fn generate() -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        let ca = this.authority("ca");
        this.authority("other-ca");
        this.leaf("server", &ca, rcgen::ExtendedKeyUsagePurpose::ServerAuth);
        this.leaf("client", &ca, rcgen::ExtendedKeyUsagePurpose::ClientAuth);
        this
    }

    /// `ca.pem`, `other-ca.pem`, `server.pem`, `server.key`, `client.pem` or `client.key`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn authority(&self, name: &str) -> rcgen::CertifiedIssuer<'static, rcgen::KeyPair> {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        let ca = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
        fs::write(self.path(&format!("{name}.pem")), ca.pem()).unwrap();
        ca
    }

    fn leaf(
        &self,
        name: &str,
        ca: &rcgen::CertifiedIssuer<'_, rcgen::KeyPair>,
        purpose: rcgen::ExtendedKeyUsagePurpose,
    ) {
        let mut params = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.extended_key_usages = vec![purpose];
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, ca).unwrap();
        fs::write(self.path(&format!("{name}.pem")), cert.pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

/// An endpoint where nobody listens.
pub(crate) fn unused_endpoint() -> String {
    let [port] = free_ports();
    format!("http://127.0.0.1:{port}")
}

/// Where the etcd binary is; built once into the user's cache where there is none.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/get");
        let output = Command::new(script)
            .arg("etcd")
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "no etcd; the reason is above");
        String::from_utf8(output.stdout).unwrap().trim_end().into()
    })
}

/// Ports that are free at this moment, all different.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: [_; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn http(port: u16, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// The gateway writes 64-bit numbers as text and leaves zeros out.
fn number(value: &Value) -> i64 {
    value.as_str().map_or(0, |text| text.parse().unwrap())
}
