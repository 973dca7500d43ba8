//! Paths of a container to paths of its host.

use std::path::{Component, Path, PathBuf};

use super::Unmapped;
use crate::config::yaml::Node;

/// The volumes of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mounts(Vec<Mount>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    container: PathBuf,
    /// None if no path of the host is behind it.
    host: Option<PathBuf>,
}

impl Mounts {
    pub(super) fn read(spec: &Node, container: &Node) -> Self {
        let volumes = spec.get("volumes").map_or(&[][..], Node::elements);
        let mounts = container
            .get("volumeMounts")
            .map_or(&[][..], Node::elements);
        let mounts = mounts.iter().filter_map(|mount| {
            let text = |field| mount.get(field).and_then(Node::as_str);
            let name = text("name")?;
            let host = volumes
                .iter()
                .find(|volume| volume.get("name").and_then(Node::as_str) == Some(name))
                .and_then(|volume| volume.get("hostPath")?.get("path")?.as_str())
                .filter(|_| text("subPathExpr").is_none_or(str::is_empty))
                .map(|path| {
                    join(
                        Path::new(path),
                        Path::new(text("subPath").unwrap_or_default()),
                    )
                });
            Some(Mount {
                container: text("mountPath")?.into(),
                host,
            })
        });
        Self(mounts.collect())
    }

    pub(super) fn host_path(&self, path: &Path) -> Result<PathBuf, Unmapped> {
        let plain = path
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        if !path.is_absolute() || !plain {
            return Err(Unmapped::NotPlain);
        }
        let (mount, rest) = self
            .0
            .iter()
            .filter_map(|mount| Some((mount, path.strip_prefix(&mount.container).ok()?)))
            .max_by_key(|(mount, _)| mount.container.components().count())
            .ok_or(Unmapped::NotMounted)?;
        let host = mount.host.as_ref().ok_or(Unmapped::NotHostPath)?;
        Ok(join(host, rest))
    }
}

/// Joins without a trailing slash where nothing follows: the host path may be a file.
fn join(path: &Path, rest: &Path) -> PathBuf {
    path.components().chain(rest.components()).collect()
}
