//! The configuration file: [`Config`] is what may be relied on, made only by parsing.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use kms_proto::KeyId;

use crate::{
    file::{self, ReadError},
    root::local,
    socket::{self, Peers},
};

mod group;
mod roots;
mod written;
mod yaml;

pub use roots::{RootConfig, UnderRootsConfig};
pub use yaml::YamlError;

/// `apiVersion` of every document of this project.
pub const API_VERSION: &str = "ringfence.dev/v1alpha1";
const KIND: &str = "KmsPluginConfiguration";

/// The longest configuration file, in bytes.
const MAX_FILE_LEN: u64 = 256 * 1024;
const MAX_CONTEXT_LEN: usize = 253;
const MAX_NAME_LEN: usize = 64;
const DEFAULT_HTTP: &str = "127.0.0.1:8082";
const DEFAULT_MODE: &str = "0600";
const DEFAULT_STATE_DIRECTORY: &str = "/var/lib/kms-plugin";
const DEFAULT_POLL_INTERVAL: &str = "10s";
const SHORTEST_POLL_INTERVAL: Duration = Duration::from_millis(50);
const LONGEST_POLL_INTERVAL: Duration = Duration::from_secs(3600);

/// The settings of the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What a reload cannot change.
    pub fixed: Fixed,
    /// The KEKs: the first wraps, all unwrap. Never empty; names are unique.
    pub keks: Vec<KekConfig>,
    /// What the one KEK needs whose local KEKs roots wrap, if there is one.
    pub under_roots: Option<UnderRootsConfig>,
}

/// The settings that hold from start to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// Chosen by the operator and bound into every ciphertext.
    pub context: String,
    /// Where kube-apiserver connects.
    pub socket: socket::Config,
    /// Where `/livez`, `/readyz` and `/metrics` are served: a loopback address.
    pub http: SocketAddr,
    /// How often the files are looked at.
    pub poll_interval: Duration,
    /// Where wrapped local KEKs are kept, if there are roots.
    pub state_directory: PathBuf,
}

/// One KEK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KekConfig {
    /// What people call it.
    pub name: String,
    /// The key id it must turn out to have.
    pub pinned: Option<KeyId>,
    /// The epoch it wraps under: 1 to [`local::MAX_EPOCH`].
    pub epoch: u32,
    /// Where it lives.
    pub source: KekSource,
}

/// Where a KEK lives.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KekSource {
    /// In a key file on this machine.
    Local(local::Config),
    /// In roots, which wrap local KEKs: [`Config::under_roots`].
    UnderRoots,
}

/// Reads the text of a configuration file, on which nobody but root and ourselves may have a say:
/// it names the keys and who may use them.
///
/// # Errors
/// The file may be written by others, cannot be read, or is no text.
pub fn read_text(path: &Path) -> Result<String, ConfigError> {
    let bytes = file::read(path, 0o022, MAX_FILE_LEN).map_err(ConfigError::Read)?;
    match str::from_utf8(&bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(ConfigError::NotText),
    }
}

impl FromStr for Config {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let written::File {
            api_version,
            kind,
            context,
            socket,
            roots,
            keks,
            state_directory,
            offline_grace,
            sealed_copies,
            http,
            reload,
        } = yaml::parse(text)?;
        require(api_version == API_VERSION, "apiVersion", || {
            format!("must be {API_VERSION}")
        })?;
        require(kind == KIND, "kind", || format!("must be {KIND}"))?;
        require(is_label(&context, MAX_CONTEXT_LEN), "context", || {
            format!(
                "must have 1 to {MAX_CONTEXT_LEN} printable ASCII characters and no space at either end"
            )
        })?;

        let fixed = Fixed {
            context,
            socket: socket_config(socket)?,
            http: http_address(http)?,
            poll_interval: poll_interval(reload)?,
            state_directory: absolute(
                state_directory.unwrap_or_else(|| DEFAULT_STATE_DIRECTORY.into()),
                "stateDirectory",
            )?,
        };
        require(!keks.is_empty(), "keks", || {
            "must list at least one KEK".to_owned()
        })?;
        let under_roots = roots::config(roots, &keks, offline_grace, sealed_copies)?;
        let keks: Vec<_> = keks
            .into_iter()
            .enumerate()
            .map(|(index, kek)| kek_config(index, kek))
            .collect::<Result<_, _>>()?;
        let mut names = BTreeSet::new();
        for (index, kek) in keks.iter().enumerate() {
            require(
                names.insert(&kek.name),
                format!("keks[{index}].name"),
                || "names another KEK already".to_owned(),
            )?;
        }
        Ok(Self {
            fixed,
            keks,
            under_roots,
        })
    }
}

fn socket_config(written: written::Socket) -> Result<socket::Config, ConfigError> {
    let written::Socket {
        path,
        mode,
        group,
        allowed_uids,
        allowed_gids,
        allow_overflow_id,
    } = written;
    let mode = mode.as_deref().unwrap_or(DEFAULT_MODE);
    let mode = u32::from_str_radix(mode, 8)
        .ok()
        .filter(|mode| mode & !0o666 == 0 && mode & 0o600 == 0o600);
    let uids: BTreeSet<u32> = allowed_uids.map_or_else(Peers::default_uids, BTreeSet::from_iter);
    let gids = BTreeSet::from_iter(allowed_gids);
    for (ids, field) in [(&uids, "socket.allowedUids"), (&gids, "socket.allowedGids")] {
        require(
            allow_overflow_id || !ids.contains(&Peers::OVERFLOW_ID),
            field,
            || {
                "65534 is what every id looks like that a user namespace cannot map; add `allowOverflowId: true` if you mean it".to_owned()
            },
        )?;
    }
    Ok(socket::Config {
        path: absolute(path, "socket.path")?,
        mode: mode.ok_or_else(|| {
            field("socket.mode", "must be octal, give the owner read and write, and be within 0666, such as \"0600\" or \"0660\"")
        })?,
        group: group
            .map(|group| group::resolve(&group).map_err(|reason| field("socket.group", reason)))
            .transpose()?,
        peers: Peers {
            uids,
            gids,
            allow_overflow_id,
        },
    })
}

fn http_address(written: Option<written::Http>) -> Result<SocketAddr, ConfigError> {
    let address = written.and_then(|http| http.address);
    address
        .as_deref()
        .unwrap_or(DEFAULT_HTTP)
        .parse()
        .ok()
        .filter(|address: &SocketAddr| address.ip().is_loopback())
        .ok_or_else(|| {
            field(
                "http.address",
                format!("must be a loopback address with a port, such as {DEFAULT_HTTP}"),
            )
        })
}

fn poll_interval(written: Option<written::Reload>) -> Result<Duration, ConfigError> {
    let text = written.and_then(|reload| reload.poll_interval);
    duration(text.as_deref().unwrap_or(DEFAULT_POLL_INTERVAL))
        .filter(|duration| (SHORTEST_POLL_INTERVAL..=LONGEST_POLL_INTERVAL).contains(duration))
        .ok_or_else(|| {
            field(
                "reload.pollInterval",
                "must be a number and ms, s, m or h, from 50ms to 1h, such as 10s",
            )
        })
}

fn kek_config(index: usize, written: written::Kek) -> Result<KekConfig, ConfigError> {
    let written::Kek {
        name,
        key_id,
        epoch,
        local,
        wrap_with,
        write_quorum: _,
    } = written;
    let at = |name: &str| format!("keks[{index}].{name}");
    require(is_label(&name, MAX_NAME_LEN), at("name"), || {
        format!(
            "must have 1 to {MAX_NAME_LEN} printable ASCII characters and no space at either end"
        )
    })?;
    let epoch = epoch.unwrap_or(1);
    require((1..=local::MAX_EPOCH).contains(&epoch), at("epoch"), || {
        format!("must be from 1 to {}", local::MAX_EPOCH)
    })?;
    let source = match (local, wrap_with) {
        (Some(written::Local { key_file }), None) => KekSource::Local(local::Config {
            key_file: absolute(key_file, at("local.keyFile"))?,
        }),
        (None, Some(_)) => {
            require(key_id.is_none(), at("keyId"), || {
                "is for a key file: the key id of roots moves with the versions of their keys"
                    .to_owned()
            })?;
            KekSource::UnderRoots
        }
        _ => {
            return Err(field(
                format!("keks[{index}]"),
                "must say where the KEK lives, either `local: {keyFile: ...}` or `wrapWith: [NAME OF A ROOT]`",
            ));
        }
    };
    Ok(KekConfig {
        name,
        pinned: key_id.map(|id| id.parse()).transpose().map_err(|_| {
            field(
                at("keyId"),
                format!("must have 1 to {} bytes", KeyId::MAX_LEN),
            )
        })?,
        epoch,
        source,
    })
}

pub(crate) fn absolute(path: PathBuf, at: impl Into<String>) -> Result<PathBuf, ConfigError> {
    require(path.is_absolute(), at, || {
        "must be an absolute path".to_owned()
    })?;
    Ok(path)
}

/// Printable ASCII, so that what an operator sees is what is bound into ciphertexts.
pub(crate) fn is_label(text: &str, max_len: usize) -> bool {
    (1..=max_len).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && text.trim() == text
}

pub(crate) fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    match &text[digits.len()..] {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        "h" => Some(Duration::from_secs(number.checked_mul(3600)?)),
        _ => None,
    }
}

pub(crate) fn require(
    holds: bool,
    at: impl Into<String>,
    reason: impl FnOnce() -> String,
) -> Result<(), ConfigError> {
    if holds {
        Ok(())
    } else {
        Err(field(at, reason()))
    }
}

pub(crate) fn field(at: impl Into<String>, reason: impl Into<String>) -> ConfigError {
    ConfigError::Field {
        field: at.into(),
        reason: reason.into(),
    }
}

/// Why a configuration is refused. Never quotes the file: it might be a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A field says something that cannot be.
    #[error("{field}: {reason}")]
    Field {
        /// Where in the file, such as `keks[1].epoch`.
        field: String,
        /// What it must be.
        reason: String,
    },
    /// The file is no UTF-8 text.
    #[error("the file is no text; is it a key?")]
    NotText,
    /// The file may not, or cannot, be read.
    #[error(transparent)]
    Read(ReadError),
    /// The text is no YAML of the right shape.
    #[error(transparent)]
    Yaml(#[from] YamlError),
}

#[cfg(test)]
mod tests;
