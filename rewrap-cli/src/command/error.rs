//! Why a command failed, and the exit code that says so.

use std::path::PathBuf;

use kms_proto::KeyId;

use super::{
    Exit,
    run::{CheckpointError, Refusals, SnapshotError},
};
use crate::{
    apiserver::ApiserverError,
    area::AreaError,
    journal::JournalError,
    keys::WriteDekError,
    metrics::MetricsError,
    rewrap::{CanaryError, OnlyKeysError, RunError},
    session::SessionError,
    stopped::StoppedError,
    store::StoreError,
    stored::OpenError,
    survey::SurveyError,
};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The credentials for the apiservers are no good.
    #[error("the apiservers cannot be asked")]
    Apiserver(#[source] ApiserverError),
    /// The canary was not read back.
    #[error(transparent)]
    Canary(#[from] CanaryError),
    /// The checkpoint is of no use.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// No keys to rewrite only.
    #[error(transparent)]
    OnlyKeys(#[from] OnlyKeysError),
    /// Nobody vouches for the apiservers.
    #[error(
        "{0} objects would be rewritten, but nothing shows that every apiserver can read what would \
         be written; give --apiserver URL for each of them, or vouch for them with \
         --assume-converged; nothing was written"
    )]
    NoProof(u64),
    /// Something that would make writing unsafe or vain.
    #[error(transparent)]
    Gates(#[from] Refusals),
    /// The snapshot before the first write was not had.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A terminal file or stream.
    #[error("cannot read or write")]
    Io(#[source] std::io::Error),
    /// The KMS provider to write under does not answer.
    #[error("the KMS provider {provider} is to be written with but is not usable: {reason}")]
    KmsDown {
        /// The provider's name.
        provider: String,
        /// What its client says.
        reason: String,
    },
    /// A file is not what `rewrap status -o json` prints.
    #[error(
        "{} is no Inventory (line {line}); make it with `rewrap status -o json`",
        path.display()
    )]
    NoInventory {
        /// The file.
        path: PathBuf,
        /// Where that shows.
        line: usize,
    },
    /// No terminal to ask on.
    #[error("no terminal to ask on; give --yes to {0}; nothing was written")]
    NotAsked(String),
    /// The person said no.
    #[error("nothing was written")]
    Declined,
    /// Apiservers without credentials.
    #[error("--apiserver needs --kubeconfig, or --token-file and --apiserver-cacert")]
    NoCredentials,
    /// No object of this name.
    #[error("{0} does not exist in etcd")]
    NotFound(String),
    /// A key nobody knows.
    #[error("no key or KMS provider is named {0:?}, in the configuration or in etcd")]
    UnknownKey(String),
    /// A resource nobody knows.
    #[error(
        "{0:?} is no resource that is known to be stored; write it as `secrets` or \
         `deployments.apps`"
    )]
    UnknownResource(String),
    /// The run ended early.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The object cannot be shown.
    #[error("{key} does not open")]
    Unreadable {
        /// The etcd key.
        key: String,
        /// Why.
        source: OpenError,
    },
    /// A file of a run cannot be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The metrics cannot be written.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// An undo file is damaged, or none.
    #[error("{} is no undo file of `rewrap run --undo-file` (line {line})", path.display())]
    NoUndoFile {
        /// The file.
        path: PathBuf,
        /// Where that shows.
        line: usize,
    },
    /// An undo file of another cluster.
    #[error(
        "the undo file is of the cluster {file}, but this etcd holds the cluster {here}; nothing was written"
    )]
    OtherCluster {
        /// The uid in the file.
        file: String,
        /// The uid here.
        here: String,
    },
    /// Nothing tells which cluster this is.
    #[error(
        "the uid of the namespace kube-system, by which a file of a run knows its cluster, cannot be \
         read; `rewrap get namespaces kube-system` says why"
    )]
    NoUid,
    /// The session did not begin.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// An apiserver lives, or may live.
    #[error(transparent)]
    Stopped(#[from] StoppedError),
    /// The store could not be read through.
    #[error(transparent)]
    Survey(#[from] SurveyError),
}

impl CommandError {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Apiserver(error) => of_apiserver(error),
            Self::KmsDown { .. } => Exit::Unreachable,
            Self::Canary(CanaryError::Run(error)) | Self::Run(error) => of_run(error),
            Self::Canary(CanaryError::Before { source, .. }) => of_apiserver(source),
            Self::Checkpoint(CheckpointError::Write { .. }) => Exit::Runtime,
            Self::Canary(_)
            | Self::Declined
            | Self::Gates(_)
            | Self::NoProof(_)
            | Self::NotAsked(_) => Exit::Gate,
            Self::Io(_) | Self::Journal(_) | Self::Metrics(_) | Self::NotFound(_) | Self::NoUid => {
                Exit::Runtime
            }
            Self::Session(error) => of_session(error),
            Self::Snapshot(error) => of_snapshot(error),
            Self::Stopped(StoppedError::Store(error)) => of_store(error),
            Self::Stopped(_) => Exit::Gate,
            Self::Survey(error) => of_survey(error),
            Self::Checkpoint(_)
            | Self::OnlyKeys(_)
            | Self::File { .. }
            | Self::NoInventory { .. }
            | Self::NoUndoFile { .. }
            | Self::OtherCluster { .. } => Exit::Refused,
            Self::NoCredentials | Self::UnknownKey(_) | Self::UnknownResource(_) => Exit::Usage,
            Self::Unreadable { .. } => Exit::Findings,
        }
    }

    /// The key id now, where the only reason is that a KMS provider rotated.
    pub fn rotated_to(&self) -> Option<&KeyId> {
        match self {
            Self::Canary(CanaryError::Run(error)) | Self::Run(error) => error.rotated_to(),
            _ => None,
        }
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::Survey(error.into())
    }
}

impl From<AreaError> for CommandError {
    fn from(error: AreaError) -> Self {
        Self::Survey(error.into())
    }
}

/// Before anything was written through it.
fn of_apiserver(error: &ApiserverError) -> Exit {
    match error {
        ApiserverError::Timeout(_)
        | ApiserverError::Unreachable { .. }
        | ApiserverError::Refused {
            status: 401 | 403, ..
        } => Exit::Unreachable,
        ApiserverError::OtherStore { .. } | ApiserverError::Refused { .. } => Exit::Gate,
        ApiserverError::Url(_) => Exit::Usage,
        _ => Exit::Refused,
    }
}

fn of_session(error: &SessionError) -> Exit {
    match error {
        SessionError::Store(error) => of_store(error),
        SessionError::Config { .. } | SessionError::File(_) | SessionError::Manifest { .. } => {
            Exit::Refused
        }
        _ => Exit::Usage,
    }
}

fn of_snapshot(error: &SnapshotError) -> Exit {
    match error {
        SnapshotError::Exists(_) | SnapshotError::Kine => Exit::Gate,
        SnapshotError::Damaged { .. } | SnapshotError::File { .. } => Exit::Runtime,
        SnapshotError::Store(error) => of_store(error),
    }
}

fn of_survey(error: &SurveyError) -> Exit {
    match error {
        SurveyError::Area(error) => of_area(error),
        SurveyError::List(_) | SurveyError::Overtaken => Exit::Runtime,
        SurveyError::Store(error) => of_store(error),
    }
}

fn of_area(error: &AreaError) -> Exit {
    match error {
        AreaError::NoCluster { .. } => Exit::Refused,
        AreaError::Store(error) => of_store(error),
    }
}

fn of_run(error: &RunError) -> Exit {
    match error {
        _ if error.rotated_to().is_some() => Exit::Gate,
        RunError::NoRoom(_) | RunError::NotReadBack { .. } => Exit::Gate,
        RunError::KeyChange(_) => Exit::Unreachable,
        RunError::Area(error) => of_area(error),
        RunError::Journal(_) => Exit::Runtime,
        RunError::Store(error) => of_store(error),
        RunError::WriteDek(error) => of_write_dek(error),
    }
}

fn of_write_dek(error: &WriteDekError) -> Exit {
    match error {
        WriteDekError::NotGivenBack(_) | WriteDekError::TooLong(..) => Exit::Gate,
        WriteDekError::Random(_) => Exit::Runtime,
        _ => Exit::Unreachable,
    }
}

fn of_store(error: &StoreError) -> Exit {
    match error.exit_code() {
        3 => Exit::Refused,
        4 => Exit::Unreachable,
        5 => Exit::Gate,
        _ => Exit::Runtime,
    }
}
