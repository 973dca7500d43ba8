use std::path::PathBuf;

use clap::Args;

use super::{Connection, Output, Scope};
use crate::pace::{Bandwidth, CALM_FOR_CLIENTS, CALM_FOR_ETCD, Limits};

/// In seconds: apiservers compact every 5 minutes, and keep what is younger than that.
const COMPACTION_WAIT: u64 = 720;

/// How fast `run` and `undo` go.
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
    /// Only the objects in this file of JSON lines with a `key`, at most 100,000: a run whose objects
    /// failed ends with the command that tries only those again.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Scope",
        conflicts_with = "checkpoint"
    )]
    pub only_keys: Option<PathBuf>,
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
    /// Also what is current under a KMS v2 provider, once, where it is under more than one DEK source:
    /// then all of it is under one, for every distinct DEK source costs every start of an apiserver a
    /// call of the plugin. `rewrap status` counts them.
    #[arg(long, help_heading = "Scope", conflicts_with = "checkpoint")]
    pub consolidate: bool,
    /// How fast.
    #[command(flatten)]
    pub pace: PaceArgs,
    /// All apiservers are stopped: many objects go into one transaction, as fast as etcd takes it.
    /// Refused while one lives: where it renews its lease, or anybody writes anything, within the next
    /// 45 s; stopped where anybody writes later. On etcd only [default of --concurrency: 4].
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
    /// Keep in this file how far the run has come, every 2 s and at its end. A run with the same scope
    /// and configuration that finds it goes on from there and looks at everything once more at its end;
    /// it is removed when that is done. Without it a second run is just as safe.
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    pub checkpoint: Option<PathBuf>,
    /// Keep what is replaced in this file, as it was encrypted, for `rewrap undo`, behind what other runs
    /// over this cluster have kept in it. Plain text is not kept.
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    pub undo_file: Option<PathBuf>,
    /// Write how it goes to this file every 5 s and at the end, in Prometheus' text format: for
    /// the textfile collector of node_exporter, whose files end in `.prom`.
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    pub metrics_file: Option<PathBuf>,
    /// No progress on stderr; warnings, errors and what follows are still told.
    #[arg(long, short)]
    pub quiet: bool,
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
    /// How fast.
    #[command(flatten)]
    pub pace: PaceArgs,
    /// Append a JSON line for every restored object.
    #[arg(long, value_name = "FILE")]
    pub audit_log: Option<PathBuf>,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
    /// Do not take the lock that keeps two runs apart.
    #[arg(long)]
    pub no_lock: bool,
    /// How many seconds to wait for the apiservers to compact, as in a run.
    #[arg(long, value_name = "SECONDS", default_value_t = COMPACTION_WAIT, hide = true)]
    pub compaction_wait: u64,
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
    /// How many seconds to wait for the apiservers to compact.
    #[arg(long, value_name = "SECONDS", default_value_t = COMPACTION_WAIT, hide = true)]
    pub compaction_wait: u64,
}
