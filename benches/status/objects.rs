//! What the store holds, and the bare read of it.

use std::{error::Error, time::Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rewrap_cli::{
    config::encryption::SocketAddress,
    keys::{Keys, KmsConnection},
    kms::KmsClient,
    scan::Scan,
    store::{Put, RangeOptions, Store},
    stored::{NamedKey, Provider, Rule, WriteDek},
};
use zeroize::Zeroizing;

use crate::{plugin::Plugin, secret::secret};

pub(crate) const SIZE: usize = 1 << 10;

/// The resources, and so the providers: half of the objects each.
pub(crate) const RESOURCES: [&str; 2] = ["secrets", "configmaps"];

/// Ranges under way in the bare read.
const IN_FLIGHT: usize = 4;
const NAMESPACES: usize = 20;
const KEY: [u8; 32] = *b"an aesgcm key of just 32 bytes..";
const KEY_BASE64: &str = "YW4gYWVzZ2NtIGtleSBvZiBqdXN0IDMyIGJ5dGVzLi4=";
const KMS: &str = "bench";

/// Secrets under AES-GCM, ConfigMaps under KMS v2: all as they should be.
pub(crate) fn encryption_config(plugin: &Plugin) -> String {
    format!(
        "apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - aesgcm: {{keys: [{{name: key, secret: {KEY_BASE64}}}]}}
- resources: [configmaps]
  providers:
  - kms: {{apiVersion: v2, name: {KMS}, endpoint: \"unix://{}\"}}
",
        plugin.socket().display()
    )
}

/// Writes so many objects of every resource.
pub(crate) async fn create(
    store: &Store,
    plugin: &Plugin,
    each: usize,
) -> Result<(), Box<dyn Error>> {
    let namespace = br#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-system"}}"#;
    put(
        store,
        b"/registry/namespaces/kube-system",
        namespace.to_vec(),
    )
    .await?;
    let key = NamedKey::new("key", Zeroizing::new(KEY.to_vec()));
    let dek = dek(plugin).await?;
    let rules = [Provider::AesGcm(vec![key]), Provider::KmsV2(KMS.into())]
        .map(|provider| (Rule::new(provider, []), &dek));
    for (resource, (rule, dek)) in RESOURCES.into_iter().zip(rules) {
        let values = (0..each).map(|number| {
            let namespace = format!("team-{:02}", number * NAMESPACES / each);
            let name = format!("object-{number:07}");
            let key = format!("/registry/{resource}/{namespace}/{name}").into_bytes();
            let value = rule.seal(&key, &secret(&namespace, &name, SIZE), Some(dek));
            (key, value)
        });
        stream::iter(values)
            .map(async |(key, value)| put(store, &key, value?).await)
            .buffer_unordered(128)
            .try_collect::<()>()
            .await?;
    }
    Ok(())
}

/// A DEK source of the plugin.
async fn dek(plugin: &Plugin) -> Result<WriteDek, Box<dyn Error>> {
    let client = KmsClient::new(
        SocketAddress::Path(plugin.socket()),
        std::time::Duration::from_secs(10),
    );
    let mut keys = Keys::new([(KMS.into(), KmsConnection::V2(client))].into());
    keys.refresh(|_| kms_proto::DekSourceType::HkdfSha256XnonceAesGcmSeed)
        .await;
    Ok(keys.fresh(&KMS.into()).await?)
}

async fn put(store: &Store, key: &[u8], value: Vec<u8>) -> Result<(), Box<dyn Error>> {
    match store.compare_and_put(key, 0, value.into(), 0).await? {
        Put::Done { .. } => Ok(()),
        Put::Lost(_) => Err("somebody else writes to this store".into()),
    }
}

/// The ranges of a resource's pages, as a walk reads them.
pub(crate) async fn ranges(
    store: &Store,
    resource: &str,
) -> Result<Vec<RangeOptions>, Box<dyn Error>> {
    let prefix = format!("/registry/{resource}/");
    let mut scan = Scan::new(store, &prefix);
    let mut ends = Vec::new();
    while let Some(page) = scan.next().await? {
        ends.extend(page.last().map(|last| [&last.key[..], b"\0"].concat()));
    }
    let mut from = prefix.clone().into_bytes();
    let ranges = ends.into_iter().map(|end| RangeOptions {
        key: std::mem::replace(&mut from, end.clone()),
        range_end: end,
        revision: scan.revision(),
        ..RangeOptions::default()
    });
    Ok(ranges.collect())
}

/// The bare read of these ranges: nothing is done with the objects. Gives objects per second.
pub(crate) async fn read(store: &Store, ranges: &[RangeOptions]) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    let objects = stream::iter(ranges)
        .map(|range| store.range(range.clone()))
        .buffer_unordered(IN_FLIGHT)
        .try_fold(0, async |sum, page| Ok(sum + page.records.len()))
        .await?;
    Ok(objects as f64 / start.elapsed().as_secs_f64())
}
