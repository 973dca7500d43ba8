//! `rewrap status`.

use kms_proto::inventory::{Inventory, ResourceInventory};

use super::{CommandError, Exit};
use crate::{
    cli::{Output, StatusArgs},
    printable::OneLine,
    report,
    scope::Scope,
    session::Session,
    survey::{Depth, survey},
};

/// Shows what is stored under which key.
pub(super) async fn status(args: StatusArgs) -> Result<Exit, CommandError> {
    let mut session = Session::open(&args.connection).await?;
    session.quiet = args.quiet;
    warn_of_silent_plugins(&session);
    let depth = match (args.fast, args.by_type) {
        (true, _) => Depth::Fast,
        (false, true) => Depth::OpenedByType,
        (false, false) => Depth::Opened,
    };
    let inventory = survey(&mut session, &Scope::new(&args.scope), depth).await?;
    report::print(args.output, &inventory, report::inventory_table).map_err(CommandError::Io)?;
    if args.output == Output::Table {
        eprint!("{}", next_command(&session, &inventory));
    }
    Ok(if args.exit_code && has_findings(&inventory) {
        Exit::Findings
    } else {
        Exit::Done
    })
}

/// Whether anything is not as kube-apiserver would write it now.
pub(super) fn has_findings(inventory: &Inventory) -> bool {
    !inventory.unreadable.is_empty()
        || inventory
            .resources
            .iter()
            .any(|resource| resource.current != resource.total)
}

/// What protects values cannot be said without the plugin that can unwrap them.
pub(super) fn warn_of_silent_plugins(session: &Session) {
    for (provider, reason) in session.keys.down() {
        eprintln!("warning: the KMS provider {provider} is not usable: {reason}");
    }
}

fn next_command(session: &Session, inventory: &Inventory) -> String {
    let any = |count: fn(&ResourceInventory) -> u64| {
        inventory
            .resources
            .iter()
            .any(|resource| count(resource) > 0)
    };
    if let Some(provider) = session.keys.down().keys().next() {
        format!(
            "next: `kms-plugin status` on this node, for without the provider {} nothing under it can be\n\
             judged; then `rewrap status` again\n",
            OneLine(provider)
        )
    } else if any(|resource| resource.unreadable) {
        "next: what is said above under the unreadable objects, for `rewrap run` leaves them as they are\n".to_owned()
    } else if any(|resource| resource.stale + resource.plaintext) {
        "next: `rewrap plan` shows what rewriting the rest would cost\n".to_owned()
    } else {
        "next: `rewrap verify` proves it at one revision\n".to_owned()
    }
}
