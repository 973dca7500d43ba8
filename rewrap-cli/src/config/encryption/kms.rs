//! KMS providers: their rules, and where their sockets are.

use std::{collections::HashSet, fmt, os::unix::ffi::OsStringExt, path::PathBuf, time::Duration};

use super::{
    ParseOptions,
    decode::{Path, Report},
    error::Problem,
    schema::{Kms, Nanoseconds},
};
use crate::{
    config::{go, yaml::Text},
    stored::{KmsName, Provider},
};

/// Kubernetes' default for an absent timeout.
const DEFAULT_TIMEOUT: Nanoseconds = Nanoseconds(3_000_000_000);

/// One `kms` element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsProvider {
    /// Its name, part of every value it protects.
    pub name: KmsName,
    /// The protocol it speaks.
    pub version: KmsVersion,
    /// Where it listens.
    pub endpoint: SocketAddress,
    /// How long one call may take; never zero.
    pub timeout: Duration,
}

/// The two KMS protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KmsVersion {
    /// A DEK, and a call, for every object.
    V1,
    /// A DEK source for many.
    V2,
}

/// The address of a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SocketAddress {
    /// A socket in the file system. Empty for an endpoint such as `unix:name`, which kube-apiserver
    /// accepts and can never reach.
    Path(PathBuf),
    /// A Linux abstract socket, without the leading `@`.
    Abstract(Vec<u8>),
}

impl SocketAddress {
    /// Reads an endpoint such as `unix:///run/kms.sock` or `unix:///@abstract`, as kube-apiserver does
    /// (`k8s.io/kms/pkg/util.ParseEndpoint`).
    ///
    /// # Errors
    /// If it is empty, no URL, or of another scheme than `unix`.
    pub fn from_endpoint(endpoint: &str) -> Result<Self, Problem> {
        if endpoint.is_empty() {
            return Err(Problem::Mandatory("endpoint", "kms"));
        }
        let url = go::url::parse(endpoint).map_err(Problem::Endpoint)?;
        if url.scheme != "unix" {
            return Err(Problem::EndpointScheme);
        }
        Ok(match url.path.strip_prefix(b"/@") {
            Some(name) => Self::Abstract(name.to_vec()),
            None => Self::Path(std::ffi::OsString::from_vec(url.path).into()),
        })
    }
}

impl SocketAddress {
    /// Whether kube-apiserver can connect to it. Its gRPC library takes the unescaped path for the rest
    /// of another URL, in which a percent sign is an escape again (`grpc.Dial`).
    fn check_dial(&self) -> Result<(), &'static str> {
        let target = match self {
            Self::Path(path) => path.to_string_lossy().into_owned(),
            Self::Abstract(name) => format!("@{}", String::from_utf8_lossy(name)),
        };
        go::url::parse(&format!("passthrough:///{target}")).map(drop)
    }
}

impl fmt::Display for SocketAddress {
    /// The path; an abstract name with its `@`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Abstract(name) => write!(f, "@{}", name.escape_ascii()),
        }
    }
}

impl KmsProvider {
    /// What it is in the rule of a resource.
    pub(super) fn transformer(&self) -> Provider {
        match self.version {
            KmsVersion::V1 => Provider::KmsV1(KmsName::clone(&self.name)),
            KmsVersion::V2 => Provider::KmsV2(KmsName::clone(&self.name)),
        }
    }
}

/// A provider and where the file has it.
pub(super) struct FoundKms {
    pub(super) provider: KmsProvider,
    pub(super) path: String,
    pub(super) line: Option<u32>,
}

/// Checks one element against the names before it; None if anything was reported.
pub(super) fn validate(
    kms: &Kms,
    at: &Path<'_>,
    earlier_names: &HashSet<Text>,
    options: &ParseOptions,
    report: &mut Report,
) -> Option<FoundKms> {
    let version = match kms.api_version.expose() {
        "" | "v1" => Some(KmsVersion::V1),
        "v2" => Some(KmsVersion::V2),
        _ => None,
    };
    // What is not v1 is held to the rules of v2, an unknown version too.
    let is_v1 = version == Some(KmsVersion::V1);
    let name = kms.name.expose();
    if name.is_empty() {
        report.add(&at.field("name"), Problem::Mandatory("name", "provider"));
    }
    if !is_v1 && name.contains(':') {
        report.add(&at.field("name"), Problem::KmsName);
    }
    if (!is_v1 || options.automatic_reload) && earlier_names.contains(&kms.name) {
        report.add(&at.field("name"), Problem::DuplicateKmsName);
    }
    let Nanoseconds(timeout) = kms.timeout.unwrap_or(DEFAULT_TIMEOUT);
    if timeout <= 0 {
        report.add(&at.field("timeout"), Problem::Timeout);
    }
    let endpoint = SocketAddress::from_endpoint(kms.endpoint.expose())
        .map_err(|problem| report.add(&at.field("endpoint"), problem));
    match kms.cache_size {
        Some(_) if !is_v1 => report.add(&at.field("cachesize"), Problem::CacheSizeV2),
        Some(0) => report.add(&at.field("cachesize"), Problem::CacheSize),
        _ => {}
    }
    if version.is_none() {
        report.add(&at.field("apiVersion"), Problem::KmsApiVersion);
    }
    let provider = KmsProvider {
        name: name.into(),
        version: version?,
        endpoint: endpoint.ok()?,
        timeout: Duration::from_nanos(u64::try_from(timeout).ok()?),
    };
    Some(FoundKms {
        provider,
        path: at.to_string(),
        line: report.line(at),
    })
}

/// The loader's own rules: kms v1 needs its feature gate, and gRPC takes not every path.
pub(super) fn check_load(found: &[FoundKms], options: &ParseOptions, report: &mut Report) {
    let kms_v1 = options
        .kms_v1
        .unwrap_or_else(|| options.version.has_kms_v1());
    for FoundKms {
        provider,
        path,
        line,
    } in found
    {
        if provider.version == KmsVersion::V1 && !kms_v1 {
            report.push(path.clone(), *line, Problem::KmsV1Gate);
        }
        if let Err(reason) = provider.endpoint.check_dial() {
            report.push(path.clone(), *line, Problem::EndpointDial(reason));
        }
    }
}
