//! The checkpoint as it is on the disk: one JSON document.

use std::{
    io,
    path::{Path, PathBuf},
};

use kms_proto::inventory::API_VERSION;
use serde::{Deserialize, Serialize};

use crate::{cli::RunArgs, journal, printable::OneLine, rewrap::Standing, session::Session};

const KIND: &str = "Checkpoint";

/// The document.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Document {
    api_version: String,
    kind: String,
    run: Run,
    standing: Standing,
}

/// What has to be the same for a run to go on where another ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Run {
    cluster_uid: String,
    config_hash: String,
    stores: Vec<String>,
    scope: Scope,
}

/// The flags that say which objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Scope {
    resource: Vec<String>,
    exclude: Vec<String>,
    namespace: Option<String>,
    from_key: Option<String>,
    force_kms_v1: bool,
    also_current: bool,
    consolidate: bool,
}

/// Why a checkpoint is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// It cannot be read.
    #[error("cannot read the checkpoint {}; nothing was written to etcd", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is damaged, or something else.
    #[error(
        "{} is no checkpoint that this release reads (line {line}); give --checkpoint another name, or \
         remove it to begin anew: that is just as safe; nothing was written to etcd",
        path.display()
    )]
    NotOne {
        /// The file.
        path: PathBuf,
        /// Where that shows.
        line: usize,
    },
    /// It is of a run over something else.
    #[error(
        "the checkpoint {} is of a run with another {what}: {then}, now {now}; go on as that run was \
         started, or remove the file to begin anew: that is just as safe; nothing was written to etcd",
        path.display()
    )]
    OtherRun {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// In the file.
        then: String,
        /// Here.
        now: String,
    },
    /// It cannot be written or removed.
    #[error("cannot write the checkpoint {}; what is written to etcd is safe", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Run {
    /// A run with these flags.
    pub(super) fn of(args: &RunArgs, session: &Session, cluster_uid: String) -> Self {
        let stores = session.stores.iter();
        Self {
            cluster_uid,
            config_hash: session.config.hash().to_owned(),
            stores: stores.map(|store| store.name.clone()).collect(),
            scope: Scope::of(args),
        }
    }

    /// How far it has come, as a document.
    pub(super) fn document(&self, standing: Standing) -> Document {
        Document {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            run: self.clone(),
            standing,
        }
    }
}

impl Scope {
    fn of(args: &RunArgs) -> Self {
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort_unstable();
            names.dedup();
            names
        };
        Self {
            resource: sorted(&args.scope.resource),
            exclude: sorted(&args.scope.exclude),
            namespace: args.scope.namespace.clone(),
            from_key: args.from_key.clone(),
            force_kms_v1: args.force_kms_v1,
            also_current: args.also_current,
            consolidate: args.consolidate,
        }
    }

    /// As it is typed.
    fn flags(&self) -> String {
        let mut flags = Vec::new();
        let lists = [("resource", &self.resource), ("exclude", &self.exclude)];
        for (name, list) in lists {
            if !list.is_empty() {
                flags.push(format!("--{name}={}", list.join(",")));
            }
        }
        let values = [("namespace", &self.namespace), ("from-key", &self.from_key)];
        for (name, value) in values {
            flags.extend(value.iter().map(|value| format!("--{name}={value}")));
        }
        let switches = [
            ("--force-kms-v1", self.force_kms_v1),
            ("--also-current", self.also_current),
            ("--consolidate", self.consolidate),
        ];
        for (name, _) in switches.iter().filter(|(_, on)| *on) {
            flags.push((*name).to_owned());
        }
        if flags.is_empty() {
            return "everything".to_owned();
        }
        OneLine(&flags.join(" ")).to_string()
    }
}

/// How far a run like this one had come.
///
/// # Errors
/// It is none, or of a run over something else.
pub(super) fn parse(path: &Path, bytes: &[u8], run: &Run) -> Result<Standing, CheckpointError> {
    let not_one = |line| CheckpointError::NotOne {
        path: path.to_owned(),
        line,
    };
    let document: Document =
        serde_json::from_slice(bytes).map_err(|error| not_one(error.line()))?;
    let Document {
        api_version,
        kind,
        run: then,
        standing,
    } = document;
    if (&*api_version, &*kind) != (API_VERSION, KIND) {
        return Err(not_one(1));
    }
    let differences = [
        ("cluster", &then.cluster_uid, &run.cluster_uid),
        (
            "EncryptionConfiguration",
            &then.config_hash,
            &run.config_hash,
        ),
        (
            "set of etcds",
            &then.stores.join(", "),
            &run.stores.join(", "),
        ),
        ("scope", &then.scope.flags(), &run.scope.flags()),
    ];
    for (what, then, now) in differences {
        if then != now {
            return Err(CheckpointError::OtherRun {
                path: path.to_owned(),
                what,
                then: OneLine(then).to_string(),
                now: OneLine(now).to_string(),
            });
        }
    }
    if standing.revisions.len() != run.stores.len() {
        return Err(not_one(1));
    }
    Ok(standing)
}

/// Replaces the file.
///
/// # Errors
/// What was there before still is.
pub(super) fn write(path: &Path, document: &Document) -> Result<(), CheckpointError> {
    let written = serde_json::to_vec_pretty(document)
        .map_err(io::Error::from)
        .and_then(|bytes| journal::replace(path, &bytes));
    written.map_err(|source| CheckpointError::Write {
        path: path.to_owned(),
        source,
    })
}
