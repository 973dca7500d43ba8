//! What a run leaves behind beside what it writes: a line for every object in the audit log, and the
//! value before in the undo file.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use kms_proto::inventory::{API_VERSION, KeyRef};
use prost::bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    journal::{Journal, JournalError},
    store::Record,
    stored::WrittenWith,
    survey::key_ref,
};

/// The files of a run; neither is there unless a person asked for it.
#[derive(Debug, Default)]
pub struct Trail {
    /// `--audit-log`.
    pub audit: Option<Journal>,
    /// `--undo-file`.
    pub undo: Option<Journal>,
}

/// The first line of an undo file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UndoHeader {
    /// `ringfence.dev/v1alpha1`.
    pub api_version: String,
    /// `UndoFile`.
    pub kind: String,
    /// The uid of kube-system: no other cluster takes it.
    pub cluster_uid: String,
}

/// Any other line of an undo file: a value before it was rewritten, which is a ciphertext. It is there
/// before the write, so the write may not have come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UndoEntry {
    /// The etcd key.
    pub key: String,
    /// The revision of the value.
    pub revision: i64,
    /// The value in base64.
    pub value: String,
    /// The SHA-256 of the value that was to take its place.
    pub replaced_by: String,
}

/// A line of an audit log: one before a write and one after it, so that a write is in it whatever ends
/// the run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rewritten<'a> {
    time: String,
    key: &'a str,
    from: Written,
    to: Written,
    revision_before: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<i64>,
    result: &'static str,
}

/// What a value is under.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    #[serde(flatten)]
    key: KeyRef,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
}

impl UndoHeader {
    /// Of a cluster.
    pub fn new(cluster_uid: &str) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "UndoFile".to_owned(),
            cluster_uid: cluster_uid.to_owned(),
        }
    }
}

impl Trail {
    /// Tells that a value under the first key is about to be replaced by this one under the second,
    /// and keeps it. Plain text is not kept: the file would hold secrets.
    ///
    /// # Errors
    /// It is not on the disk.
    pub async fn before(
        &self,
        record: &Record,
        [from, to]: [&WrittenWith; 2],
        value: &[u8],
    ) -> Result<(), JournalError> {
        self.begun(record, [from, to]).await?;
        match (&self.undo, from) {
            (None, _) | (_, WrittenWith::Nothing) => Ok(()),
            (Some(journal), _) => {
                let entry = UndoEntry {
                    key: String::from_utf8_lossy(&record.key).into_owned(),
                    revision: record.mod_revision,
                    value: BASE64_STANDARD.encode(&record.value),
                    replaced_by: hex::encode(Sha256::digest(value)),
                };
                journal.append(&entry).await
            }
        }
    }

    /// Tells that a value under the first key is about to be replaced by one under the second.
    ///
    /// # Errors
    /// The line is not on the disk.
    pub async fn begun(
        &self,
        record: &Record,
        keys: [&WrittenWith; 2],
    ) -> Result<(), JournalError> {
        self.tell(record, keys, None, "begun").await
    }

    /// Tells that a value under the first key was replaced by one under the second, and why.
    ///
    /// # Errors
    /// The line is not on the disk.
    pub async fn after(
        &self,
        record: &Record,
        keys: [&WrittenWith; 2],
        revision: i64,
        result: &'static str,
    ) -> Result<(), JournalError> {
        self.tell(record, keys, Some(revision), result).await
    }

    async fn tell(
        &self,
        record: &Record,
        [from, to]: [&WrittenWith; 2],
        revision: Option<i64>,
        result: &'static str,
    ) -> Result<(), JournalError> {
        let Some(journal) = &self.audit else {
            return Ok(());
        };
        let line = Rewritten {
            // The format has a fixed form; nothing in it can fail.
            time: OffsetDateTime::now_utc()
                .format(&Rfc3339)
                .unwrap_or_default(),
            key: &String::from_utf8_lossy(&record.key),
            from: Written::with(from),
            to: Written::with(to),
            revision_before: record.mod_revision,
            revision,
            result,
        };
        journal.append(&line).await
    }
}

impl Written {
    fn with(written_with: &WrittenWith) -> Self {
        Self {
            key: key_ref(written_with),
            key_id: written_with.key_id().map(ToString::to_string),
        }
    }
}

impl UndoEntry {
    /// The value before; nothing where the line was damaged.
    pub fn value(&self) -> Option<Bytes> {
        BASE64_STANDARD.decode(&self.value).ok().map(Bytes::from)
    }

    /// Whether a value is the one that took its place.
    pub fn was_replaced_by(&self, value: &[u8]) -> bool {
        hex::encode(Sha256::digest(value)) == self.replaced_by
    }
}
