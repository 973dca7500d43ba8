//! Why a session does not begin.

use std::path::PathBuf;

use crate::{
    config::{ReadError, encryption::ConfigErrors},
    store::StoreError,
};

/// Why a session does not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The EncryptionConfiguration is refused, as kube-apiserver would refuse it.
    #[error("{} is refused", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ConfigErrors,
    },
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] ReadError),
    /// `--feature-gates` is malformed.
    #[error("--feature-gates {0:?} is not of the form GATE=true,GATE=false")]
    FeatureGates(String),
    /// A password where every process of the machine can read it.
    #[error("{0} holds a password; put it into a file and give --password-file")]
    InlinePassword(&'static str),
    /// `--kms-endpoint` is malformed.
    #[error("--kms-endpoint {0:?} is not of the form NAME=unix:///PATH")]
    KmsEndpoint(String),
    /// The manifest of the apiserver is no good.
    #[error("cannot use {}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why.
        source: crate::config::manifest::ManifestError,
    },
    /// Something that no flag and no manifest gives.
    #[error("no {what} given; use {flag} or --from-manifest")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// The flag that gives it.
        flag: &'static str,
    },
    /// `--etcd-servers-overrides` is malformed.
    #[error("--etcd-servers-overrides {0:?} is not of the form group/resource#url;url")]
    Override(String),
    /// kube-apiserver accepts a KMS v1 provider of the same name as another, but nobody can then
    /// say which plugin a value belongs to.
    #[error("two KMS providers are named {0:?}; give each a name of its own")]
    SameKmsName(String),
    /// etcd.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// `--kms-endpoint` names a provider that the configuration does not.
    #[error("--kms-endpoint names {0:?}, but the configuration has no KMS provider of that name")]
    UnknownProvider(String),
    /// `--kubernetes-version` is malformed or too old.
    #[error("--kubernetes-version is refused")]
    Version(#[source] crate::config::encryption::VersionError),
}
