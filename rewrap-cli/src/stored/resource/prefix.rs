use std::{convert::Infallible, fmt, str::FromStr};

/// What kube-apiserver puts before all of its keys: `--etcd-prefix`.
///
/// Always begins with `/` and never ends with one, whatever was typed
/// (`k8s.io/apiserver/pkg/storage/etcd3/store.go`): `registry` is `/registry`. The root is empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EtcdPrefix(Box<str>);

impl EtcdPrefix {
    /// What every key begins with, up to and including the slash before the resource: the start of
    /// a range over everything. Its end is the same with the last byte raised by one.
    pub fn directory(&self) -> String {
        format!("{}/", self.0)
    }

    /// The part of a key behind the prefix and its slash; `None` for a key of somebody else.
    pub(super) fn strip<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        key.strip_prefix(self.0.as_bytes())?.strip_prefix(b"/")
    }
}

impl Default for EtcdPrefix {
    fn default() -> Self {
        Self("/registry".into())
    }
}

impl FromStr for EtcdPrefix {
    type Err = Infallible;

    /// Cleans a path as Go's `path.Join("/", path)` does.
    fn from_str(path: &str) -> Result<Self, Self::Err> {
        let mut segments = Vec::new();
        for segment in path.split('/') {
            match segment {
                "" | "." => {}
                ".." => drop(segments.pop()),
                segment => segments.push(segment),
            }
        }
        Ok(Self(
            segments
                .iter()
                .flat_map(|segment| ["/", segment])
                .collect::<String>()
                .into(),
        ))
    }
}

/// The prefix itself, `/` for the root.
impl fmt::Display for EtcdPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "/" } else { &self.0 })
    }
}
