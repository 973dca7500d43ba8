//! Who we are to AWS: clients with credentials, made anew when a file that holds them changes.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_config::{
    default_provider::credentials::DefaultCredentialsChain,
    profile::ProfileFileCredentialsProvider, provider_config::ProviderConfig,
};
use aws_credential_types::provider::{error::CredentialsError, future};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_kms::config::{
    BehaviorVersion, IdentityCache, ProvideCredentials, Region, SharedCredentialsProvider,
    SharedHttpClient, SharedIdentityCache, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use tokio::sync::OnceCell;

use super::{
    Config, Credentials, Place,
    roles::{AssumedRole, WebIdentity},
};
use crate::file::{self, ReadError};

/// How long one place gets for a call where there is another that may be asked. Where there is none, the
/// caller's own limit holds.
const LIMIT_WITH_REPLICAS: Duration = Duration::from_secs(2);
/// How long a login may take: less than the daemon gives a call, so that it can be said what took so long.
const LOGIN_LIMIT: Duration = Duration::from_secs(4);
/// The longest file of credentials.
const MAX_FILE_LEN: u64 = 256 * 1024;

/// Keeps the clients of the root, and knows when they are out of date.
pub(super) struct Login {
    config: Config,
    http: SharedHttpClient,
    now: Mutex<Option<Arc<Session>>>,
}

/// Clients that share credentials: one of KMS for each place, in order.
pub(super) struct Session {
    pub(super) kms: Vec<aws_sdk_kms::Client>,
    pub(super) sts: aws_sdk_sts::Client,
    files: Files,
}

impl Login {
    pub(super) fn new(config: Config) -> Self {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        Self {
            config,
            http,
            now: Mutex::new(None),
        }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// The session, a new one if there is none yet or a file has changed since.
    pub(super) fn session(&self) -> Result<Arc<Session>, LoginError> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let files = Files::look(&self.config.credentials);
        if let Some(session) = now.as_ref().filter(|session| session.files == files) {
            return Ok(session.clone());
        }
        *now = None;
        let session = Arc::new(self.open(files)?);
        *now = Some(session.clone());
        Ok(session)
    }

    /// Makes the next call log in again: this one did not do.
    pub(super) fn forget(&self, session: &Arc<Session>) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.as_ref().is_some_and(|now| Arc::ptr_eq(now, session)) {
            *now = None;
        }
    }

    fn open(&self, files: Files) -> Result<Session, LoginError> {
        let Config {
            key,
            replicas,
            use_fips,
            assume_role,
            ..
        } = &self.config;
        let region = Region::new(key.key.region().to_owned());
        let cache = IdentityCache::lazy().build();
        let mut credentials = self.found(&region)?;
        if let Some(role) = assume_role {
            let sts = self.sts(&region, Some((&credentials, &cache)));
            credentials = SharedCredentialsProvider::new(AssumedRole::new(sts, role.clone()));
        }
        credentials = SharedCredentialsProvider::new(InTime(credentials));
        let kms = |Place { key, endpoint }: &Place| {
            let mut builder = aws_sdk_kms::Config::builder()
                .behavior_version(BehaviorVersion::v2026_01_12())
                .http_client(self.http.clone())
                .retry_config(RetryConfig::disabled())
                .region(Region::new(key.region().to_owned()))
                .use_fips(*use_fips)
                .identity_cache(cache.clone())
                .credentials_provider(credentials.clone());
            if !replicas.is_empty() {
                let limit = TimeoutConfig::builder()
                    .operation_timeout(LIMIT_WITH_REPLICAS)
                    .build();
                builder = builder.timeout_config(limit);
            }
            builder.set_endpoint_url(endpoint.clone());
            aws_sdk_kms::Client::from_conf(builder.build())
        };
        Ok(Session {
            kms: [key].into_iter().chain(replicas).map(kms).collect(),
            sts: self.sts(&region, Some((&credentials, &cache))),
            files,
        })
    }

    fn found(&self, region: &Region) -> Result<SharedCredentialsProvider, LoginError> {
        let provider_config = ProviderConfig::without_region()
            .with_region(Some(region.clone()))
            .with_http_client(self.http.clone());
        Ok(match &self.config.credentials {
            Credentials::Default => SharedCredentialsProvider::new(Chain {
                config: provider_config,
                region: region.clone(),
                built: OnceCell::new(),
            }),
            Credentials::Profile {
                name,
                config_file,
                credentials_file,
            } => {
                let mut files = EnvConfigFiles::builder();
                let sources = [
                    (EnvConfigFileKind::Config, config_file, 0o022),
                    (EnvConfigFileKind::Credentials, credentials_file, 0o077),
                ];
                for (kind, path, forbidden) in sources {
                    if let Some(path) = path {
                        files = files.with_contents(kind, read_text(path, forbidden)?);
                    }
                }
                let provider = ProfileFileCredentialsProvider::builder()
                    .configure(&provider_config)
                    .profile_name(name)
                    .profile_files(files.build())
                    .build();
                SharedCredentialsProvider::new(provider)
            }
            Credentials::WebIdentity {
                token_file,
                role_arn,
            } => SharedCredentialsProvider::new(WebIdentity::new(
                self.sts(region, None),
                token_file.clone(),
                role_arn.clone(),
            )),
        })
    }

    fn sts(
        &self,
        region: &Region,
        credentials: Option<(&SharedCredentialsProvider, &SharedIdentityCache)>,
    ) -> aws_sdk_sts::Client {
        let mut builder = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(self.http.clone())
            .retry_config(RetryConfig::disabled())
            .region(region.clone())
            .use_fips(self.config.use_fips);
        if let Some((provider, cache)) = credentials {
            builder = builder
                .identity_cache(cache.clone())
                .credentials_provider(provider.clone());
        }
        builder.set_endpoint_url(self.config.sts_endpoint.clone());
        aws_sdk_sts::Client::from_conf(builder.build())
    }
}

/// Credentials within [`LOGIN_LIMIT`], or the word that there were none: the SDK's own limit is as long as the
/// daemon's.
#[derive(Debug)]
struct InTime(SharedCredentialsProvider);

impl ProvideCredentials for InTime {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            tokio::time::timeout(LOGIN_LIMIT, self.0.provide_credentials())
                .await
                .unwrap_or_else(|_| Err(CredentialsError::provider_error(LoginError::TimedOut)))
        })
    }
}

/// The SDK's chain of sources, put together at the first use.
#[derive(Debug)]
struct Chain {
    config: ProviderConfig,
    region: Region,
    built: OnceCell<DefaultCredentialsChain>,
}

impl ProvideCredentials for Chain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let build = || {
                DefaultCredentialsChain::builder()
                    .region(self.region.clone())
                    .configure(self.config.clone())
                    .build()
            };
            let chain = self.built.get_or_init(build).await;
            chain.provide_credentials().await
        })
    }
}

/// What the files that hold credentials looked like: each is looked at by its path, so a swapped
/// symbolic link counts.
#[derive(Debug, PartialEq, Eq)]
struct Files(Vec<Option<[i64; 5]>>);

impl Files {
    fn look(credentials: &Credentials) -> Self {
        let look = |path: PathBuf| {
            let file = fs::metadata(path).ok()?;
            let numbers = [file.dev(), file.ino(), file.size()].map(u64::cast_signed);
            let [dev, ino, size] = numbers;
            Some([dev, ino, size, file.mtime(), file.mtime_nsec()])
        };
        Self(paths(credentials).into_iter().map(look).collect())
    }
}

fn paths(credentials: &Credentials) -> Vec<PathBuf> {
    match credentials {
        Credentials::Profile {
            config_file,
            credentials_file,
            ..
        } => config_file
            .iter()
            .chain(credentials_file)
            .cloned()
            .collect(),
        Credentials::WebIdentity { token_file, .. } => vec![token_file.clone()],
        // What the SDK reads once; the files of tokens it reads at each login.
        Credentials::Default => {
            let home = env::var_os("HOME").map(|home| Path::new(&home).join(".aws"));
            let file = |variable: &str, name: &str| {
                let named = env::var_os(variable).map(PathBuf::from);
                named.or_else(|| Some(home.as_ref()?.join(name)))
            };
            [
                file("AWS_CONFIG_FILE", "config"),
                file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
            ]
            .into_iter()
            .flatten()
            .collect()
        }
    }
}

/// Reads a file that holds credentials, or says where they are.
pub(super) fn read_text(path: &Path, forbidden: u32) -> Result<String, LoginError> {
    let content = file::read(path, forbidden, MAX_FILE_LEN).map_err(LoginError::File)?;
    let text = str::from_utf8(&content).map_err(|_| LoginError::NotText(path.to_owned()))?;
    Ok(text.to_owned())
}

/// Why there is nobody to log in as.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoginError {
    #[error("{}", with_cause(.0))]
    File(ReadError),
    #[error("{} is no text", .0.display())]
    NotText(PathBuf),
    #[error("{} is empty", .0.display())]
    Empty(PathBuf),
    #[error("STS answered without credentials")]
    NoCredentials,
    #[error(
        "no credentials within {} s; see that where they come from can be reached",
        LOGIN_LIMIT.as_secs()
    )]
    TimedOut,
}

fn with_cause(error: &ReadError) -> String {
    match error {
        ReadError::Io { source, .. } => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}
