use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use kms_proto::wire::{
    v1beta1::{
        self,
        key_management_service_server::{
            KeyManagementService as ServiceV1, KeyManagementServiceServer as ServerV1,
        },
    },
    v2::{
        DecryptResponse,
        key_management_service_server::{KeyManagementService, KeyManagementServiceServer},
    },
};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tonic::{Request, Response, Status, async_trait};

use super::*;

const TIMEOUT: Duration = Duration::from_secs(20);

/// A plugin that answers what a test tells it to, right or wrong.
#[derive(Clone)]
struct Plugin {
    status: StatusResponse,
    encrypt: EncryptResponse,
    decrypt: Result<Vec<u8>, Status>,
    hangs: bool,
}

impl Plugin {
    fn good() -> Self {
        Self {
            status: StatusResponse {
                version: "v2beta1".to_owned(),
                healthz: "ok".to_owned(),
                key_id: "one".to_owned(),
            },
            encrypt: EncryptResponse {
                ciphertext: b"wrapped".to_vec(),
                key_id: "one".to_owned(),
                annotations: [("kek.example.com".to_owned(), vec![1])].into(),
            },
            decrypt: Ok(b"seed".to_vec()),
            hangs: false,
        }
    }

    async fn answer<T>(&self, answer: T) -> Result<Response<T>, Status> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        Ok(Response::new(answer))
    }
}

/// kube-apiserver sends a random UUID with each call.
fn check_uid(uid: &str) {
    assert_eq!((uid.len(), &uid[14..15]), (36, "4"), "{uid}");
}

#[async_trait]
impl KeyManagementService for Plugin {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        self.answer(self.status.clone()).await
    }

    async fn decrypt(
        &self,
        request: Request<DecryptRequest>,
    ) -> Result<Response<DecryptResponse>, Status> {
        let request = request.into_inner();
        check_uid(&request.uid);
        assert_eq!(request.ciphertext, self.encrypt.ciphertext);
        assert_eq!(request.key_id, self.encrypt.key_id);
        assert_eq!(request.annotations, self.encrypt.annotations);
        let plaintext = self.decrypt.clone()?;
        self.answer(DecryptResponse { plaintext }).await
    }

    async fn encrypt(
        &self,
        request: Request<EncryptRequest>,
    ) -> Result<Response<EncryptResponse>, Status> {
        let request = request.into_inner();
        check_uid(&request.uid);
        assert_eq!(request.plaintext, b"seed");
        self.answer(self.encrypt.clone()).await
    }
}

/// Serves on a socket of a temporary folder until the runtime ends.
macro_rules! serve {
    ($server:expr, $address:expr) => {{
        let server = $server;
        let listener = UnixListener::bind(channel::path(&$address)).unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(server.clone());
                tokio::spawn(async move {
                    auto::Builder::new(TokioExecutor::new())
                        .http2_only()
                        .serve_connection(TokioIo::new(stream), service)
                        .await
                });
            }
        });
    }};
}

fn socket() -> (TempDir, SocketAddress) {
    let dir = tempfile::tempdir().unwrap();
    let address = SocketAddress::Path(dir.path().join("kms.sock"));
    (dir, address)
}

async fn client_of(plugin: Plugin) -> (TempDir, KmsClient) {
    let (dir, address) = socket();
    serve!(KeyManagementServiceServer::new(plugin), address);
    (dir, KmsClient::new(address, TIMEOUT))
}

fn seed() -> DekSource {
    DekSource::new(b"seed".to_vec())
}

#[tokio::test]
async fn what_a_plugin_wrapped_it_unwraps() {
    let (_dir, client) = client_of(Plugin::good()).await;
    let status = client.status().await.unwrap();
    assert_eq!(status.key_id.as_str(), "one");
    let wrapped = client.encrypt(&seed(), &status.key_id).await.unwrap();
    assert_eq!(wrapped.annotations.get("kek.example.com"), Some(&[1][..]));
    let unwrapped = client.decrypt(&wrapped).await.unwrap();
    assert_eq!(unwrapped.expose(), b"seed");
}

#[tokio::test]
async fn an_abstract_socket_is_reached() {
    let name = format!("ringfence-test-{}", std::process::id());
    let address = SocketAddress::Abstract(name.into());
    serve!(KeyManagementServiceServer::new(Plugin::good()), address);
    KmsClient::new(address, TIMEOUT).status().await.unwrap();
}

#[tokio::test]
async fn versions_are_judged_as_the_apiserver_judges_them() {
    for (version, good) in [
        ("v2beta1", true),
        ("v2", true),
        ("v2alpha1", false),
        ("v1beta1", false),
        ("V2", false),
        ("v2 ", false),
        ("", false),
    ] {
        let mut plugin = Plugin::good();
        plugin.status.version = version.to_owned();
        let (_dir, client) = client_of(plugin).await;
        match client.status().await {
            Ok(status) => assert!(good && status.version == version),
            Err(KmsError::Version { .. }) => assert!(!good),
            Err(error) => panic!("{version}: {error}"),
        }
    }
}

#[tokio::test]
async fn only_ok_is_healthy() {
    for healthz in ["", "OK", "ok\n", "sick"] {
        let mut plugin = Plugin::good();
        plugin.status.healthz = healthz.to_owned();
        let (_dir, client) = client_of(plugin).await;
        let error = client.status().await.unwrap_err();
        assert!(matches!(error, KmsError::Unhealthy { .. }), "{error}");
        assert!(
            error.to_string().contains(&format!("{healthz:?}")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn key_ids_have_1_to_1024_bytes() {
    for (len, good) in [(0, false), (1, true), (1024, true), (1025, false)] {
        let mut plugin = Plugin::good();
        plugin.status.key_id = "x".repeat(len);
        plugin.encrypt.key_id = "x".repeat(len);
        let (_dir, client) = client_of(plugin).await;
        match client.status().await {
            Ok(status) => {
                assert!(good, "{len}");
                client.encrypt(&seed(), &status.key_id).await.unwrap();
            }
            Err(KmsError::KeyId { .. }) => assert!(!good, "{len}"),
            Err(error) => panic!("{len}: {error}"),
        }
        let expected = "one".parse().unwrap();
        match client.encrypt(&seed(), &expected).await.unwrap_err() {
            KmsError::KeyIdChanged { .. } => assert!(good, "{len}"),
            KmsError::Answer { .. } => assert!(!good, "{len}"),
            error => panic!("{len}: {error}"),
        }
    }
}

#[tokio::test]
async fn an_encrypt_under_another_key_is_refused() {
    let mut plugin = Plugin::good();
    plugin.encrypt.key_id = "two".to_owned();
    let (_dir, client) = client_of(plugin).await;
    let status = client.status().await.unwrap();
    let error = client.encrypt(&seed(), &status.key_id).await.unwrap_err();
    assert!(matches!(error, KmsError::KeyIdChanged { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("said key id one and encrypted under two")
    );
}

#[tokio::test]
async fn what_an_apiserver_would_not_store_is_refused() {
    let bad: [fn(&mut EncryptResponse); 4] = [
        |answer| answer.ciphertext.clear(),
        |answer| answer.ciphertext = vec![0; 1025],
        |answer| answer.annotations = [("com".to_owned(), vec![])].into(),
        |answer| answer.annotations = [("a.bc".to_owned(), vec![0; 32 << 10])].into(),
    ];
    for change in bad {
        let mut plugin = Plugin::good();
        change(&mut plugin.encrypt);
        let (_dir, client) = client_of(plugin).await;
        let expected = "one".parse().unwrap();
        let error = client.encrypt(&seed(), &expected).await.unwrap_err();
        assert!(matches!(error, KmsError::Answer { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_plugin_that_hangs_is_named() {
    let (_dir, address) = socket();
    let plugin = Plugin {
        hangs: true,
        ..Plugin::good()
    };
    serve!(KeyManagementServiceServer::new(plugin), address);
    let client = KmsClient::new(address.clone(), Duration::from_millis(200));
    let error = client.status().await.unwrap_err();
    assert!(
        matches!(error, KmsError::Timeout { call: "Status", .. }),
        "{error}"
    );
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn a_socket_that_never_speaks_is_a_timeout_too() {
    let (_dir, address) = socket();
    let _silent = UnixListener::bind(channel::path(&address)).unwrap();
    let client = KmsClient::new(address, Duration::from_millis(200));
    let error = client.status().await.unwrap_err();
    assert!(matches!(error, KmsError::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn a_plugin_that_comes_back_is_found() {
    let (_dir, address) = socket();
    let client = KmsClient::new(address.clone(), TIMEOUT);
    let error = client.status().await.unwrap_err();
    assert!(matches!(error, KmsError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    assert!(error.to_string().contains("No such file"), "{error}");

    serve!(KeyManagementServiceServer::new(Plugin::good()), address);
    client.status().await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_quoted_and_cut() {
    let mut plugin = Plugin::good();
    plugin.decrypt = Err(Status::failed_precondition(format!(
        "no\x1b[31m{}",
        "x".repeat(300)
    )));
    let (_dir, client) = client_of(plugin).await;
    let expected = "one".parse().unwrap();
    let wrapped = client.encrypt(&seed(), &expected).await.unwrap();
    let error = client.decrypt(&wrapped).await.unwrap_err();
    let KmsError::Refused { code, message, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(*code, Code::FailedPrecondition);
    let message = message.to_string();
    assert!(
        message.starts_with(r#""no\u{1b}[31mx"#) && message.ends_with(r#"x…""#),
        "{message}"
    );
    assert!(message.len() < 250, "{message}");
}

#[derive(Clone)]
struct PluginV1 {
    version: &'static str,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl ServiceV1 for PluginV1 {
    async fn version(
        &self,
        request: Request<v1beta1::VersionRequest>,
    ) -> Result<Response<v1beta1::VersionResponse>, Status> {
        assert_eq!(request.get_ref().version, "v1beta1");
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(Response::new(v1beta1::VersionResponse {
            version: self.version.to_owned(),
            ..Default::default()
        }))
    }

    async fn decrypt(
        &self,
        request: Request<v1beta1::DecryptRequest>,
    ) -> Result<Response<v1beta1::DecryptResponse>, Status> {
        let plain = request.get_ref().cipher.iter().rev().copied().collect();
        Ok(Response::new(v1beta1::DecryptResponse { plain }))
    }

    async fn encrypt(
        &self,
        _: Request<v1beta1::EncryptRequest>,
    ) -> Result<Response<v1beta1::EncryptResponse>, Status> {
        unreachable!("the client only reads")
    }
}

#[tokio::test]
async fn a_v1_plugin_is_asked_for_its_version_once() {
    let (_dir, address) = socket();
    let asked = Arc::new(AtomicUsize::new(0));
    let plugin = PluginV1 {
        version: "v1beta1",
        asked: asked.clone(),
    };
    serve!(ServerV1::new(plugin), address);
    let client = KmsV1Client::new(address, TIMEOUT);
    for _ in 0..3 {
        assert_eq!(client.decrypt(b"abc").await.unwrap().expose(), b"cba");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_v1_plugin_of_another_version_is_refused() {
    let (_dir, address) = socket();
    let plugin = PluginV1 {
        version: "v2beta1",
        asked: Arc::default(),
    };
    serve!(ServerV1::new(plugin), address);
    let error = KmsV1Client::new(address, TIMEOUT)
        .decrypt(b"abc")
        .await
        .unwrap_err();
    assert!(matches!(error, KmsError::Version { .. }), "{error}");
}
