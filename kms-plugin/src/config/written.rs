//! What may be written in the file, before anybody asked whether it makes sense.

use std::path::PathBuf;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct File {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) context: String,
    pub(super) socket: Socket,
    pub(super) keks: Vec<Kek>,
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
