//! The documents about stored objects that people and programs read.

use serde::Serialize;

use crate::{KeyId, RootVersion};

/// The `apiVersion` of every document of this project.
pub const API_VERSION: &str = "ringfence.dev/v1alpha1";

/// What is stored under which key: `kind: Inventory`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// [`API_VERSION`].
    pub api_version: &'static str,
    /// `Inventory`.
    pub kind: &'static str,
    /// The UID of the namespace kube-system, which names the cluster through backups and restores;
    /// nothing where that object cannot be opened.
    pub cluster_uid: Option<String>,
    /// `sha256:<hex>` of the EncryptionConfiguration's bytes, as the apiserver's metric
    /// `apiserver_encryption_config_controller_last_config_info` shows it (1.34 and newer).
    pub config_hash: String,
    /// Whether values were opened, or judged by their prefix alone.
    pub opened: bool,
    /// Every etcd that was read.
    pub stores: Vec<StoreInfo>,
    /// One row per resource, in the order of their paths.
    pub resources: Vec<ResourceInventory>,
    /// How many distinct DEK sources the stored values need: each costs every apiserver start one
    /// Decrypt.
    pub dek_source_count: u64,
    /// Whether `dekSourceCount` is exact and `dekSources` has all of them: up to 100,000. Beyond, the
    /// count is an estimate to within a percent.
    pub dek_sources_exact: bool,
    /// The distinct DEK sources, 100,000 at most.
    pub dek_sources: Vec<DekSourceInfo>,
    /// The keys of roots that wrapped the local KEKs of `dekSources`, for a kms-plugin that has roots: any one of
    /// them opens what it covers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roots: Vec<RootCoverage>,
    /// The Secrets that open, by what they are for, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_kinds: Option<Vec<SecretKind>>,
    /// Values that could not be opened, 10,000 and the CustomResourceDefinitions that could not be
    /// understood at most.
    pub unreadable: Vec<Unreadable>,
    /// Where the others are, if there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable_rest: Option<UnreadableRest>,
    /// Why values could not be opened, the most frequent cause first; 100 at most, and all others in
    /// one more.
    pub unreadable_causes: Vec<UnreadableCause>,
    /// Keys that no rule and no table knows; they are never written.
    pub unowned: Vec<Unowned>,
}

/// One etcd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreInfo {
    /// `default`, or the resources that an override sends here.
    pub name: String,
    /// Client URLs.
    pub endpoints: Vec<String>,
    /// What answers there: `etcd 3.6.16`, with all versions where members differ, or `kine`.
    pub server: String,
    /// etcd's own id, in hexadecimal; it changes on restore. Nothing on kine.
    pub etcd_cluster_id: Option<String>,
    /// The newest revision that was read.
    pub revision: i64,
}

/// The stored objects of one resource. The five states are disjoint and add up to `total`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceInventory {
    /// As an EncryptionConfiguration names it: `secrets`, `deployments.apps`.
    pub resource: String,
    /// The name of its store.
    pub store: String,
    /// The etcd keys, up to and with the last slash that all share.
    pub path: String,
    /// The revision its last page was read at.
    pub revision: i64,
    /// Whether a rule of the configuration covers the resource. Where none does, it is plain text by
    /// omission.
    pub covered: bool,
    /// What kube-apiserver writes this resource with.
    pub writes_with: KeyRef,
    /// All objects.
    pub total: u64,
    /// Written as kube-apiserver would write them now; plain text where nothing encrypts.
    pub current: u64,
    /// Encrypted, but not under the current key.
    pub stale: u64,
    /// Plain text although the resource is to be encrypted.
    pub plaintext: u64,
    /// Not to be opened with what the configuration names.
    pub unreadable: u64,
    /// Under KMS v1, which stores no key id: nobody can tell which KEK version protects them.
    pub unknowable: u64,
    /// One row per provider, key, key id and state; 1000 at most, and for each state and provider one
    /// more with `others`.
    pub written_with: Vec<WrittenWith>,
}

/// A provider and its key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct KeyRef {
    /// `identity`, `aescbc`, `aesgcm`, `secretbox`, `kms-v1` or `kms-v2`.
    pub provider: String,
    /// The name of the key or of the KMS provider; empty for `identity`.
    pub key: String,
}

/// How a stored object stands to what kube-apiserver would write now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectState {
    /// As kube-apiserver would write it.
    Current,
    /// Encrypted, but not under the current key.
    Stale,
    /// Plain text although it is to be encrypted.
    Plaintext,
    /// Not to be opened.
    Unreadable,
    /// KMS v1 stores no key id.
    Unknowable,
}

/// How many objects one key protects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenWith {
    /// The provider and its key.
    #[serde(flatten)]
    pub key: KeyRef,
    /// The KEK version; KMS v2 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KeyId>,
    /// Whether these are under several keys that no row is left for; the key has no name then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub others: bool,
    /// What they all are.
    pub state: ObjectState,
    /// How many.
    pub objects: u64,
    /// Their stored values together, in bytes.
    pub bytes: u64,
}

/// What one key of a root opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RootCoverage {
    /// Kind and key, such as `vault:transit/k8s`.
    pub root: String,
    /// Those of its versions that wrapped something, in the order of their words.
    pub versions: Vec<RootVersion>,
    /// DEK sources whose local KEK it opens.
    pub dek_sources: u64,
    /// Objects under them.
    pub objects: u64,
}

/// A distinct DEK source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DekSourceInfo {
    /// The name of the KMS provider.
    pub provider: String,
    /// The KEK version that wrapped it; KMS v2 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KeyId>,
    /// SHA-256 of the wrapped bytes, in hexadecimal: a name for it that is safe to show.
    pub sha256: String,
    /// The versions of the roots' keys that wrapped its local KEK, if it has one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roots: Vec<RootVersion>,
    /// How many objects need it.
    pub objects: u64,
    /// The revision of the oldest value that needs it: it is as old as that at least.
    pub oldest_revision: i64,
}

/// Secrets of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKind {
    /// The `type` that they state; nothing where kinds are not told apart any more, for there are too
    /// many.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub secret_type: Option<String>,
    /// The kind of the object that owns them, such as `ExternalSecret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Whether they are keys of the sealed-secrets controller.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sealed_secrets_key: bool,
    /// How many.
    pub objects: u64,
    /// How many of them are not as kube-apiserver would write them now.
    pub not_current: u64,
    /// Their stored values together, in bytes.
    pub bytes: u64,
}

/// A value that could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// The etcd key.
    pub key: String,
    /// Why, without a byte of the value.
    pub error: String,
}

impl Inventory {
    /// How many values could not be opened.
    pub fn unreadable_count(&self) -> u64 {
        let rest = self.unreadable_rest.as_ref().map_or(0, |rest| rest.objects);
        self.unreadable.len() as u64 + rest
    }
}

/// Why some values could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnreadableCause {
    /// As [`Unreadable`] has it; nothing for all causes beyond those that are told apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many values.
    pub objects: u64,
    /// The first of their etcd keys.
    pub example: String,
    /// What to type or to do next.
    pub next: String,
}

/// The values that could not be opened and do not fit into the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnreadableRest {
    /// The path of a file with one `{key, error}` of JSON a line.
    pub file: String,
    /// How many.
    pub objects: u64,
}

/// Keys under the prefix that are not ours to judge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unowned {
    /// The path they share.
    pub path: String,
    /// Why they are left alone.
    pub reason: String,
    /// How many.
    pub objects: u64,
    /// The keys that the prefixes of their values name. Whose they are, nobody can say, so none of
    /// them may be called unneeded. One without a name stands for any of its provider.
    pub written_with: Vec<KeyRef>,
}

/// What one `rewrap run` did: `kind: RewrapReport`. An object is counted once, by what became of it
/// in the end.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RewrapReport {
    /// [`API_VERSION`].
    pub api_version: &'static str,
    /// `RewrapReport`.
    pub kind: &'static str,
    /// Objects looked at in the first pass.
    pub total: u64,
    /// Objects brought to the current key.
    pub rewrapped: u64,
    /// The values that were replaced, together, in bytes.
    pub bytes: u64,
    /// Objects of the first pass that needed nothing.
    pub already_current: u64,
    /// Compare-and-swaps that lost to another writer; each was judged again.
    pub conflicts: u64,
    /// Objects that were deleted between reading and writing.
    pub vanished: u64,
    /// Objects that could not be brought to the current key.
    pub failed: u64,
    /// Objects that were left because nothing tells whether they are under the current key: KMS v1
    /// stores no key id.
    pub unknowable: u64,
    /// Objects in scope that the proof at the end found still to be rewritten.
    pub left: u64,
    /// How often the store was read through, the proof at the end included.
    pub passes: u32,
    /// From the first read to the last.
    pub elapsed_seconds: f64,
    /// `rewrapped` over the time spent writing.
    pub objects_per_second: f64,
    /// How often half as many writes were let into flight as before, because the store was slow or said
    /// that it has too much to do.
    pub backed_off: u64,
    /// Whether somebody vouched for the apiservers instead of a canary.
    pub assumed_converged: bool,
    /// The copies of etcd that were made before the first write.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub snapshots: Vec<SnapshotFile>,
    /// The objects behind `failed`, and why; the first 10,000 of them.
    pub failures: Vec<Unreadable>,
    /// The command that tries only those again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<String>,
}

/// A copy of etcd in a file that `etcdutl snapshot restore` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotFile {
    /// The name of the store.
    pub store: String,
    /// The file.
    pub path: String,
    /// Every write up to this revision is in it; younger ones may be.
    pub revision: i64,
    /// Its length.
    pub bytes: u64,
    /// The SHA-256 of the database in it, in hex, which its last 32 bytes are.
    pub sha256: String,
}

/// What `rewrap run` would do: `kind: RewrapPlan`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RewrapPlan {
    /// [`API_VERSION`].
    pub api_version: &'static str,
    /// `RewrapPlan`.
    pub kind: &'static str,
    /// Objects that would be rewritten.
    pub objects: u64,
    /// Their stored values together, in bytes.
    pub bytes: u64,
    /// Calls to KMS plugins beside Status: every distinct DEK source is unwrapped once, and a new one
    /// is wrapped and unwrapped.
    pub kms_calls: u64,
    /// What the databases grow by until they are compacted, in bytes: every rewrite is a new revision
    /// beside the old one.
    pub growth_bytes: u64,
    /// The database of the default store now, in bytes: the largest member's file, or kine's tables.
    pub db_size: Option<u64>,
    /// The limit at which etcd refuses writes, where it tells (3.6 and newer).
    pub db_quota: Option<u64>,
    /// At the chosen rate; nothing without one.
    pub seconds: Option<u64>,
    /// One row per resource that would be written.
    pub resources: Vec<PlannedResource>,
    /// What to think of before.
    pub warnings: Vec<String>,
}

/// The part of a plan that concerns one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedResource {
    /// `secrets`, `deployments.apps`.
    pub resource: String,
    /// Objects that would be rewritten.
    pub objects: u64,
    /// Their stored values together, in bytes.
    pub bytes: u64,
    /// What they would be written with.
    pub writes_with: KeyRef,
}
