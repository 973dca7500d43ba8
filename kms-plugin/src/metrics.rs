//! The numbers of the daemon.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::Registry,
};
use sha2::{Digest, Sha256};

use crate::keyring::Keyring;

mod roots;

use roots::RootMetrics;

/// Uids of refused peers that are counted by name; all others are one.
const MAX_COUNTED_UIDS: usize = 32;

/// The numbers of the daemon, under the prefix `ringfence_`.
pub struct Metrics {
    registry: Registry,
    /// Connections that are open.
    pub connections: Gauge,
    /// Errors of accept(2).
    pub accept_errors: Counter,
    requests: Family<RequestLabels, Counter>,
    durations: Family<MethodLabels, Histogram, fn() -> Histogram>,
    refused_peers: Family<UidLabels, Counter>,
    refused_uids: Mutex<BTreeSet<u32>>,
    reloads: Counter,
    reload_failures: Counter,
    last_reload_successful: Gauge,
    keys: Family<KeyLabels, Gauge>,
    roots: RootMetrics,
    failures: AtomicU64,
}

/// A method of the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(missing_docs, reason = "the names of the RPCs")]
pub enum Method {
    Status,
    Encrypt,
    Decrypt,
}

/// How a call ended, as gRPC names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(missing_docs, reason = "the names of the gRPC codes")]
pub enum Code {
    Ok,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    Unavailable,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: Method,
    code: Code,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    method: Method,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UidLabels {
    uid: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyLabels {
    name: String,
    key_id: String,
    // As kube-apiserver's own metrics name it: the two can be joined.
    key_id_hash: String,
    root: String,
    epoch: u32,
    primary: bool,
}

impl Metrics {
    /// Everything at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("ringfence");
        let metrics = Self {
            connections: Gauge::default(),
            accept_errors: Counter::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(duration_histogram),
            refused_peers: Family::default(),
            refused_uids: Mutex::default(),
            reloads: Counter::default(),
            reload_failures: Counter::default(),
            last_reload_successful: Gauge::default(),
            keys: Family::default(),
            roots: RootMetrics::default(),
            failures: AtomicU64::default(),
            registry: Registry::default(),
        };
        metrics.last_reload_successful.set(1);
        metrics.roots.register(&mut registry);
        registry.register(
            "build",
            "The program",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register(
            "requests",
            "Calls by method and gRPC code",
            metrics.requests.clone(),
        );
        registry.register(
            "request_duration_seconds",
            "How long calls took",
            metrics.durations.clone(),
        );
        registry.register(
            "connections",
            "Open connections",
            metrics.connections.clone(),
        );
        registry.register(
            "accept_errors",
            "Connections that could not be accepted",
            metrics.accept_errors.clone(),
        );
        registry.register(
            "refused_peers",
            "Connections refused for the uid of the peer",
            metrics.refused_peers.clone(),
        );
        registry.register(
            "reloads",
            "Keyrings taken from changed files",
            metrics.reloads.clone(),
        );
        registry.register(
            "reload_failures",
            "Changed files that were refused; the old keyring stayed",
            metrics.reload_failures.clone(),
        );
        registry.register(
            "config_last_reload_successful",
            "1 if the keyring in use is what the files say, 0 if they were refused",
            metrics.last_reload_successful.clone(),
        );
        registry.register("key", "The KEKs in the keyring", metrics.keys.clone());
        Self {
            registry,
            ..metrics
        }
    }

    /// Counts a call that has ended.
    pub fn request(&self, method: Method, code: Code, duration: Duration) {
        self.requests
            .get_or_create(&RequestLabels { method, code })
            .inc();
        self.durations
            .get_or_create(&MethodLabels { method })
            .observe(duration.as_secs_f64());
        if code != Code::Ok {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Calls that were answered.
    pub fn answered(&self, method: Method) -> u64 {
        let code = Code::Ok;
        self.requests
            .get_or_create(&RequestLabels { method, code })
            .get()
    }

    /// Calls that were not answered.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Counts a peer that was turned away. A peer chooses its uid among those it may have, so only
    /// the first ones get a series of their own.
    pub fn refused_peer(&self, uid: u32) {
        let mut uids = self
            .refused_uids
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_counted = uids.contains(&uid) || uids.len() < MAX_COUNTED_UIDS && uids.insert(uid);
        let uid = if is_counted {
            uid.to_string()
        } else {
            "other".to_owned()
        };
        self.refused_peers.get_or_create(&UidLabels { uid }).inc();
    }

    /// Counts a reload.
    pub fn reloaded(&self, successfully: bool) {
        if successfully {
            self.reloads.inc();
        } else {
            self.reload_failures.inc();
        }
        self.last_reload_successful.set(successfully.into());
    }

    /// Shows the KEKs of a keyring.
    fn show_keys(&self, keyring: &Keyring) {
        self.keys.clear();
        for (index, member) in keyring.members().enumerate() {
            let Ok(key_id) = member.kek.key_id() else {
                continue;
            };
            let key_id = key_id.to_string();
            let labels = KeyLabels {
                name: member.name.clone(),
                key_id_hash: format!("sha256:{}", hex::encode(Sha256::digest(&key_id))),
                key_id,
                root: member.root.clone(),
                epoch: member.epoch,
                primary: index == 0,
            };
            self.keys.get_or_create(&labels).set(1);
        }
    }

    /// The OpenMetrics text, with the KEKs and roots of `keyring`.
    ///
    /// # Errors
    /// None that is known: writing to a `String` does not fail.
    pub fn encode(&self, keyring: &Keyring) -> Result<String, fmt::Error> {
        self.show_keys(keyring);
        self.roots.show(keyring);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// 10 us to 2.6 s.
fn duration_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.000_01, 4.0, 10))
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
