//! A control plane whose Secrets are under an old key, again and again.

use std::{path::PathBuf, process::Stdio, time::Instant};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rewrap_cli::{
    scan::Scan,
    store::{Put, Record, Store, StoreConfig},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::{
    Result,
    puts::Clients,
    support::{
        apiserver::Apiserver,
        dice::Dice,
        encryption::{self, Provider},
        etcd::Etcd,
        plugin::{Plugin, Site},
        rewrap,
    },
};

/// Where the apiserver serves the Secrets, and where etcd keeps them.
pub(crate) const COLLECTION: &str = "/api/v1/namespaces/payments/secrets";
const PREFIX: &str = "/registry/secrets/";

/// What stands before a value of the provider that writes.
const CURRENT: &[u8] = b"k8s:enc:kms:v2:plugin:";
const OLD: Provider<'_> = Provider::AesCbc("old");

/// Bytes of a Secret's data; with its metadata it is about 1 KiB.
const DATA: usize = 700;
/// Requests at a time where nothing is measured.
const UNMEASURED: usize = 64;

/// etcd, the plugin and an apiserver that writes with it; the Secrets were written under another key.
pub(crate) struct Cluster {
    etcd: Etcd,
    apiserver: Apiserver,
    folder: TempDir,
    runtime: Runtime,
    store: Store,
    /// Etcd keys and values under the old key, in the order of the keys.
    stale: Vec<Record>,
    _plugin: Plugin,
    _site: Site,
}

impl Cluster {
    /// With so many Secrets, which a client creates through the apiserver.
    pub(crate) fn start(count: usize) -> Result<Self> {
        let site = Site::with_key();
        let plugin = Plugin::start(&site);
        // As in production it syncs to disk.
        let etcd = Etcd::start_with(&["--unsafe-no-fsync=false"]);
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("encryption.yaml");
        encryption::write(&config, &["secrets"], &[OLD]);
        let mut apiserver = Apiserver::start(&etcd.endpoint(), Some(&config), &[]);

        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "payments"}});
        let created = apiserver.client().create("/api/v1/namespaces", &namespace);
        created.map_err(|error| error.to_string())?;
        let mut dice = Dice::from(1);
        let secrets = (0..count).map(|number| Ok(secret(number, &mut dice)));
        Clients::connect(&apiserver, UNMEASURED)?
            .each(secrets, |kube, secret| kube.create(COLLECTION, &secret))?;

        let runtime = Builder::new_current_thread().enable_all().build()?;
        let store = runtime.block_on(Store::connect(StoreConfig::new(vec![etcd.endpoint()])))?;
        let stale = runtime.block_on(records(&store))?;
        if stale.len() != count {
            return Err(format!("{} Secrets instead of {count}", stale.len()).into());
        }
        let socket = site.socket();
        encryption::write(
            &config,
            &["secrets"],
            &[Provider::Kms("plugin", &socket), OLD],
        );
        apiserver.restart(Some(&config));
        Ok(Self {
            etcd,
            apiserver,
            folder,
            runtime,
            store,
            stale,
            _plugin: plugin,
            _site: site,
        })
    }

    pub(crate) fn apiserver(&self) -> &Apiserver {
        &self.apiserver
    }

    /// The newest revision of the store.
    pub(crate) fn revision(&self) -> i64 {
        self.etcd.revision()
    }

    /// Bytes of a stored value, on average.
    pub(crate) fn size(&self) -> usize {
        let sum: usize = self.stale.iter().map(|record| record.value.len()).sum();
        sum / self.stale.len()
    }

    /// Has `rewrites` bring everything to the current key. Gives objects per second, and its answer.
    pub(crate) fn measure<T>(&self, rewrites: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
        self.runtime.block_on(self.make_stale())?;
        let start = Instant::now();
        let answer = rewrites()?;
        let elapsed = start.elapsed();
        let records = self.runtime.block_on(records(&self.store))?;
        let left = records
            .iter()
            .filter(|record| !record.value.starts_with(CURRENT));
        match left.count() {
            0 => Ok((self.stale.len() as f64 / elapsed.as_secs_f64(), answer)),
            left => Err(format!("{left} Secrets are not under the current key").into()),
        }
    }

    /// `rewrap run`, with the apiserver for its canary. Gives objects per second while it wrote.
    pub(crate) fn run(&self, flags: &[&str]) -> Result<f64> {
        let proof = [
            format!("--apiserver={}", self.apiserver.url()),
            format!("--apiserver-cacert={}", self.apiserver.ca().display()),
            format!("--token-file={}", self.apiserver.token_file().display()),
            "--yes".to_owned(),
        ];
        let flags = proof
            .iter()
            .map(String::as_str)
            .chain(flags.iter().copied());
        let report = self.rewrap("run", flags)?;
        let rewrapped = report["rewrapped"].as_u64();
        match report["objectsPerSecond"].as_f64() {
            Some(rate) if rewrapped == Some(self.stale.len() as u64) => Ok(rate),
            _ => Err(format!("not everything was rewrapped: {report}").into()),
        }
    }

    /// How many seconds `rewrap plan` says that a run with the same flags takes.
    pub(crate) fn plan(&self) -> Result<f64> {
        self.runtime.block_on(self.make_stale())?;
        let plan = self.rewrap("plan", [])?;
        let seconds = plan["seconds"].as_f64();
        Ok(seconds.ok_or_else(|| format!("a plan without a time: {plan}"))?)
    }

    fn rewrap<'a>(&self, verb: &str, flags: impl IntoIterator<Item = &'a str>) -> Result<Value> {
        let output = rewrap::command([verb, "--output=json"])
            .arg(format!("--endpoints={}", self.etcd.endpoint()))
            .arg("--encryption-provider-config")
            .arg(self.config())
            .args(flags)
            .stdin(Stdio::null())
            .output()?;
        let document = serde_json::from_slice(&output.stdout);
        Ok(document.map_err(|_| format!("rewrap {verb}: {output:?}"))?)
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("encryption.yaml")
    }

    /// Brings every Secret back to the old key, and forgets what was before.
    async fn make_stale(&self) -> Result<()> {
        let records = records(&self.store).await?;
        stream::iter(records.iter().zip(&self.stale))
            .map(|(record, stale)| self.put(record, stale))
            .buffer_unordered(UNMEASURED)
            .try_collect::<()>()
            .await?;
        self.etcd.compact(self.etcd.revision());
        Ok(())
    }

    async fn put(&self, record: &Record, stale: &Record) -> Result<()> {
        let value = stale.value.clone();
        let put = self
            .store
            .compare_and_put(&record.key, record.mod_revision, value, 0);
        match put.await? {
            Put::Done { .. } => Ok(()),
            Put::Lost(_) => Err("somebody else writes to this store".into()),
        }
    }
}

async fn records(store: &Store) -> Result<Vec<Record>> {
    let mut scan = Scan::new(store, PREFIX);
    let mut records = Vec::new();
    while let Some(page) = scan.next().await? {
        records.extend(page);
    }
    Ok(records)
}

fn secret(number: usize, dice: &mut Dice) -> Value {
    let data = BASE64_STANDARD.encode(dice.bytes(DATA));
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": format!("secret-{number:05}")}, "data": {"data": data},
    })
}
