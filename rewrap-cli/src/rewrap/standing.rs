//! What a run hands on to the one that resumes it.

use serde::{Deserialize, Serialize};

use super::front::Cut;

/// How far a run has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Standing {
    /// Everything before it was looked at in this pass; nothing where the pass had not begun.
    pub cut: Option<Cut>,
    /// The revision of each store when the run began.
    pub revisions: Vec<i64>,
    /// What it had done.
    pub counters: Counters,
}

/// What a run had done. All but the last are as in
/// [`RewrapReport`](kms_proto::inventory::RewrapReport).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "they are documented in RewrapReport")]
pub struct Counters {
    pub total: u64,
    pub rewrapped: u64,
    pub bytes: u64,
    pub already_current: u64,
    pub conflicts: u64,
    pub vanished: u64,
    pub passes: u32,
    pub elapsed_seconds: f64,
    /// The time spent writing.
    pub writing_seconds: f64,
}
