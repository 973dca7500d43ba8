//! What a person may type. Names of connection flags and variables are etcdctl's, with
//! kube-apiserver's own spellings as aliases, so that either set can be copied over.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    pace::{Bandwidth, CALM_FOR_CLIENTS, CALM_FOR_ETCD, Limits},
    stored::EtcdPrefix,
};

/// Says which key protects what in etcd, brings it to the current key, and proves it.
#[derive(Debug, Parser)]
#[command(
    name = "rewrap",
    version,
    propagate_version = true,
    subcommand_required = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// One verb, one file in `command/`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what is stored under which key.
    Status(StatusArgs),
    /// Show what `run` would do, and what it would cost.
    Plan(PlanArgs),
    /// Rewrite everything that is not under the current key.
    Run(Box<RunArgs>),
    /// Restore what a run replaced, where nobody wrote since.
    Undo(UndoArgs),
    /// Prove that nothing is left to rewrite: opens everything at one revision.
    Verify(VerifyArgs),
    /// Show every write that does not go under the current key, as it happens.
    ///
    /// Some apiserver has not loaded the configuration, or has loaded another. Ends with Ctrl-C, or
    /// after --for; exits with 1 if it saw one.
    Watch(WatchArgs),
    /// Show under which key one object is stored.
    Get(GetArgs),
    /// Say what an error text of kube-apiserver about encryption means, and what to do; needs no
    /// etcd.
    Explain(ExplainArgs),
    /// Check or fingerprint an EncryptionConfiguration; needs no etcd.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

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

/// How results are printed on stdout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

/// The kind of DEK source under KMS v2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DekType {
    /// By the release where it is known to write one kind only (1.29 and newer); else the kind of the
    /// newest value under the current key id.
    #[default]
    Auto,
    /// An AES-GCM key (Kubernetes 1.27 and 1.28).
    #[value(name = "0")]
    AesGcmKey,
    /// A seed for HKDF (Kubernetes 1.28 with KMSv2KDF, and newer).
    #[value(name = "1")]
    Seed,
}

/// `rewrap status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// How to get there.
    #[command(flatten)]
    pub connection: Connection,
    /// Which objects.
    #[command(flatten)]
    pub scope: Scope,
    /// Judge values by their prefix alone: quicker, needs no key, proves less.
    #[arg(long)]
    pub fast: bool,
    /// Exit with 1 if anything is stale, in plain text or unreadable.
    #[arg(long)]
    pub exit_code: bool,
    /// Format on stdout.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

/// `rewrap plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// How to get there.
    #[command(flatten)]
    pub connection: Connection,
    /// Which objects.
    #[command(flatten)]
    pub scope: Scope,
    /// How fast.
    #[command(flatten)]
    pub pace: PaceArgs,
    /// Format on stdout.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

/// How fast `run` goes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Pace")]
pub struct PaceArgs {
    /// Objects written per second. Watch caches keep about 75 s of history: far above 1,000 a
    /// second per resource clients must list again.
    #[arg(long, value_name = "OBJECTS", default_value_t = 500, conflicts_with = "max",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: u32,
    /// Bytes of values written per second: `16Mi`, `500K`.
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "16Mi",
        conflicts_with = "max"
    )]
    pub bandwidth: Bandwidth,
    /// The most transactions in flight. There are fewer while etcd answers slowly, says that it has too
    /// much to do, or changes its leader [default: 16, with --max 64].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: Option<u16>,
    /// As fast as etcd takes it, without --rate and --bandwidth: for a maintenance window.
    #[arg(long)]
    pub max: bool,
}

impl PaceArgs {
    /// What they come to.
    pub fn limits(&self) -> Limits {
        let unbounded = self.max;
        Limits {
            concurrency: self.concurrency.unwrap_or(if unbounded { 64 } else { 16 }),
            rate: (!unbounded).then_some(self.rate),
            bandwidth: (!unbounded).then_some(self.bandwidth),
            calm: if unbounded {
                CALM_FOR_ETCD
            } else {
                CALM_FOR_CLIENTS
            },
        }
    }
}

/// `rewrap run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// How to get there.
    #[command(flatten)]
    pub connection: Connection,
    /// Which objects.
    #[command(flatten)]
    pub scope: Scope,
    /// Only objects stored under this key or KMS provider.
    #[arg(long, value_name = "NAME", help_heading = "Scope")]
    pub from_key: Option<String>,
    /// Stop after so many rewritten objects.
    #[arg(long, value_name = "OBJECTS", help_heading = "Scope")]
    pub limit: Option<u64>,
    /// Also what lies under a KMS v1 provider that writes, once: it stores no key id, so nothing tells
    /// whether it is under the plugin's current key.
    #[arg(long, help_heading = "Scope")]
    pub force_kms_v1: bool,
    /// Also what is encrypted and current, once. On kine this pushes out the values before those,
    /// which its database keeps beside them.
    #[arg(long, help_heading = "Scope")]
    pub also_current: bool,
    /// How fast.
    #[command(flatten)]
    pub pace: PaceArgs,
    /// All apiservers are stopped: many objects go into one transaction, as fast as etcd takes it.
    /// Refused while one lives: where its lease was renewed within 45 s, or anybody writes within the
    /// next 30 s; stopped where anybody writes later. On etcd only [default of --concurrency: 4].
    #[arg(long, help_heading = "Pace", requires = "assume_converged", conflicts_with_all = ["apiserver", "rate", "bandwidth"])]
    pub apiservers_stopped: bool,
    /// Compact etcd at the end, if nothing is left to rewrite: nobody else does while the apiservers
    /// are stopped, and the old values are readable until then.
    #[arg(long, help_heading = "Pace", requires = "apiservers_stopped")]
    pub compact: bool,
    /// Defragment the members at --endpoints at the end, one after the other and the leader last, if
    /// nothing is left to rewrite.
    #[arg(long, help_heading = "Pace", requires = "apiservers_stopped")]
    pub defrag: bool,
    /// Proof that every apiserver can read what will be written.
    #[command(flatten)]
    pub proof: ProofArgs,
    /// What is looked at before the first write.
    #[command(flatten)]
    pub gates: GateArgs,
    /// Copy etcd to this new file before the first write, for `etcdutl snapshot restore`; the copy is
    /// checked, and belongs in the safe: it may hold what is in plain text now. Every etcd of
    /// --etcd-servers-overrides goes to a file of its own: FILE.1 and so on.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Gates before the first write"
    )]
    pub snapshot_before: Option<PathBuf>,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
    /// Do not take the lock that keeps two runs apart: for accounts that may not write
    /// /ringfence.dev/.
    #[arg(long)]
    pub no_lock: bool,
    /// Go on under the new key if the KMS plugin rotates during the run, instead of stopping.
    #[arg(long)]
    pub follow: bool,
    /// Append a JSON line for every rewritten object: when, which, from and to which key, at which
    /// revisions; never values.
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    pub audit_log: Option<PathBuf>,
    /// Keep what is replaced in a new file, as it was encrypted, for `rewrap undo`. Plain text is not
    /// kept.
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    pub undo_file: Option<PathBuf>,
    /// Format of the report on stdout.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

/// `rewrap undo`.
#[derive(Debug, Args)]
pub struct UndoArgs {
    /// What `run --undo-file` wrote.
    pub file: PathBuf,
    /// How to get there.
    #[command(flatten)]
    pub connection: Connection,
    /// Append a JSON line for every restored object.
    #[arg(long, value_name = "FILE")]
    pub audit_log: Option<PathBuf>,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
    /// Do not take the lock that keeps two runs apart.
    #[arg(long)]
    pub no_lock: bool,
    /// Format of the report on stdout.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

impl RunArgs {
    /// How fast it may go.
    pub fn limits(&self) -> Limits {
        if self.apiservers_stopped {
            return Limits {
                // More transactions of many objects make each only later.
                concurrency: self.pace.concurrency.unwrap_or(4),
                rate: None,
                bandwidth: None,
                calm: CALM_FOR_ETCD,
            };
        }
        self.pace.limits()
    }
}

/// Where the canary is read back.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Proof that every apiserver can read what will be written")]
pub struct ProofArgs {
    /// The URL of an apiserver; give every one. One object is rewritten, read back through each of
    /// them, and put back if one cannot read it.
    #[arg(long, value_name = "URL", conflicts_with = "assume_converged")]
    pub apiserver: Vec<String>,
    /// Credentials and CA for --apiserver.
    #[arg(long, value_name = "FILE", conflicts_with = "token_file")]
    pub kubeconfig: Option<PathBuf>,
    /// A file with a bearer token for --apiserver.
    #[arg(long, value_name = "FILE", requires = "apiserver_cacert")]
    pub token_file: Option<PathBuf>,
    /// The CA that signed the apiservers' certificates.
    #[arg(long, value_name = "FILE")]
    pub apiserver_cacert: Option<PathBuf>,
    /// Vouch for the apiservers yourself: every one has loaded this configuration and reads what it
    /// writes. If one has not, its clients lose sight of whole resources.
    #[arg(long)]
    pub assume_converged: bool,
}

/// Gates before the first write that are to stand open.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Gates before the first write")]
pub struct GateArgs {
    /// Begin although etcd has raised an alarm.
    #[arg(long)]
    pub ignore_alarms: bool,
    /// Begin although a member does not answer, has no leader or lags behind.
    #[arg(long)]
    pub ignore_members: bool,
    /// Begin although the database would come close to its quota before it is compacted. A run
    /// waits for the apiservers to compact where the room gets short, and stops after 12 minutes.
    #[arg(long)]
    pub ignore_quota: bool,
    /// Begin although etcd says that the user may not write everything.
    #[arg(long)]
    pub ignore_permissions: bool,
    /// How many seconds to wait for the apiservers to compact: they do so every 5 minutes, and keep
    /// what is younger than that.
    #[arg(long, value_name = "SECONDS", default_value_t = 720, hide = true)]
    pub compaction_wait: u64,
}

/// `rewrap verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// How to get there.
    #[command(flatten)]
    pub connection: Connection,
    /// Which objects.
    #[command(flatten)]
    pub scope: Scope,
    /// Format on stdout.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

/// `rewrap get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// How to get there.
    #[command(flatten)]
    pub connection: Connection,
    /// The resource: `secrets`, `deployments.apps`.
    pub resource: String,
    /// The object: `NAMESPACE/NAME`, or `NAME` where there are no namespaces.
    pub object: String,
    /// Print the object itself to stdout, secrets included.
    #[arg(long)]
    pub reveal: bool,
    /// Format on stdout.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

/// `rewrap config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Accept what kube-apiserver accepts, and warn about what it accepts but you will regret.
    Lint(LintArgs),
    /// Say what changes from one file to another, and how to get there next to live apiservers.
    ///
    /// Exits with 1 if they differ in meaning.
    Diff(DiffArgs),
    /// The hash that kube-apiserver's metrics show for this file (1.34 and newer).
    Hash {
        /// The EncryptionConfiguration.
        file: PathBuf,
    },
}

/// `rewrap watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// How to get there.
    #[command(flatten)]
    pub connection: Connection,
    /// Which objects.
    #[command(flatten)]
    pub scope: Scope,
    /// End after so many seconds.
    #[arg(long = "for", value_name = "SECONDS")]
    pub seconds: Option<u64>,
    /// A JSON document a line instead of columns.
    #[arg(long)]
    pub json: bool,
}

/// `rewrap explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The text; `-` reads it from stdin, a log for instance.
    #[arg(required = true)]
    pub text: Vec<String>,
    /// Where kube-apiserver keeps its keys in etcd [default: /registry].
    #[arg(long, value_name = "PATH")]
    pub etcd_prefix: Option<EtcdPrefix>,
}

/// `rewrap config lint`.
#[derive(Debug, Args)]
pub struct LintArgs {
    /// The EncryptionConfiguration [default: the one of --from-manifest].
    #[arg(required_unless_present = "from_manifest")]
    pub file: Option<PathBuf>,
    /// What `rewrap status -o json` printed: warn about stored objects that could not be read with
    /// this file.
    #[arg(long, value_name = "FILE")]
    pub inventory: Option<PathBuf>,
    /// What else decides.
    #[command(flatten)]
    pub judge: JudgeArgs,
}

/// `rewrap config diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The EncryptionConfiguration that the apiservers have.
    pub from: PathBuf,
    /// The one that they shall have.
    pub to: PathBuf,
    /// What else decides.
    #[command(flatten)]
    pub judge: JudgeArgs,
    /// Format on stdout.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

/// As which kube-apiserver a file is judged.
#[derive(Debug, Args)]
pub struct JudgeArgs {
    /// A kube-apiserver static pod manifest to take release and flags from.
    #[arg(long, value_name = "FILE")]
    pub from_manifest: Option<PathBuf>,
    /// The release [default: the manifest's, or the newest known].
    #[arg(long, value_name = "1.N")]
    pub kubernetes_version: Option<String>,
    /// kube-apiserver's own flag; of it, `KMSv1` matters here.
    #[arg(long, value_name = "GATE=true|false,...")]
    pub feature_gates: Vec<String>,
    /// Judge as with `--encryption-provider-config-automatic-reload`.
    #[arg(long)]
    pub automatic_reload: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
