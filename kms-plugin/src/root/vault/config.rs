use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr, time::Duration};

use hyper::{Uri, http::uri::Scheme};

mod written;

pub(crate) use written::Written;

/// The settings of a Vault root. Holds no secret, only the paths of files that do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The servers of one cluster, never none; asked one after the other until one answers.
    pub addresses: Vec<Address>,
    /// Where the engine is mounted: a namespace of Vault Enterprise or OpenBao.
    pub namespace: Option<ApiPath>,
    /// Where the engine is mounted within the namespace.
    pub mount: ApiPath,
    /// The name of the key.
    pub key: ApiPath,
    /// The CAs whose servers are trusted, in PEM; no others are. Read again for each call.
    pub ca_file: Option<PathBuf>,
    /// What to show a server that asks for a certificate. Read again for each call.
    pub client_certificate: Option<ClientCertificate>,
    /// How long one server may take for one answer.
    pub time_limit: Duration,
    /// How to get a token.
    pub auth: Auth,
}

/// A certificate chain and its key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The chain, the client's own certificate first.
    pub cert_file: PathBuf,
    /// The key, closed to others.
    pub key_file: PathBuf,
}

/// How to get a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// The namespace of the auth method.
    pub namespace: Option<ApiPath>,
    /// The method.
    pub method: LoginMethod,
}

/// An auth method, and where its credentials are. Files are read again for each login.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginMethod {
    /// An AppRole.
    AppRole {
        /// Where the method is mounted below `auth/`.
        mount: ApiPath,
        /// Who we are.
        role_id: RoleId,
        /// The secret of it, closed to others.
        secret_id_file: PathBuf,
    },
    /// The client certificate.
    Certificate {
        /// Where the method is mounted below `auth/`.
        mount: ApiPath,
        /// The role; without it, whichever takes the certificate.
        role: Option<String>,
    },
    /// A JWT that another program keeps fresh, such as a service account token. The method of Kubernetes is asked alike.
    Jwt {
        /// Where the method is mounted below `auth/`.
        mount: ApiPath,
        /// The role.
        role: String,
        /// The JWT.
        token_file: PathBuf,
    },
    /// A token that another program keeps fresh, such as Vault Agent. Read again for each call.
    TokenFile(PathBuf),
}

/// The id of an AppRole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleId {
    /// In a file.
    File(PathBuf),
    /// Itself: it is no secret.
    Text(String),
}

impl Config {
    /// What names the key among all keys of the cluster: `[NAMESPACE/]MOUNT/KEY`.
    pub(super) fn words(&self) -> String {
        let Self {
            namespace,
            mount,
            key,
            ..
        } = self;
        match namespace {
            Some(namespace) => format!("{namespace}/{mount}/{key}"),
            None => format!("{mount}/{key}"),
        }
    }
}

/// The base URL of a server: `https://HOST[:PORT]`, or http.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Box<str>);

impl Address {
    /// Whether nothing that is sent there is readable on a network: by TLS, or because it stays on this machine.
    pub fn is_private(&self) -> bool {
        if self.is_tls() {
            return true;
        }
        let uri: Option<Uri> = self.0.parse().ok();
        let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }

    /// Whether it is spoken to over TLS.
    pub fn is_tls(&self) -> bool {
        self.0.starts_with("https:")
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|_| AddressError)?;
        let known = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
        let authority = uri.authority().ok_or(AddressError)?;
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        if !known || !bare || authority.as_str().contains('@') || uri.host() == Some("") {
            return Err(AddressError);
        }
        Ok(Self(text.trim_end_matches('/').into()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text is no [`Address`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a URL without a path or a user, such as https://vault.example:8200")]
pub struct AddressError;

/// A mount, a namespace or the name of a key: parts of a path in the API that need no escaping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiPath(Box<str>);

impl ApiPath {
    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ApiPath {
    type Err = ApiPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = |part: &str| {
            part.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
                && part.bytes().any(|byte| byte != b'.')
        };
        if text.split('/').all(is_name) {
            Ok(Self(text.into()))
        } else {
            Err(ApiPathError)
        }
    }
}

impl fmt::Display for ApiPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text is no [`ApiPath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have letters, digits, `-`, `_` and `.`, with `/` between parts and at neither end")]
pub struct ApiPathError;
