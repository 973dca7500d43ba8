//! Reading one object back through an apiserver: the only question this program ever asks one.

mod credentials;
mod kubeconfig;

use std::{fmt, sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{
    Request, StatusCode, Uri,
    body::Bytes,
    header::{ACCEPT, AUTHORIZATION, HeaderValue},
};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::ClientConfig;
use serde::{Deserialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::config::ReadError;

pub use credentials::Credentials;
pub use kubeconfig::KubeconfigError;

/// How long one apiserver may take for one object.
const TIMEOUT: Duration = Duration::from_secs(15);

/// No object is larger: etcd's own limit for a request is 1.5 MiB by default, JSON a little more
/// than protobuf.
const MAX_BODY: usize = 32 * 1024 * 1024;

/// One apiserver.
pub struct Apiserver {
    url: String,
    bearer: Option<HeaderValue>,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl Apiserver {
    /// Prepares for questions to `url`; connects when one is asked.
    ///
    /// # Errors
    /// Credentials that TLS does not take.
    pub fn new(url: &str, credentials: &Credentials) -> Result<Self, ApiserverError> {
        let Credentials {
            bearer,
            client,
            roots,
        } = credentials;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(ApiserverError::Tls)?
            .with_root_certificates(Arc::clone(roots));
        let tls = match client {
            Some((chain, key)) => tls
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(ApiserverError::Tls)?,
            None => tls.with_no_client_auth(),
        };
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .build();
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            bearer: bearer.clone(),
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The resource version under which this apiserver reads the object at `path`
    /// (`/api/v1/namespaces/default/secrets/example`): etcd's modification revision.
    ///
    /// # Errors
    /// Whatever kept the apiserver from reading it, in its own words where it has any.
    pub async fn resource_version(&self, path: &str) -> Result<String, ApiserverError> {
        let object: AnyObject = self.get(path).await?;
        Ok(object.metadata.resource_version)
    }

    /// The versions in which this apiserver serves an API group, such as `apps/v1`; none where it
    /// does not serve the group.
    ///
    /// # Errors
    /// Whatever kept the apiserver from answering.
    pub async fn group_versions(&self, group: &str) -> Result<Vec<String>, ApiserverError> {
        match self.get::<ApiGroup>(&format!("/apis/{group}")).await {
            Ok(ApiGroup { versions }) => Ok(versions
                .into_iter()
                .map(|version| version.group_version)
                .collect()),
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiserverError> {
        let uri: Uri = format!("{}{path}", self.url)
            .parse()
            .map_err(|_| ApiserverError::Url(self.url.clone()))?;
        let mut request = Request::get(uri).header(ACCEPT, "application/json");
        if let Some(bearer) = &self.bearer {
            request = request.header(AUTHORIZATION, bearer.clone());
        }
        let request = request
            .body(Empty::new())
            .map_err(|_| ApiserverError::Url(self.url.clone()))?;
        let unreachable = |source| ApiserverError::Unreachable {
            url: self.url.clone(),
            source,
        };
        let answer = async {
            let response = self.client.request(request).await;
            let response = response.map_err(|source| unreachable(source.into()))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
            let body = body.map_err(unreachable)?.to_bytes();
            Ok::<_, ApiserverError>((status, Zeroizing::new(body.to_vec())))
        };
        let (status, body) = tokio::time::timeout(TIMEOUT, answer)
            .await
            .map_err(|_| ApiserverError::Timeout(self.url.clone()))??;
        self.judge(status, &body)
    }

    fn judge<T: DeserializeOwned>(
        &self,
        status: StatusCode,
        body: &[u8],
    ) -> Result<T, ApiserverError> {
        let refused = |message: String| ApiserverError::Refused {
            url: self.url.clone(),
            status: status.as_u16(),
            message,
        };
        if status != StatusCode::OK {
            let message =
                serde_json::from_slice::<StatusMessage>(body).map(|status| status.message);
            return Err(refused(
                message.unwrap_or_else(|_| "without a reason".to_owned()),
            ));
        }
        serde_json::from_slice(body)
            .map_err(|_| refused("with something that is not what was asked for".to_owned()))
    }
}

impl ApiserverError {
    /// Whether the apiserver says that there is no such object, or no such API.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}

impl fmt::Debug for Apiserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Apiserver")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct StatusMessage {
    message: String,
}

#[derive(Deserialize)]
struct ApiGroup {
    versions: Vec<GroupVersion>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupVersion {
    group_version: String,
}

#[derive(Deserialize)]
struct AnyObject {
    metadata: AnyMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyMetadata {
    resource_version: String,
}

/// Why an apiserver could not be asked, or what it answered instead of the object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiserverError {
    /// A file of credentials could not be read.
    #[error(transparent)]
    File(#[from] ReadError),
    /// The kubeconfig is no good.
    #[error("the kubeconfig cannot be used")]
    Kubeconfig(#[from] KubeconfigError),
    /// A file that should hold certificates holds none.
    #[error("no certificate in PEM form found where one was expected")]
    NoCertificate,
    /// A file that should hold a private key holds none.
    #[error("no private key in PEM form found where one was expected")]
    NoKey,
    /// It reads an older value than the one in our etcd.
    #[error("{url} does not see what was written; does it use another etcd or prefix?")]
    OtherStore {
        /// The apiserver.
        url: String,
    },
    /// It answered, but not with the object.
    #[error("{url} answered {status}: {message}")]
    Refused {
        /// The apiserver.
        url: String,
        /// The HTTP status.
        status: u16,
        /// Its own words.
        message: String,
    },
    /// No answer in time.
    #[error("{0} did not answer within {limit} s", limit = TIMEOUT.as_secs())]
    Timeout(String),
    /// TLS refused the credentials.
    #[error("the credentials for the apiservers cannot be used for TLS")]
    Tls(#[source] rustls::Error),
    /// A token with characters no header may have.
    #[error("the token for the apiservers has characters that no token has")]
    Token,
    /// No connection.
    #[error("cannot reach {url}")]
    Unreachable {
        /// The apiserver.
        url: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Not a URL.
    #[error("{0:?} is no https:// URL of an apiserver")]
    Url(String),
}
