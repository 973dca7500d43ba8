//! What the flags say, completed by what the apiserver's manifest says.

use std::path::{Path, PathBuf};

use super::{DEFAULT_MANIFEST, SessionError, version};
use crate::{
    cli::Connection,
    config::{self, KubernetesVersion, Manifest, manifest::EtcdOverride},
    stored::EtcdPrefix,
};

/// Where everything is.
pub(super) struct Inputs {
    pub(super) endpoints: Vec<String>,
    pub(super) overrides: Vec<EtcdOverride>,
    pub(super) cacert: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) prefix: EtcdPrefix,
    pub(super) encryption_config: PathBuf,
    pub(super) automatic_reload: bool,
    /// Of the apiservers, where it was said.
    pub(super) version: Option<KubernetesVersion>,
    /// Maps the sockets of KMS plugins, which the configuration names as the container sees them.
    pub(super) manifest: Option<Manifest>,
}

impl Inputs {
    /// Flags win over the manifest, one by one.
    pub(super) fn gather(connection: &Connection) -> Result<Self, SessionError> {
        let manifest = manifest(connection)?;
        let from = manifest.as_ref();
        let endpoints = match &connection.endpoints[..] {
            [] => from.map_or_else(Vec::new, |manifest| manifest.etcd_servers.clone()),
            endpoints => endpoints.to_vec(),
        };
        if endpoints.is_empty() {
            return Err(SessionError::Missing {
                what: "etcd",
                flag: "--endpoints",
            });
        }
        let overrides = match &connection.etcd_servers_overrides[..] {
            [] => from.map_or_else(Vec::new, |manifest| manifest.etcd_overrides.clone()),
            overrides => overrides
                .iter()
                .map(|text| {
                    text.parse()
                        .map_err(|_| SessionError::Override(text.clone()))
                })
                .collect::<Result<_, _>>()?,
        };
        let file = |flag: &Option<PathBuf>, manifest: fn(&Manifest) -> &Option<PathBuf>| {
            flag.clone().or_else(|| manifest(from?).clone())
        };
        let encryption_config = file(&connection.encryption_provider_config, |manifest| {
            &manifest.encryption_config
        })
        .ok_or(SessionError::Missing {
            what: "EncryptionConfiguration",
            flag: "--encryption-provider-config",
        })?;
        let prefix = connection
            .etcd_prefix
            .as_ref()
            .or_else(|| from.map(|manifest| &manifest.etcd_prefix));
        let typed = connection.kubernetes_version.as_deref();
        Ok(Self {
            endpoints,
            overrides,
            cacert: file(&connection.cacert, |manifest| &manifest.etcd_ca_file),
            cert: file(&connection.cert, |manifest| &manifest.etcd_cert_file),
            key: file(&connection.key, |manifest| &manifest.etcd_key_file),
            prefix: prefix.map_or_else(EtcdPrefix::default, |prefix| {
                let Ok(prefix) = prefix.parse();
                prefix
            }),
            encryption_config,
            automatic_reload: from.is_some_and(|manifest| manifest.automatic_reload),
            version: match typed {
                Some(_) => Some(version(typed)?),
                None => from.and_then(|manifest| manifest.version),
            },
            manifest,
        })
    }
}

/// The manifest that was named, or kubeadm's where nothing at all was.
fn manifest(connection: &Connection) -> Result<Option<Manifest>, SessionError> {
    let default = Path::new(DEFAULT_MANIFEST);
    let path = match &connection.from_manifest {
        Some(path) => path.as_path(),
        None if connection.endpoints.is_empty()
            && connection.encryption_provider_config.is_none()
            && default.exists() =>
        {
            default
        }
        None => return Ok(None),
    };
    read_manifest(path).map(Some)
}

/// Reads the manifest of a kube-apiserver.
///
/// # Errors
/// If it cannot be read, or says nothing that can be used.
pub fn read_manifest(path: &Path) -> Result<Manifest, SessionError> {
    Manifest::parse(&config::read(path)?).map_err(|source| SessionError::Manifest {
        path: path.to_owned(),
        source,
    })
}
