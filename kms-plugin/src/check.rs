//! `kms-plugin check`: would the daemon serve?

use std::{fmt::Write, io, path::Path};

use crate::{
    config::{Config, KekSource, UnderRootsConfig},
    kek::Unavailable,
    keyring::ProbeError,
    load::{LoadError, Loaded, Reading},
    local_kek::{
        binding, fresh,
        guarded::{Guarded, Patience},
        state_dir::StateDir,
    },
    root::{local::KeyMaterial, remote::RootError},
    roots::RootsError,
    socket::{self, BindError},
};

/// Checks the configuration at `path`, the files it names and their rights, and wraps and unwraps
/// once with every KEK and every root. Answers a line for each, the primary KEK first, and what of a root's rights
/// is more or less than they should be; never a secret. A running daemon is not disturbed.
///
/// # Errors
/// The first thing that would keep the daemon from serving.
pub fn run(path: &Path) -> Result<String, CheckError> {
    let loaded = Reading::of(path).outcome?;
    let config = loaded.config.clone();
    socket::check_directory(&config.fixed.socket.path)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CheckError::Runtime)?
        .block_on(report(&config, loaded))
}

async fn report(config: &Config, loaded: Loaded) -> Result<String, CheckError> {
    // Writing to a String does not fail.
    let mut report = format!("context {:?}: ok\n", config.fixed.context);
    let names: Vec<_> = config.keks.iter().map(|kek| kek.name.clone()).collect();
    let first_is_local = config
        .keks
        .first()
        .map(|kek| kek.source != KekSource::UnderRoots);
    if config
        .keks
        .iter()
        .any(|kek| kek.source != KekSource::UnderRoots)
    {
        let keyring = loaded.keyring(None).map_err(LoadError::Keyring)?;
        keyring.probe().await?;
        for member in keyring.members() {
            let is_first = first_is_local == Some(true) && Some(&member.name) == names.first();
            let key_id = member.kek.key_id().map_err(CheckError::Unavailable)?;
            let _ = writeln!(
                report,
                "KEK {:?} ({}, epoch {}): ok, {}, key id {key_id}",
                member.name,
                member.root,
                member.epoch,
                if is_first { "wraps" } else { "unwraps" },
            );
        }
    }
    if let Some(under_roots) = &config.under_roots {
        StateDir::check(&config.fixed.state_directory).map_err(RootsError::State)?;
        let _ = writeln!(report, "state directory: ok");
        roots(&config.fixed.context, under_roots, &mut report).await?;
    }
    Ok(report)
}

/// Tries every root as the daemon would use it.
async fn roots(
    context: &str,
    config: &UnderRootsConfig,
    report: &mut String,
) -> Result<(), CheckError> {
    if let Some(file) = &config.sealed_copies {
        match KeyMaterial::read(file) {
            Ok(_) => {
                let _ = writeln!(report, "sealed copies: ok");
            }
            Err(error) if error.is_missing() => {
                let _ = writeln!(
                    report,
                    "sealed copies: not tried\n  note: {} is not there; a credential of systemd is while its unit runs, any other file must be",
                    file.display()
                );
            }
            Err(error) => return Err(RootsError::SealedCopies(error).into()),
        }
    }
    for (place, root) in config.roots.iter().enumerate() {
        let failed = |source| CheckError::Root {
            name: root.name.clone(),
            source,
        };
        let opened = root
            .settings
            .open(None)
            .map_err(|source| RootsError::Open {
                name: root.name.clone(),
                source,
            })?;
        let asked = Guarded::new(root.name.clone(), opened, None);
        let wraps = config.wrap_with.contains(&place);
        let version = asked.version(Patience::Asked).await.map_err(failed)?;
        if wraps {
            let (id, material) = fresh().map_err(|error| {
                failed(RootError::unreachable_because("no random bytes", error))
            })?;
            let binding = binding(id, context);
            let tried = asked.wrap_and_try(&material, &binding).await;
            tried.map_err(failed)?;
        }
        let role = match (wraps, asked.is_offline()) {
            (true, true) => "wraps, offline",
            (true, false) => "wraps and unwraps",
            (false, _) => "unwraps",
        };
        let _ = writeln!(report, "root {:?}: ok, {role}, {version}", root.name);
        for finding in asked.review().await.map_err(failed)? {
            let _ = writeln!(report, "  note: {finding}");
        }
    }
    Ok(())
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
    /// A root did not answer as it should.
    #[error("the root {name:?}")]
    Root {
        /// Its name.
        name: String,
        /// What happened.
        source: RootError,
    },
    /// The roots cannot be used.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// A KEK cannot wrap.
    #[error(transparent)]
    Unavailable(Unavailable),
    /// The operating system refused something basic.
    #[error("cannot set up the runtime")]
    Runtime(#[source] io::Error),
    /// The socket could not be bound.
    #[error(transparent)]
    Socket(#[from] BindError),
}

#[cfg(all(test, feature = "age"))]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

    use super::*;
    use crate::{
        config::RootConfig,
        root::{RemoteConfig, age, local},
    };

    #[tokio::test]
    async fn a_key_for_copies_may_be_away_and_not_open_to_others() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("copies");
        let recipient = age::tests::RECIPIENT.parse().unwrap();
        let config = UnderRootsConfig {
            roots: vec![RootConfig {
                name: "recovery".to_owned(),
                settings: RemoteConfig::Age(age::Config { recipient }),
            }],
            wrap_with: vec![0],
            write_quorum: 1,
            epoch: 1,
            offline_grace: Duration::ZERO,
            sealed_copies: Some(file.clone()),
        };
        let mut report = String::new();
        roots("test", &config, &mut report).await.unwrap();
        let note = format!("sealed copies: not tried\n  note: {} ", file.display());
        assert!(report.starts_with(&note), "{report}");

        local::generate(&file).unwrap();
        let mut report = String::new();
        roots("test", &config, &mut report).await.unwrap();
        assert!(report.starts_with("sealed copies: ok\n"), "{report}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(roots("test", &config, &mut report).await.is_err());
    }
}
