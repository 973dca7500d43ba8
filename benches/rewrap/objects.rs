//! The Secrets of the store, and the bare loop that writes them.

use std::{error::Error, path::Path, time::Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rewrap_cli::{
    scan::Scan,
    store::{Put, Record, Store},
    stored::{NamedKey, Provider, Rule},
};
use zeroize::Zeroizing;

use crate::secret::secret;

pub(crate) const COUNT: usize = 10_000;
pub(crate) const SIZE: usize = 1 << 10;

const PREFIX: &str = "/registry/secrets/";
const NAMESPACE: &str = "payments";
/// The old key, and its base64.
const KEY: [u8; 32] = *b"an aescbc key of just 32 bytes..";
const KEY_BASE64: &str = "YW4gYWVzY2JjIGtleSBvZiBqdXN0IDMyIGJ5dGVzLi4=";
/// Transactions in flight where nothing is measured.
const UNMEASURED: usize = 64;

/// Writes with the plugin at this socket, reads what the old key wrote.
pub(crate) fn encryption_config(socket: &Path) -> String {
    format!(
        "apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - kms: {{apiVersion: v2, name: bench, endpoint: \"unix://{}\"}}
  - aescbc: {{keys: [{{name: old, secret: {KEY_BASE64}}}]}}
",
        socket.display()
    )
}

/// [`COUNT`] Secrets in a store that looks like a cluster's.
pub(crate) struct Objects {
    store: Store,
    /// Etcd keys and values under the old key, in the order of the keys.
    stale: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Objects {
    pub(crate) async fn create(store: Store) -> Result<Self, Box<dyn Error>> {
        let old = NamedKey::new("old", Zeroizing::new(KEY.to_vec()));
        let rule = Rule::new(Provider::AesCbc(vec![old]), []);
        let mut stale = Vec::new();
        for number in 0..COUNT {
            let name = format!("secret-{number:05}");
            let key = format!("{PREFIX}{NAMESPACE}/{name}").into_bytes();
            let value = rule.seal(&key, &secret(NAMESPACE, &name, SIZE), None)?;
            stale.push((key, value));
        }
        // Without it no store is a cluster's.
        let namespace =
            br#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-system"}}"#;
        put(&store, b"/registry/namespaces/kube-system", 0, namespace).await?;
        stream::iter(&stale)
            .map(|(key, value)| put(&store, key, 0, value))
            .buffer_unordered(UNMEASURED)
            .try_collect::<()>()
            .await?;
        Ok(Self { store, stale })
    }

    /// Brings every Secret back to the old key.
    pub(crate) async fn make_stale(&self) -> Result<(), Box<dyn Error>> {
        let values: Vec<_> = self.stale.iter().map(|(_, value)| value).collect();
        self.write(&values, UNMEASURED).await.map(drop)
    }

    /// What is stored now, in the order of the keys.
    pub(crate) async fn values(&self) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
        let records = self.records().await?;
        Ok(records
            .into_iter()
            .map(|record| record.value.into())
            .collect())
    }

    /// The bare loop: one compare-and-swap for each Secret. Gives objects per second.
    pub(crate) async fn write(
        &self,
        values: &[impl AsRef<[u8]>],
        in_flight: usize,
    ) -> Result<f64, Box<dyn Error>> {
        let records = self.records().await?;
        let start = Instant::now();
        stream::iter(records.iter().zip(values))
            .map(|(record, value)| {
                put(
                    &self.store,
                    &record.key,
                    record.mod_revision,
                    value.as_ref(),
                )
            })
            .buffer_unordered(in_flight)
            .try_collect::<()>()
            .await?;
        Ok(records.len() as f64 / start.elapsed().as_secs_f64())
    }

    async fn records(&self) -> Result<Vec<Record>, Box<dyn Error>> {
        let mut scan = Scan::new(&self.store, PREFIX);
        let mut records = Vec::new();
        while let Some(page) = scan.next().await? {
            records.extend(page);
        }
        if records.len() != COUNT {
            return Err(format!("{} Secrets instead of {COUNT}", records.len()).into());
        }
        Ok(records)
    }
}

async fn put(
    store: &Store,
    key: &[u8],
    mod_revision: i64,
    value: &[u8],
) -> Result<(), Box<dyn Error>> {
    let value = value.to_vec().into();
    match store.compare_and_put(key, mod_revision, value, 0).await? {
        Put::Done { .. } => Ok(()),
        Put::Lost(_) => Err("somebody else writes to this store".into()),
    }
}
