//! The Secrets of the store, and the bare loop that writes them.

use std::{error::Error, path::Path, time::Instant};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rewrap_cli::{
    scan::Scan,
    store::{Put, RangeOptions, Record, Store, Swap, Together},
    stored::{NamedKey, Provider, Rule},
};
use zeroize::Zeroizing;

use crate::{
    cpu::{Whose, cpu_time},
    secret::secret,
};

pub(crate) const SIZE: usize = 1 << 10;

const PREFIX: &str = "/registry/secrets/";
const NAMESPACE: &str = "payments";
/// The old key, and its base64.
const KEY: [u8; 32] = *b"an aescbc key of just 32 bytes..";
const KEY_BASE64: &str = "YW4gYWVzY2JjIGtleSBvZiBqdXN0IDMyIGJ5dGVzLi4=";
/// Transactions in flight where nothing is measured, and the objects in each.
const UNMEASURED: usize = 4;
const TOGETHER: usize = 100;

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

/// Secrets in a store that looks like a cluster's.
pub(crate) struct Objects {
    store: Store,
    /// Etcd keys and values under the old key, in the order of the keys.
    stale: Vec<(Bytes, Bytes)>,
}

impl Objects {
    pub(crate) async fn create(store: Store, count: usize) -> Result<Self, Box<dyn Error>> {
        let old = NamedKey::new("old", Zeroizing::new(KEY.to_vec()));
        let rule = Rule::new(Provider::AesCbc(vec![old]), []);
        let mut stale = Vec::new();
        for number in 0..count {
            let name = format!("secret-{number:07}");
            let key = format!("{PREFIX}{NAMESPACE}/{name}").into_bytes();
            let value = rule.seal(&key, &secret(NAMESPACE, &name, SIZE), None)?;
            stale.push((key.into(), value.into()));
        }
        // Without it no store is a cluster's.
        let namespace =
            br#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-system"}}"#;
        let key = b"/registry/namespaces/kube-system";
        put(&store, key, 0, Bytes::from_static(namespace)).await?;
        let objects = Self { store, stale };
        objects.put_stale(|_| 0).await?;
        Ok(objects)
    }

    pub(crate) fn count(&self) -> usize {
        self.stale.len()
    }

    /// Brings every Secret back to the old key.
    pub(crate) async fn make_stale(&self) -> Result<(), Box<dyn Error>> {
        let records = self.records().await?;
        self.put_stale(|at| records[at].mod_revision).await?;
        // Nothing of the last turn is left to slow down this one.
        let now = self.store.range(RangeOptions::one(b"/")).await?.revision;
        Ok(self.store.compact(now).await?)
    }

    /// Many at a time: this is not measured.
    async fn put_stale(&self, revision: impl Fn(usize) -> i64) -> Result<(), Box<dyn Error>> {
        let swaps = self
            .stale
            .iter()
            .enumerate()
            .map(|(at, (key, value))| Swap {
                key: key.clone(),
                mod_revision: revision(at),
                value: value.clone(),
                lease: 0,
            });
        stream::iter(swaps)
            .chunks(TOGETHER)
            .map(async |swaps| match self.store.put_together(&swaps).await? {
                Together::Done { .. } => Ok(()),
                Together::Apart => Err("somebody else writes to this store".into()),
            })
            .buffer_unordered(UNMEASURED)
            .try_collect()
            .await
    }

    /// What is stored now, in the order of the keys.
    pub(crate) async fn values(&self) -> Result<Vec<Bytes>, Box<dyn Error>> {
        let records = self.records().await?;
        Ok(records.into_iter().map(|record| record.value).collect())
    }

    /// The bare loop: one compare-and-swap for each Secret. Gives objects per second and the CPU time
    /// for each, in seconds.
    pub(crate) async fn write(
        &self,
        values: &[Bytes],
        in_flight: usize,
    ) -> Result<(f64, f64), Box<dyn Error>> {
        let records = self.records().await?;
        let (start, before) = (Instant::now(), cpu_time(Whose::Ours)?);
        stream::iter(records.iter().zip(values))
            .map(|(record, value)| {
                put(&self.store, &record.key, record.mod_revision, value.clone())
            })
            .buffer_unordered(in_flight)
            .try_collect::<()>()
            .await?;
        let elapsed = start.elapsed().as_secs_f64();
        let time = cpu_time(Whose::Ours)? - before;
        let count = records.len() as f64;
        Ok((count / elapsed, time / count))
    }

    async fn records(&self) -> Result<Vec<Record>, Box<dyn Error>> {
        let mut scan = Scan::new(&self.store, PREFIX);
        let mut records = Vec::new();
        while let Some(page) = scan.next().await? {
            records.extend(page);
        }
        if records.len() != self.count() {
            return Err(format!("{} Secrets of {}", records.len(), self.count()).into());
        }
        Ok(records)
    }
}

async fn put(
    store: &Store,
    key: &[u8],
    mod_revision: i64,
    value: Bytes,
) -> Result<(), Box<dyn Error>> {
    match store.compare_and_put(key, mod_revision, value, 0).await? {
        Put::Done { .. } => Ok(()),
        Put::Lost(_) => Err("somebody else writes to this store".into()),
    }
}
