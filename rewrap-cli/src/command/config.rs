//! `rewrap config lint` and `rewrap config hash`.

use sha2::{Digest as _, Sha256};

use super::{CommandError, Exit};
use crate::{
    cli::{ConfigCommand, LintArgs},
    config::{self, EncryptionConfig, ParseOptions},
    session::{self, SessionError},
};

pub(super) fn config(command: ConfigCommand) -> Result<Exit, CommandError> {
    match command {
        ConfigCommand::Hash { file } => {
            let bytes = config::read(&file).map_err(SessionError::from)?;
            println!("sha256:{}", hex::encode(Sha256::digest(&*bytes)));
            Ok(Exit::Done)
        }
        ConfigCommand::Lint(args) => lint(args),
    }
}

/// Judges a file as the apiserver would.
fn lint(args: LintArgs) -> Result<Exit, CommandError> {
    let version = session::version(args.kubernetes_version.as_deref())?;
    let gate = args
        .feature_gates
        .iter()
        .rev()
        .find_map(|gate| match gate.split_once('=')? {
            ("KMSv1", value) => value.parse().ok(),
            _ => None,
        });
    let options = ParseOptions {
        version,
        automatic_reload: args.automatic_reload,
        kms_v1: gate,
    };
    let bytes = config::read(&args.file).map_err(SessionError::from)?;
    let config =
        EncryptionConfig::parse(&bytes, &options).map_err(|source| CommandError::Config {
            path: args.file.clone(),
            source,
        })?;
    for warning in config.warnings() {
        println!("warning: {warning}");
    }
    println!(
        "{}: accepted by kube-apiserver {version}",
        args.file.display()
    );
    Ok(Exit::Done)
}
