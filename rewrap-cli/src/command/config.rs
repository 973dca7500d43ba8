//! `rewrap config`: what needs no etcd.

mod diff;
mod lint;

use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::{CommandError, Exit};
use crate::{
    cli::{ConfigCommand, JudgeArgs},
    config::{self, EncryptionConfig, Manifest, ParseOptions, manifest},
    session::{self, SessionError},
};

pub(super) fn config(command: ConfigCommand) -> Result<Exit, CommandError> {
    match command {
        ConfigCommand::Diff(args) => diff::diff(args),
        ConfigCommand::Hash { file } => {
            let bytes = config::read(&file).map_err(SessionError::from)?;
            println!("sha256:{}", hex::encode(Sha256::digest(&*bytes)));
            Ok(Exit::Done)
        }
        ConfigCommand::Lint(args) => lint::lint(args),
    }
}

/// The kube-apiserver that judges: what its manifest says, and over that the flags.
struct Judge {
    options: ParseOptions,
    manifest: Option<Manifest>,
}

impl Judge {
    fn new(args: &JudgeArgs) -> Result<Self, SessionError> {
        let manifest = match &args.from_manifest {
            Some(path) => Some(session::read_manifest(path)?),
            None => None,
        };
        let from = manifest.as_ref();
        let mut kms_v1 = from.and_then(|manifest| manifest.kms_v1);
        for gates in &args.feature_gates {
            let setting = manifest::feature_gate(gates, "KMSv1")
                .ok_or_else(|| SessionError::FeatureGates(gates.clone()))?;
            kms_v1 = setting.or(kms_v1);
        }
        let typed = args.kubernetes_version.as_deref();
        Ok(Self {
            options: ParseOptions {
                version: match (typed, from.and_then(|manifest| manifest.version)) {
                    (None, Some(version)) => version,
                    (typed, _) => session::version(typed)?,
                },
                automatic_reload: args.automatic_reload
                    || from.is_some_and(|manifest| manifest.automatic_reload),
                kms_v1,
            },
            manifest,
        })
    }

    fn read(&self, file: &Path) -> Result<EncryptionConfig, SessionError> {
        let bytes = config::read(file)?;
        EncryptionConfig::parse(&bytes, &self.options).map_err(|source| SessionError::Config {
            path: file.to_owned(),
            source,
        })
    }
}
