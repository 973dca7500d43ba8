//! What an apiserver left in etcd: Secrets under an aescbc key, and older ones in plain text.

use std::fs;

use anyhow::{Context as _, Result, bail};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use rewrap_cli::{
    config::{EncryptionConfig, ParseOptions},
    store::{Put, Store, StoreConfig},
    stored::{GroupResource, Rule},
};
use tokio::task::JoinSet;

use super::stage::Stage;

const PLAIN: usize = 1_000;
const ENCRYPTED: usize = 4_000;
const IN_FLIGHT: usize = 64;

/// How many Secrets there are.
pub(crate) struct Written {
    pub(crate) plain: usize,
    pub(crate) encrypted: usize,
}

/// Fills etcd, and writes `encryption.yaml` with which kube-apiserver would go on.
pub(crate) async fn write(stage: &Stage, endpoint: &str) -> Result<Written> {
    let aescbc = format!(
        "  - aescbc:
      keys:
      - name: key1
        secret: {}
",
        BASE64_STANDARD.encode(random::<32>()?)
    );
    let kms = format!(
        "  - kms:
      apiVersion: v2
      name: ringfence
      endpoint: unix://{}/socket.sock
",
        stage.folder().display()
    );
    let head = "apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
";
    let identity = "  - identity: {}\n";
    let before = [head, &aescbc, identity].concat();
    let after = [head, &kms, &aescbc, identity].concat();
    fs::write(stage.folder().join("encryption.yaml"), after)?;

    let config = EncryptionConfig::parse(before.as_bytes(), &ParseOptions::default())?;
    let secrets = GroupResource::new("secrets", "");
    let aescbc = config.rule(&secrets).context("no rule for Secrets")?;
    let plain = Rule::identity();

    let store = Store::connect(StoreConfig::new(vec![endpoint.to_owned()])).await?;
    create(
        &store,
        "/registry/namespaces/kube-system",
        namespace("kube-system")?,
    )
    .await?;
    let mut writes = JoinSet::new();
    for number in 0..PLAIN + ENCRYPTED {
        let (namespace, name) = (format!("team-{}", number % 10), format!("db-{number}"));
        let path = format!("/registry/secrets/{namespace}/{name}");
        let rule = if number < PLAIN { &plain } else { aescbc };
        let value = rule.seal(path.as_bytes(), &secret(&namespace, &name)?, None)?;
        if writes.len() == IN_FLIGHT {
            writes
                .join_next()
                .await
                .context("a write is in flight")???;
        }
        let store = store.clone();
        writes.spawn(async move { create(&store, &path, value).await });
    }
    for result in writes.join_all().await {
        result?;
    }
    Ok(Written {
        plain: PLAIN,
        encrypted: ENCRYPTED,
    })
}

async fn create(store: &Store, path: &str, value: Vec<u8>) -> Result<()> {
    const ABSENT: i64 = 0;
    match store
        .compare_and_put(path.as_bytes(), ABSENT, value.into(), 0)
        .await?
    {
        Put::Done { .. } => Ok(()),
        Put::Lost(_) => bail!("{path} exists already"),
    }
}

/// `k8s.io/api/core/v1/generated.proto`: Secret.
fn secret(namespace: &str, name: &str) -> Result<Vec<u8>> {
    let password = BASE64_STANDARD.encode(random::<24>()?);
    let entry = [field(1, "password"), field(2, password)].concat();
    let raw = [
        field(1, metadata(namespace, name)?),
        field(2, entry),
        field(3, "Opaque"),
    ]
    .concat();
    Ok(envelope("Secret", &raw))
}

fn namespace(name: &str) -> Result<Vec<u8>> {
    Ok(envelope("Namespace", &field(1, metadata("", name)?)))
}

/// `k8s.io/apimachinery/pkg/apis/meta/v1/generated.proto`: ObjectMeta.
fn metadata(namespace: &str, name: &str) -> Result<Vec<u8>> {
    Ok([field(1, name), field(3, namespace), field(5, uid()?)].concat())
}

/// `k8s.io/apimachinery/pkg/runtime/generated.proto`: Unknown, behind the four bytes that say
/// protobuf.
fn envelope(kind: &str, raw: &[u8]) -> Vec<u8> {
    let type_meta = [field(1, "v1"), field(2, kind)].concat();
    [
        b"k8s\0".to_vec(),
        field(1, type_meta),
        field(2, raw),
        field(3, ""),
        field(4, ""),
    ]
    .concat()
}

/// A length-delimited field of protobuf.
fn field(number: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut out = vec![number << 3 | 2];
    let mut len = content.len();
    while len >= 0x80 {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(content);
    out
}

/// A random UUID (RFC 9562, version 4).
fn uid() -> Result<String> {
    let mut bytes = random::<16>()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    Ok(parts.join("-"))
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
