use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Output;

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
