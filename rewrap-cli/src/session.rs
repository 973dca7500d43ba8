//! From flags to an open store, the rules and the KMS providers.

use std::{collections::BTreeMap, env, sync::Arc, time::Duration};

use kms_proto::DekSourceType;
use zeroize::Zeroizing;

use crate::{
    cli::{Connection, DekType},
    config::{
        self, EncryptionConfig, KubernetesVersion, ParseOptions,
        encryption::{KmsProvider, KmsVersion, SocketAddress},
        manifest::EtcdOverride,
    },
    keys::{Keys, KmsConnection},
    kms::{KmsClient, KmsV1Client},
    store::{Kind, Login, Store, StoreConfig, TlsFiles},
    stored::{EtcdPrefix, GroupResource, KmsName},
};

mod error;
mod inputs;

pub use error::SessionError;
use inputs::Inputs;
pub use inputs::read_manifest;

/// The manifest of a kubeadm control plane.
pub const DEFAULT_MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";

/// One etcd with the resources that live in it.
#[derive(Debug)]
pub struct NamedStore {
    /// `default`, or the resources that an override sends here.
    pub name: String,
    /// Its client URLs.
    pub endpoints: Vec<String>,
    /// Resources that live here instead of in the default store; empty for the default store.
    pub resources: Vec<GroupResource>,
    /// The connection.
    pub store: Store,
}

/// Everything a command works with.
#[derive(Debug)]
pub struct Session {
    /// What every apiserver is said to have loaded.
    pub config: EncryptionConfig,
    /// Where kube-apiserver keeps its keys.
    pub prefix: EtcdPrefix,
    /// The default store first.
    pub stores: Vec<NamedStore>,
    /// KMS providers and DEK sources.
    pub keys: Keys,
    /// Whether progress is kept from stderr.
    pub quiet: bool,
    /// Which kind of DEK source the apiservers write, where that was said or the release knows no
    /// other.
    dek_type: Option<DekSourceType>,
    /// Else it is what the newest values under the current key id showed.
    observed: BTreeMap<KmsName, DekSourceType>,
    version: KubernetesVersion,
}

impl Session {
    /// Reads the files, connects to etcd and asks the KMS plugins for their current keys.
    ///
    /// # Errors
    /// The first thing that keeps the session from being usable. A KMS plugin that does not answer
    /// is no error here: what it protects is shown as unreadable.
    pub async fn open(connection: &Connection) -> Result<Self, SessionError> {
        refuse_inline_passwords(connection)?;
        let inputs = Inputs::gather(connection)?;
        let bytes = config::read(&inputs.encryption_config)?;
        let version = inputs.version.unwrap_or_default();
        let options = ParseOptions {
            version,
            automatic_reload: inputs.automatic_reload,
            // What is stored under KMS v1 must stay readable whatever the gate says today.
            kms_v1: Some(true),
        };
        let config =
            EncryptionConfig::parse(&bytes, &options).map_err(|source| SessionError::Config {
                path: inputs.encryption_config.clone(),
                source,
            })?;
        let endpoints = kms_endpoints(&config, &inputs, &connection.kms_endpoint)?;
        let keys = Keys::new(kms_connections(config.kms_providers(), &endpoints));
        let stores = connect(connection, &inputs).await?;
        let mut session = Self {
            config,
            prefix: inputs.prefix,
            stores,
            keys,
            quiet: false,
            dek_type: dek_type(connection.dek_type, inputs.version),
            observed: BTreeMap::new(),
            version,
        };
        session.refresh_keys().await;
        Ok(session)
    }

    /// Whether one of the stores is kine.
    pub fn has_kine(&self) -> bool {
        let mut stores = self.stores.iter();
        stores.any(|named| named.store.kind() == Kind::Kine)
    }

    /// Asks the KMS plugins for their current keys.
    pub async fn refresh_keys(&mut self) {
        let Self {
            keys,
            dek_type,
            observed,
            version,
            ..
        } = self;
        keys.refresh(|provider| {
            dek_type
                .or_else(|| observed.get(provider).copied())
                .unwrap_or_else(|| written_by(*version))
        })
        .await;
    }

    /// Whether it is known which kind of DEK source the apiservers write, whatever is stored.
    pub fn knows_dek_type(&self) -> bool {
        self.dek_type.is_some()
    }

    /// Takes over which kind of DEK source the newest values have, where nothing else says it. Says
    /// whether that changes what is current.
    pub fn observe(&mut self, newest: BTreeMap<KmsName, DekSourceType>) -> bool {
        let differs = newest.iter().any(|(provider, kind)| {
            self.keys
                .current()
                .get(provider)
                .is_some_and(|current| current.dek_type != *kind)
        });
        if self.knows_dek_type() || !differs {
            return false;
        }
        self.keys.set_dek_types(&newest);
        self.observed = newest;
        true
    }
}

/// What was said, or else what the release that was named can only write: 1.29 and newer know no
/// other than seeds, whatever 1.28 left behind.
fn dek_type(said: DekType, version: Option<KubernetesVersion>) -> Option<DekSourceType> {
    match said {
        DekType::AesGcmKey => Some(DekSourceType::AesGcmKey),
        DekType::Seed => Some(DekSourceType::HkdfSha256XnonceAesGcmSeed),
        DekType::Auto => version
            .filter(|version| version.minor() >= 29)
            .map(written_by),
    }
}

/// The kind of DEK source that a release writes without further settings: 1.28 writes seeds only with
/// the gate KMSv2KDF.
fn written_by(version: KubernetesVersion) -> DekSourceType {
    match version.minor() {
        ..=28 => DekSourceType::AesGcmKey,
        29.. => DekSourceType::HkdfSha256XnonceAesGcmSeed,
    }
}

/// Passwords on the command line and in the environment are seen by every process of the machine.
fn refuse_inline_passwords(connection: &Connection) -> Result<(), SessionError> {
    if connection
        .user
        .as_ref()
        .is_some_and(|user| user.contains(':'))
    {
        return Err(SessionError::InlinePassword("--user (or ETCDCTL_USER)"));
    }
    if env::var_os("ETCDCTL_PASSWORD").is_some() {
        return Err(SessionError::InlinePassword("ETCDCTL_PASSWORD"));
    }
    Ok(())
}

/// The release a person named, or the newest known.
///
/// # Errors
/// Not a release, or one outside the supported range.
pub fn version(text: Option<&str>) -> Result<KubernetesVersion, SessionError> {
    text.map_or_else(
        || Ok(KubernetesVersion::default()),
        |text| text.parse().map_err(SessionError::Version),
    )
}

/// Where the plugins listen: where a flag says, else where the configuration says, which may be a
/// path of the apiserver's container.
fn kms_endpoints(
    config: &EncryptionConfig,
    inputs: &Inputs,
    flags: &[String],
) -> Result<BTreeMap<KmsName, SocketAddress>, SessionError> {
    let mut endpoints = BTreeMap::new();
    for provider in config.kms_providers() {
        let on_host = match (&provider.endpoint, &inputs.manifest) {
            (SocketAddress::Path(path), Some(manifest)) => {
                manifest.host_path(path).map(SocketAddress::Path).ok()
            }
            _ => None,
        };
        if endpoints.contains_key(&provider.name) {
            return Err(SessionError::SameKmsName(provider.name.to_string()));
        }
        let endpoint = on_host.unwrap_or_else(|| provider.endpoint.clone());
        endpoints.insert(Arc::clone(&provider.name), endpoint);
    }
    for text in flags {
        let malformed = || SessionError::KmsEndpoint(text.clone());
        let (name, endpoint) = text.split_once('=').ok_or_else(malformed)?;
        let known = endpoints
            .get_mut(name)
            .ok_or_else(|| SessionError::UnknownProvider(name.to_owned()))?;
        *known = SocketAddress::from_endpoint(endpoint).map_err(|_| malformed())?;
    }
    Ok(endpoints)
}

fn kms_connections(
    providers: &[KmsProvider],
    endpoints: &BTreeMap<KmsName, SocketAddress>,
) -> BTreeMap<KmsName, KmsConnection> {
    let connect = |provider: &KmsProvider| {
        let address = endpoints.get(&provider.name).unwrap_or(&provider.endpoint);
        let connection = match provider.version {
            KmsVersion::V1 => {
                KmsConnection::V1(KmsV1Client::new(address.clone(), provider.timeout))
            }
            KmsVersion::V2 => KmsConnection::V2(KmsClient::new(address.clone(), provider.timeout)),
        };
        (Arc::clone(&provider.name), connection)
    };
    providers.iter().map(connect).collect()
}

async fn connect(
    connection: &Connection,
    inputs: &Inputs,
) -> Result<Vec<NamedStore>, SessionError> {
    let password = connection.password_file.as_deref();
    let password = password.map(config::read).transpose()?;
    let config = |endpoints: &[String]| StoreConfig {
        tls: TlsFiles {
            ca: inputs.cacert.clone(),
            cert: inputs.cert.clone(),
            key: inputs.key.clone(),
        },
        login: connection
            .user
            .clone()
            .zip(password.clone())
            .map(|(user, password)| Login {
                user,
                password: trim_newline(password),
            }),
        request_timeout: Duration::from_secs(connection.request_timeout),
        quota: connection.quota_backend_bytes,
        ..StoreConfig::new(endpoints.to_vec())
    };
    let mut stores = vec![NamedStore {
        name: "default".to_owned(),
        endpoints: inputs.endpoints.clone(),
        resources: Vec::new(),
        store: Store::connect(config(&inputs.endpoints)).await?,
    }];
    for (endpoints, resources) in by_servers(&inputs.overrides) {
        let names: Vec<_> = resources.iter().map(GroupResource::to_string).collect();
        stores.push(NamedStore {
            name: names.join(","),
            store: Store::connect(config(&endpoints)).await?,
            endpoints,
            resources,
        });
    }
    Ok(stores)
}

/// The resources that live elsewhere, grouped by where.
fn by_servers(overrides: &[EtcdOverride]) -> BTreeMap<Vec<String>, Vec<GroupResource>> {
    let mut stores: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for EtcdOverride { resource, servers } in overrides {
        stores
            .entry(servers.clone())
            .or_default()
            .push(resource.clone());
    }
    stores
}

/// Editors end files with a newline; no password does.
fn trim_newline(mut password: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    while password
        .last()
        .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
    {
        password.pop();
    }
    password
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_refused_where_others_can_read_them() {
        let connection = Connection {
            user: Some("root:secret".into()),
            ..Connection::default()
        };
        let error = refuse_inline_passwords(&connection)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("--password-file") && !error.contains("secret"),
            "{error}"
        );
    }
}
