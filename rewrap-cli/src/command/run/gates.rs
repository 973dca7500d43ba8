//! What must hold before the first write.

use std::io::{IsTerminal as _, Write as _};

use kms_proto::inventory::Inventory;

use crate::{
    cli::RunArgs,
    command::{CommandError, verify::keys_of},
    session::Session,
};

mod preflight;

pub(super) use preflight::preflight;
pub use preflight::{Refusal, Refusals};

/// Nothing can be brought to a key that cannot be had.
pub(super) fn refuse_unusable_targets(
    session: &Session,
    inventory: &Inventory,
) -> Result<(), CommandError> {
    for resource in &inventory.resources {
        let target = &resource.writes_with;
        let down = session.keys.down().get(target.key.as_str());
        if let Some(reason) = down.filter(|_| target.provider.starts_with("kms-")) {
            return Err(CommandError::KmsDown {
                provider: target.key.clone(),
                reason: reason.to_string(),
            });
        }
    }
    Ok(())
}

/// A mistyped key would look like nothing to do.
pub(super) fn refuse_unknown_key(
    args: &RunArgs,
    session: &Session,
    inventory: &Inventory,
) -> Result<(), CommandError> {
    let Some(from) = &args.from_key else {
        return Ok(());
    };
    let stored = inventory
        .resources
        .iter()
        .flat_map(|resource| &resource.written_with)
        .any(|written| written.key.key == *from || written.others);
    let configured = keys_of(session).iter().any(|key| key.key == *from);
    if stored || configured {
        Ok(())
    } else {
        Err(CommandError::UnknownKey(from.clone()))
    }
}

/// Asks on a terminal, unless --yes was given.
pub(crate) fn confirm(yes: bool, what: &str) -> Result<(), CommandError> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(CommandError::NotAsked(what.to_owned()));
    }
    eprint!("{what} in etcd? [y/N] ");
    std::io::stderr().flush().map_err(CommandError::Io)?;
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(CommandError::Io)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(CommandError::Declined),
    }
}
