//! `rewrap config lint`.

use std::{fs::File, io::BufReader, path::Path};

use kms_proto::inventory::KeyRef;
use serde::Deserialize;

use super::Judge;
use crate::{
    cli::LintArgs,
    command::{CommandError, Exit},
    config::{ReadError, encryption::StoredUnder},
    session::SessionError,
};

/// Judges a file as the apiserver would.
pub(super) fn lint(args: LintArgs) -> Result<Exit, CommandError> {
    let judge = Judge::new(&args.judge)?;
    let of_manifest = judge
        .manifest
        .as_ref()
        .and_then(|manifest| manifest.encryption_config.as_deref());
    let file = args
        .file
        .as_deref()
        .or(of_manifest)
        .ok_or(SessionError::Missing {
            what: "EncryptionConfiguration",
            flag: "FILE",
        })?;
    let config = judge.read(file)?;
    let stored = match &args.inventory {
        Some(path) => stored(path)?,
        None => Vec::new(),
    };
    for warning in config.warnings().iter().chain(&config.lacks(&stored)) {
        println!("warning: {warning}");
    }
    println!(
        "{}: accepted by kube-apiserver {}",
        file.display(),
        judge.options.version
    );
    Ok(Exit::Done)
}

/// What an Inventory says is stored under which key.
fn stored(path: &Path) -> Result<Vec<StoredUnder>, CommandError> {
    let file = File::open(path).map_err(|source| {
        SessionError::from(ReadError::Io {
            path: path.to_owned(),
            source,
        })
    })?;
    // What it says is not repeated: it may be any file.
    let inventory: Inventory = serde_json::from_reader(BufReader::new(file)).map_err(|error| {
        CommandError::NoInventory {
            path: path.to_owned(),
            line: error.line(),
        }
    })?;
    let Kind::Inventory = inventory.kind;
    let stored = inventory.resources.into_iter().flat_map(|resource| {
        let Ok(name) = resource.resource.parse();
        resource
            .written_with
            .into_iter()
            .map(move |written| StoredUnder {
                resource: Clone::clone(&name),
                key: KeyRef {
                    provider: written.provider,
                    key: written.key,
                },
                objects: written.objects,
            })
    });
    Ok(stored.collect())
}

/// As much of the document that `status -o json` prints as is needed here.
#[derive(Deserialize)]
struct Inventory {
    kind: Kind,
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
enum Kind {
    Inventory,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    resource: String,
    written_with: Vec<Written>,
}

#[derive(Deserialize)]
struct Written {
    provider: String,
    key: String,
    objects: u64,
}
