//! The manifest of kube-apiserver's static pod: where its etcd is, and which files it reads.

mod flags;
mod mounts;
mod variables;

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use self::{flags::Flags, mounts::Mounts};
use super::{
    KubernetesVersion,
    yaml::{self, Node, SyntaxError},
};
use crate::stored::GroupResource;

pub(crate) use flags::feature_gate;

/// What kube-apiserver is started with. Files are host paths, mapped through the pod's volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// `--etcd-servers`: URLs.
    pub etcd_servers: Vec<String>,
    /// `--etcd-servers-overrides`: resources that live elsewhere.
    pub etcd_overrides: Vec<EtcdOverride>,
    /// `--etcd-prefix`, `/registry` by default.
    pub etcd_prefix: String,
    /// `--etcd-cafile`.
    pub etcd_ca_file: Option<PathBuf>,
    /// `--etcd-certfile`.
    pub etcd_cert_file: Option<PathBuf>,
    /// `--etcd-keyfile`.
    pub etcd_key_file: Option<PathBuf>,
    /// `--encryption-provider-config`.
    pub encryption_config: Option<PathBuf>,
    /// `--encryption-provider-config-automatic-reload`.
    pub automatic_reload: bool,
    /// `KMSv1` of `--feature-gates`, where it is set.
    pub kms_v1: Option<bool>,
    /// The release in the tag of the image, where it is one whose rules are known.
    pub version: Option<KubernetesVersion>,
    mounts: Mounts,
}

/// A resource with an etcd of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdOverride {
    /// The resource.
    pub resource: GroupResource,
    /// URLs.
    pub servers: Vec<String>,
}

impl FromStr for EtcdOverride {
    type Err = MalformedOverride;

    /// Takes `group/resource#url;url` (`ParseEtcdServersOverrides`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, servers) = text.split_once('#').ok_or(MalformedOverride)?;
        let (group, resource) = name.split_once('/').ok_or(MalformedOverride)?;
        let servers: Vec<_> = servers.split(';').map(str::to_owned).collect();
        let plain = !resource.contains('/') && !text.replacen('#', "", 1).contains('#');
        match plain && !servers.iter().any(String::is_empty) {
            true => Ok(Self {
                resource: GroupResource::new(resource, group),
                servers,
            }),
            false => Err(MalformedOverride),
        }
    }
}

/// A text is no [`EtcdOverride`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not of the form group/resource#url;url")]
pub struct MalformedOverride;

impl Manifest {
    /// Reads a manifest as the kubelet and kube-apiserver do: its first YAML document or JSON, variables
    /// of the container filled in, flags in `command` and `args` as `--flag=value` or `--flag value`,
    /// with dashes or underscores. Of repeated flags the last one counts; lists add up.
    ///
    /// # Errors
    /// If this is no pod that runs kube-apiserver, a flag cannot be understood, or a file it names is
    /// on no hostPath volume. No error repeats anything of the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let pod = yaml::parse(bytes)?.root;
        if pod.get("kind").and_then(Node::as_str) != Some("Pod") {
            return Err(ManifestError::NotAPod);
        }
        let spec = pod.get("spec").ok_or(ManifestError::NoApiserver)?;
        let containers = spec.get("containers").map_or(&[][..], Node::elements);
        let container = flags::apiserver(containers).ok_or(ManifestError::NoApiserver)?;
        let flags = Flags::read(container)?;
        let mounts = Mounts::read(spec, container);
        let file = |flag| match flags.text(flag)?.filter(|path| !path.is_empty()) {
            Some(path) => {
                let host = mounts.host_path(Path::new(path));
                host.map(Some)
                    .map_err(|unmapped| ManifestError::Unmapped { flag, unmapped })
            }
            None => Ok(None),
        };
        Ok(Self {
            etcd_servers: flags.list("etcd-servers")?,
            etcd_overrides: overrides(&flags)?,
            etcd_prefix: flags.text("etcd-prefix")?.unwrap_or("/registry").to_owned(),
            etcd_ca_file: file("etcd-cafile")?,
            etcd_cert_file: file("etcd-certfile")?,
            etcd_key_file: file("etcd-keyfile")?,
            encryption_config: file("encryption-provider-config")?,
            automatic_reload: flags.bool("encryption-provider-config-automatic-reload")?,
            kms_v1: flags.feature_gate("KMSv1")?,
            version: container
                .get("image")
                .and_then(Node::as_str)
                .and_then(version),
            mounts,
        })
    }

    /// Where the host has a file of the container, such as the socket of a KMS plugin.
    ///
    /// # Errors
    /// If no hostPath volume of the pod holds it.
    pub fn host_path(&self, path: &Path) -> Result<PathBuf, Unmapped> {
        self.mounts.host_path(path)
    }
}

/// `group/resource#url;url`, separated by commas.
fn overrides(flags: &Flags) -> Result<Vec<EtcdOverride>, ManifestError> {
    let flag = "etcd-servers-overrides";
    let parse = |text: &String| text.parse().map_err(|_| ManifestError::Value(flag));
    flags.list(flag)?.iter().map(parse).collect()
}

fn version(image: &str) -> Option<KubernetesVersion> {
    let (image, _digest) = image.split_once('@').unwrap_or((image, ""));
    image.rsplit_once(':')?.1.parse().ok()
}

/// Why a manifest says nothing that can be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Neither JSON nor YAML.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// Another kind of object.
    #[error("the manifest is no Pod")]
    NotAPod,
    /// No container of the pod runs kube-apiserver.
    #[error(
        "no container of the pod runs kube-apiserver; give the flags one by one if it is started by a script"
    )]
    NoApiserver,
    /// An element of `command` or `args` that is no string.
    #[error("the command or args of kube-apiserver hold something that is no string")]
    NotAString,
    /// A flag without its value.
    #[error("--{0} of kube-apiserver has no value")]
    NoValue(&'static str),
    /// A value that kube-apiserver would refuse.
    #[error("--{0} of kube-apiserver has a value that it does not take")]
    Value(&'static str),
    /// A value that only the kubelet knows.
    #[error(
        "--{0} of kube-apiserver refers to a variable whose value is not in the manifest; give it to rewrap as a flag"
    )]
    Variable(&'static str),
    /// A file of the container that the host does not have.
    #[error("the file of --{flag} cannot be found on this host: {unmapped}")]
    Unmapped {
        /// The flag, without dashes.
        flag: &'static str,
        /// Why.
        unmapped: Unmapped,
    },
}

/// Why a file of the container has no path on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unmapped {
    /// Relative, or with `..` in it.
    #[error("its path in the container is not absolute and plain")]
    NotPlain,
    /// On none of the volumes.
    #[error("no volume of the pod is mounted over it")]
    NotMounted,
    /// On another volume than a directory or file of the host.
    #[error("its volume is no hostPath, or is mounted with subPathExpr")]
    NotHostPath,
}

#[cfg(test)]
mod tests;
