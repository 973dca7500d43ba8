use std::{fs, net::Ipv6Addr, path::Path, str::FromStr, time::Duration};

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
    let uri = parse(endpoint, tls.is_some())?;
    let name = uri.to_string().trim_end_matches('/').to_owned();
    let mut builder = Endpoint::from(uri.clone())
        .connect_timeout(connect_timeout)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    match (uri.scheme_str(), tls) {
        (Some("https"), tls) => {
            let tls = tls
                .cloned()
                .unwrap_or_else(|| ClientTlsConfig::new().with_native_roots())
                .domain_name(server_name(&uri))
                .timeout(connect_timeout);
            builder = builder.tls_config(tls).map_err(StoreError::TlsFiles)?;
        }
        (_, Some(_)) => return Err(StoreError::TlsOverHttp(name)),
        (_, None) => {}
    }
    Ok(Member {
        channel: builder.connect_lazy(),
        name,
    })
}

/// As etcdctl reads it: without a scheme, TLS files decide.
fn parse(endpoint: &str, with_tls: bool) -> Result<Uri, StoreError> {
    let refuse = |reason| StoreError::Endpoint {
        endpoint: endpoint.to_owned(),
        reason,
    };
    let text = match (endpoint.contains("://"), with_tls) {
        (true, _) => endpoint.to_owned(),
        (false, true) => format!("https://{endpoint}"),
        (false, false) => format!("http://{endpoint}"),
    };
    let uri = Uri::from_str(&text).map_err(|_| refuse("is no URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(refuse("is neither http nor https"));
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
    Ok(uri)
}

/// The name that the server's certificate must bear; an IPv6 address loses its brackets.
fn server_name(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    host.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .filter(|address| Ipv6Addr::from_str(address).is_ok())
        .unwrap_or(host)
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
        let scheme = |endpoint, tls| {
            parse(endpoint, tls)
                .map(|uri| uri.scheme_str().unwrap().to_owned())
                .map_err(|error| error.to_string())
        };
        assert_eq!(scheme("127.0.0.1:2379", false).unwrap(), "http");
        assert_eq!(scheme("127.0.0.1:2379", true).unwrap(), "https");
        assert_eq!(scheme("https://[::1]:2379/", false).unwrap(), "https");
        for (bad, reason) in [
            ("", "no URL"),
            ("unix:///run/etcd.sock", "no URL"),
            ("ftp://host:1", "neither http nor https"),
            ("http://host", "names no port"),
            ("http://root:hunter2@host:2379", "holds a user"),
            ("http://host:2379/v3", "has a path"),
        ] {
            let error = scheme(bad, false).unwrap_err();
            assert!(error.contains(reason), "{bad}: {error}");
        }
    }

    #[test]
    fn the_certificate_must_name_the_host() {
        let name = |text: &str| server_name(&text.parse().unwrap()).to_owned();
        assert_eq!(name("https://[::1]:2379"), "::1");
        assert_eq!(name("https://10.0.0.1:2379"), "10.0.0.1");
        assert_eq!(name("https://etcd.local:2379"), "etcd.local");
    }
}
