use std::{ffi::OsStr, fmt, os::unix::ffi::OsStrExt, path::PathBuf, str::FromStr};

/// Where a plugin listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A socket file.
    Path(PathBuf),
    /// A name in Linux' abstract namespace, without the `@`.
    Abstract(String),
}

impl Endpoint {
    /// What `connect(2)` wants: an abstract name begins with a NUL byte.
    pub(super) fn address(&self) -> PathBuf {
        match self {
            Self::Path(path) => path.clone(),
            Self::Abstract(name) => {
                let mut address = vec![0];
                address.extend_from_slice(name.as_bytes());
                OsStr::from_bytes(&address).into()
            }
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    /// Reads `unix:///run/kms.sock` and `unix:///@name` without percent-escapes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || EndpointError(text.to_owned());
        let path = text.strip_prefix("unix://").ok_or_else(refuse)?;
        match path.strip_prefix("/@") {
            Some(name) if !name.is_empty() => Ok(Self::Abstract(name.to_owned())),
            None if path.len() > 1 && path.starts_with('/') => Ok(Self::Path(path.into())),
            _ => Err(refuse()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "unix://{}", path.display()),
            Self::Abstract(name) => write!(f, "unix:///@{}", name.escape_default()),
        }
    }
}

/// A text that names no socket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no KMS endpoint; write it as unix:///run/kms.sock or, for an abstract socket, unix:///@name"
)]
pub struct EndpointError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_paths_or_abstract_names() {
        let path: Endpoint = "unix:///run/kms.sock".parse().unwrap();
        assert_eq!(path, Endpoint::Path("/run/kms.sock".into()));
        assert_eq!(path.to_string(), "unix:///run/kms.sock");
        let name: Endpoint = "unix:///@kms".parse().unwrap();
        assert_eq!(name, Endpoint::Abstract("kms".into()));
        assert_eq!(name.to_string(), "unix:///@kms");
        assert_eq!(name.address().as_os_str().as_bytes(), b"\0kms");
        for bad in [
            "",
            "/run/kms.sock",
            "unix://",
            "unix:///",
            "unix:///@",
            "unix://run/kms.sock",
            "tcp://a",
        ] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }
}
