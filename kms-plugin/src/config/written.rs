//! What may be written in the file, before anybody asked whether it makes sense.

use std::path::PathBuf;

use serde::Deserialize;

#[cfg(feature = "age")]
use crate::root::age;
#[cfg(feature = "aws-kms")]
use crate::root::aws_kms;
#[cfg(feature = "pkcs11")]
use crate::root::pkcs11;
#[cfg(feature = "vault")]
use crate::root::vault;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct File {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) context: String,
    pub(super) socket: Socket,
    #[serde(default)]
    pub(super) roots: Vec<Root>,
    pub(super) keks: Vec<Kek>,
    pub(super) state_directory: Option<PathBuf>,
    pub(super) offline_grace: Option<String>,
    pub(super) sealed_copies: Option<SealedCopies>,
    pub(super) http: Option<Http>,
    pub(super) reload: Option<Reload>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Socket {
    pub(super) path: PathBuf,
    pub(super) mode: Option<String>,
    pub(super) group: Option<String>,
    pub(super) allowed_uids: Option<Vec<u32>>,
    #[serde(default)]
    pub(super) allowed_gids: Vec<u32>,
    #[serde(default)]
    pub(super) allow_overflow_id: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Kek {
    pub(super) name: String,
    pub(super) key_id: Option<String>,
    pub(super) epoch: Option<u32>,
    pub(super) local: Option<Local>,
    pub(super) wrap_with: Option<Vec<String>>,
    pub(super) write_quorum: Option<Quorum>,
}

/// A number, or the word `all`.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Quorum {
    Number(usize),
    Word(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SealedCopies {
    pub(super) key_file: PathBuf,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Root {
    pub(super) name: String,
    #[cfg(feature = "vault")]
    pub(super) vault: Option<vault::Written>,
    #[cfg(feature = "aws-kms")]
    pub(super) aws_kms: Option<aws_kms::Written>,
    #[cfg(feature = "pkcs11")]
    pub(super) pkcs11: Option<pkcs11::Written>,
    #[cfg(feature = "age")]
    pub(super) age: Option<age::Written>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Local {
    pub(super) key_file: PathBuf,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Http {
    pub(super) address: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Reload {
    pub(super) poll_interval: Option<String>,
}
