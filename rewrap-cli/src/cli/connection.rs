use std::path::PathBuf;

use clap::Args;

use super::DekType;

/// How to reach etcd, the configuration and the KMS plugins.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// Client URLs of etcd.
    #[arg(
        long,
        visible_alias = "etcd-servers",
        env = "ETCDCTL_ENDPOINTS",
        value_delimiter = ',',
        value_name = "URL"
    )]
    pub endpoints: Vec<String>,
    /// Other etcds for single resources: `group/resource#url;url`.
    #[arg(long, value_delimiter = ',', value_name = "OVERRIDE")]
    pub etcd_servers_overrides: Vec<String>,
    /// The CA that signed etcd's certificates.
    #[arg(
        long,
        visible_alias = "etcd-cafile",
        env = "ETCDCTL_CACERT",
        value_name = "FILE"
    )]
    pub cacert: Option<PathBuf>,
    /// Client certificate for etcd.
    #[arg(
        long,
        visible_alias = "etcd-certfile",
        env = "ETCDCTL_CERT",
        value_name = "FILE"
    )]
    pub cert: Option<PathBuf>,
    /// Key of the client certificate.
    #[arg(
        long,
        visible_alias = "etcd-keyfile",
        env = "ETCDCTL_KEY",
        value_name = "FILE"
    )]
    pub key: Option<PathBuf>,
    /// etcd user; the password comes from --password-file.
    #[arg(
        long,
        env = "ETCDCTL_USER",
        value_name = "NAME",
        requires = "password_file"
    )]
    pub user: Option<String>,
    /// A file with nothing but the password of --user.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Where kube-apiserver keeps its keys in etcd [default: /registry].
    #[arg(long, value_name = "PATH")]
    pub etcd_prefix: Option<String>,
    /// The EncryptionConfiguration that every apiserver has loaded.
    #[arg(long, value_name = "FILE")]
    pub encryption_provider_config: Option<PathBuf>,
    /// Where a KMS provider's socket is, if not where the configuration says.
    #[arg(long, value_name = "NAME=unix:///PATH")]
    pub kms_endpoint: Vec<String>,
    /// A kube-apiserver static pod manifest to take all of the above from; container paths are
    /// mapped to host paths. Default where it exists and neither etcd nor configuration is given:
    /// /etc/kubernetes/manifests/kube-apiserver.yaml.
    #[arg(long, value_name = "FILE")]
    pub from_manifest: Option<PathBuf>,
    /// The release of the apiservers, where releases differ [default: the newest known].
    #[arg(long, value_name = "1.N")]
    pub kubernetes_version: Option<String>,
    /// What kind of DEK source kube-apiserver writes under KMS v2.
    #[arg(long, value_enum, default_value_t)]
    pub dek_type: DekType,
    /// etcd's own flag, for etcd before 3.6, which does not tell its quota [default: 2 GiB, as etcd's].
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(i64).range(1..))]
    pub quota_backend_bytes: Option<i64>,
    /// Seconds to wait for one answer of etcd.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub request_timeout: u64,
}

/// Which objects.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Scope")]
pub struct Scope {
    /// Only these resources: `secrets`, `deployments.apps`.
    #[arg(long, value_delimiter = ',', value_name = "RESOURCE")]
    pub resource: Vec<String>,
    /// Not these resources.
    #[arg(long, value_delimiter = ',', value_name = "RESOURCE")]
    pub exclude: Vec<String>,
    /// Only objects of this namespace.
    #[arg(long, short = 'n', value_name = "NAMESPACE")]
    pub namespace: Option<String>,
}
