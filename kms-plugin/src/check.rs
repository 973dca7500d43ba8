//! `kms-plugin check`: would the daemon serve?

use std::{fmt::Write, io, path::Path};

use crate::{
    keyring::ProbeError,
    load::{LoadError, Loaded, Reading},
    socket::{self, BindError},
};

/// Checks the configuration at `path`, the files it names and their rights, and wraps and unwraps
/// once with every KEK. Answers a line per KEK, the primary first; never a secret.
///
/// # Errors
/// The first thing that would keep the daemon from serving.
pub fn run(path: &Path) -> Result<String, CheckError> {
    let Loaded { config, keyring } = Reading::of(path).outcome?;
    socket::check_directory(&config.fixed.socket.path)?;
    tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(CheckError::Runtime)?
        .block_on(keyring.probe())?;

    let mut report = format!("context {:?}: ok\n", config.fixed.context);
    for (index, member) in keyring.members().enumerate() {
        let role = if index == 0 { "wraps" } else { "unwraps" };
        // Writing to a String does not fail.
        let _ = writeln!(
            report,
            "KEK {:?} ({}, epoch {}): ok, {role}, key id {}",
            member.name,
            member.root,
            member.epoch,
            member.kek.key_id()
        );
    }
    Ok(report)
}

/// Why a daemon would not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The files give no keyring.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A KEK does not work.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The operating system refused something basic.
    #[error("cannot set up the runtime")]
    Runtime(#[source] io::Error),
    /// The socket could not be bound.
    #[error(transparent)]
    Socket(#[from] BindError),
}
