//! What a person may type. Names of connection flags and variables are etcdctl's, with
//! kube-apiserver's own spellings as aliases, so that either set can be copied over.

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::stored::EtcdPrefix;

mod config;
mod connection;
mod run;

pub use config::{ConfigCommand, DiffArgs, JudgeArgs, LintArgs};
pub use connection::{Connection, Scope};
pub use run::{GateArgs, PaceArgs, ProofArgs, RunArgs, UndoArgs};

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
    /// Also count Secrets by what they are for: their type, who owns them, keys of sealed-secrets.
    #[arg(long, conflicts_with = "fast")]
    pub by_type: bool,
    /// Exit with 1 if anything is stale, in plain text or unreadable.
    #[arg(long)]
    pub exit_code: bool,
    /// No progress on stderr; warnings, errors and what follows are still told.
    #[arg(long, short)]
    pub quiet: bool,
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
    /// No progress on stderr; warnings, errors and what follows are still told.
    #[arg(long, short)]
    pub quiet: bool,
    /// Format on stdout.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
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
    /// No progress on stderr; warnings, errors and what follows are still told.
    #[arg(long, short)]
    pub quiet: bool,
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
