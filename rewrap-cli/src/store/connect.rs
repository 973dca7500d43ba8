use std::{
    fmt, fs,
    net::Ipv6Addr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::{
    codegen::http::Uri,
    transport::{Certificate, ClientTlsConfig, Endpoint, Identity},
};

use super::{Member, StoreConfig, StoreError, TlsFiles};

/// HTTP/2 windows, in bytes. The 64 KiB of the standard would stop a page of several MiB every few
/// frames to wait for the client.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// How often an unanswered connection is pinged, and how long the answer may take. Without it a
/// connection to a host that is gone would live until TCP gives up. etcd closes connections that
/// ping more often than every 5 s (`--grpc-keepalive-min-time`).
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// One lazy connection for each endpoint; nothing is sent yet.
pub(super) fn members(config: &StoreConfig) -> Result<Vec<Member>, StoreError> {
    if config.endpoints.is_empty() {
        return Err(StoreError::Endpoint {
            endpoint: String::new(),
            reason: "is missing",
        });
    }
    let tls = client_tls(&config.tls)?;
    config
        .endpoints
        .iter()
        .map(|endpoint| member(endpoint, tls.as_ref(), config.connect_timeout))
        .collect()
}

fn member(
    endpoint: &str,
    tls: Option<&ClientTlsConfig>,
    connect_timeout: Duration,
) -> Result<Member, StoreError> {
    let address = Address::parse(endpoint, tls.is_some())?;
    let name = address.to_string();
    let mut builder = Endpoint::from(address.uri())
        .connect_timeout(connect_timeout)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    match (address.is_tls(), tls) {
        (true, tls) => {
            let tls = tls
                .cloned()
                .unwrap_or_else(|| ClientTlsConfig::new().with_native_roots())
                .domain_name(address.server_name())
                .timeout(connect_timeout);
            builder = builder.tls_config(tls).map_err(StoreError::TlsFiles)?;
        }
        (false, Some(_)) => return Err(StoreError::TlsOverHttp(name)),
        (false, None) => {}
    }
    Ok(Member {
        tls: address.is_tls(),
        channel: match address {
            Address::Tcp(_) => builder.connect_lazy(),
            Address::Socket { path, .. } => {
                builder.connect_with_connector_lazy(tower::service_fn(move |_| {
                    let path = path.clone();
                    async move { UnixStream::connect(path).await.map(TokioIo::new) }
                }))
            }
        },
        name,
    })
}

/// Where a member listens.
#[derive(Debug)]
enum Address {
    Tcp(Uri),
    Socket { path: PathBuf, tls: bool },
}

impl Address {
    /// As etcdctl reads it: without a scheme, TLS files decide; `unix:` is a socket, `unixs:` one
    /// with TLS.
    fn parse(endpoint: &str, with_tls: bool) -> Result<Self, StoreError> {
        let refuse = |reason| StoreError::Endpoint {
            endpoint: endpoint.to_owned(),
            reason,
        };
        for (scheme, tls) in [("unix:", false), ("unixs:", true)] {
            if let Some(rest) = endpoint.strip_prefix(scheme) {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path.is_empty() || path.ends_with('/') {
                    return Err(refuse("names no socket"));
                }
                let path = path.into();
                return Ok(Self::Socket { path, tls });
            }
        }
        let text = match (endpoint.contains("://"), with_tls) {
            (true, _) => endpoint.to_owned(),
            (false, true) => format!("https://{endpoint}"),
            (false, false) => format!("http://{endpoint}"),
        };
        let uri = Uri::from_str(&text).map_err(|_| refuse("is no URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(refuse("is neither http, https, unix nor unixs"));
        }
        if uri.authority().is_some_and(|a| a.as_str().contains('@')) {
            return Err(refuse("holds a user, which would show in messages"));
        }
        if uri.port().is_none() {
            return Err(refuse("names no port"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(refuse("has a path"));
        }
        Ok(Self::Tcp(uri))
    }

    fn is_tls(&self) -> bool {
        match self {
            Self::Tcp(uri) => uri.scheme_str() == Some("https"),
            Self::Socket { tls, .. } => *tls,
        }
    }

    /// What HTTP/2 is told. A socket has no host; `localhost` is what gRPC puts in its place.
    fn uri(&self) -> Uri {
        match self {
            Self::Tcp(uri) => uri.clone(),
            Self::Socket { tls: false, .. } => Uri::from_static("http://localhost"),
            Self::Socket { tls: true, .. } => Uri::from_static("https://localhost"),
        }
    }

    /// The name that the server's certificate must bear; an IPv6 address loses its brackets. For a
    /// socket it is the name of its file, as for etcd's own clients.
    fn server_name(&self) -> String {
        match self {
            Self::Tcp(uri) => {
                let host = uri.host().unwrap_or_default();
                host.strip_prefix('[')
                    .and_then(|rest| rest.strip_suffix(']'))
                    .filter(|address| Ipv6Addr::from_str(address).is_ok())
                    .unwrap_or(host)
                    .to_owned()
            }
            Self::Socket { path, .. } => path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(uri) => f.write_str(uri.to_string().trim_end_matches('/')),
            Self::Socket { path, tls: false } => write!(f, "unix://{}", path.display()),
            Self::Socket { path, tls: true } => write!(f, "unixs://{}", path.display()),
        }
    }
}

/// `None` where no TLS file is given.
fn client_tls(files: &TlsFiles) -> Result<Option<ClientTlsConfig>, StoreError> {
    let TlsFiles { ca, cert, key } = files;
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some(Identity::from_pem(read(cert)?, read(key)?)),
        (None, None) => None,
        _ => return Err(StoreError::HalfIdentity),
    };
    if ca.is_none() && identity.is_none() {
        return Ok(None);
    }
    let tls = match ca {
        Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    Ok(Some(match identity {
        Some(identity) => tls.identity(identity),
        None => tls,
    }))
}

fn read(path: &Path) -> Result<Vec<u8>, StoreError> {
    fs::read(path).map_err(|source| StoreError::File {
        path: path.into(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_as_etcdctl_reads_them() {
        let read = |endpoint, tls| {
            Address::parse(endpoint, tls)
                .map(|address| address.to_string())
                .map_err(|error| error.to_string())
        };
        for (endpoint, tls, expected) in [
            ("127.0.0.1:2379", false, "http://127.0.0.1:2379"),
            ("127.0.0.1:2379", true, "https://127.0.0.1:2379"),
            ("https://[::1]:2379/", false, "https://[::1]:2379"),
            ("unix:///run/kine.sock", true, "unix:///run/kine.sock"),
            ("unixs:///run/kine.sock", false, "unixs:///run/kine.sock"),
            ("unix://kine.sock", false, "unix://kine.sock"),
            ("unix:/run/kine.sock", false, "unix:///run/kine.sock"),
        ] {
            assert_eq!(read(endpoint, tls).unwrap(), expected);
        }
        for (bad, reason) in [
            ("", "no URL"),
            ("unix://", "names no socket"),
            ("unixs:///run/", "names no socket"),
            ("ftp://host:1", "neither http, https"),
            ("http://host", "names no port"),
            ("http://root:hunter2@host:2379", "holds a user"),
            ("http://host:2379/v3", "has a path"),
        ] {
            let error = read(bad, false).unwrap_err();
            assert!(error.contains(reason), "{bad}: {error}");
        }
    }

    #[test]
    fn the_certificate_must_name_the_host() {
        let name = |text: &str| Address::parse(text, true).unwrap().server_name();
        assert_eq!(name("https://[::1]:2379"), "::1");
        assert_eq!(name("https://10.0.0.1:2379"), "10.0.0.1");
        assert_eq!(name("https://etcd.local:2379"), "etcd.local");
        assert_eq!(name("unixs:///run/kine.sock"), "kine.sock");
    }
}
