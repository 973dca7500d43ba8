//! `rewrap verify`.

use std::collections::BTreeSet;

use kms_proto::inventory::{Inventory, KeyRef};

use super::{CommandError, Exit, plan::encrypted_and_current, status};
use crate::{
    cli::{Output, VerifyArgs},
    report,
    scope::Scope,
    session::Session,
    stored::Provider,
    survey::survey_at_one_revision,
};

/// Opens everything at one revision and says whether anything is left to rewrite.
pub(super) async fn verify(args: VerifyArgs) -> Result<Exit, CommandError> {
    let mut session = Session::open(&args.connection).await?;
    session.quiet = args.quiet;
    status::warn_of_silent_plugins(&session);
    let scope = Scope::new(&args.scope);
    let inventory = survey_at_one_revision(&mut session, &scope).await?;
    let unneeded = unneeded(&session, &inventory);
    let table = |inventory: &Inventory| {
        let mut text = report::inventory_table(inventory);
        text.push_str(&verdict(inventory));
        if scope.is_everything() && is_clean(inventory) {
            for key in &unneeded {
                text.push_str(&format!(
                    "no stored object needs {} {}\n",
                    key.provider, key.key
                ));
            }
        }
        text
    };
    report::print(args.output, &inventory, table).map_err(CommandError::Io)?;
    let clean = is_clean(&inventory);
    if args.output == Output::Table && clean && scope.is_everything() {
        eprint!("{}", next(&session, &inventory, !unneeded.is_empty()));
    }
    Ok(if clean { Exit::Done } else { Exit::Findings })
}

/// What is left to do before old keys may go. kine keeps its newest thousand revisions however old
/// they are (`--compact-min-retain`), and in the newest revision of an object the value before.
fn next(session: &Session, inventory: &Inventory, unneeded: bool) -> String {
    let revisions = inventory.stores.iter().map(|store| store.revision);
    let revision = revisions.max().unwrap_or_default();
    let etcd = format!(
        "next: keep what is not needed readable until etcd has compacted everything before\n\
         revision {revision} (2 compaction intervals, 10 minutes by default), then remove it\n"
    );
    let push_out = "next: `rewrap run --also-current`, unless that was done under these keys: kine \
                    keeps the\nvalue before the newest one beside it\n";
    let kine = "then keep what is not needed readable until kine has compacted everything before that \
                run\n(2 compaction intervals and 1,000 writes of anybody, by default), and remove it\n";
    match (session.has_kine(), unneeded) {
        (false, true) => etcd,
        (true, true) => [push_out, kine].concat(),
        (true, false) if encrypted_and_current(inventory) > 0 => push_out.to_owned(),
        (_, false) => String::new(),
    }
}

/// Something was looked at, and nothing of it is left to rewrite. A mistyped scope must not look
/// clean.
fn is_clean(inventory: &Inventory) -> bool {
    let looked_at = inventory
        .resources
        .iter()
        .any(|resource| resource.total > 0);
    looked_at && !status::has_findings(inventory)
}

fn verdict(inventory: &Inventory) -> String {
    let revisions: Vec<_> = inventory
        .stores
        .iter()
        .map(|store| store.revision.to_string())
        .collect();
    let revisions = revisions.join(", ");
    if inventory
        .resources
        .iter()
        .all(|resource| resource.total == 0)
    {
        "not verified: nothing is stored in this scope\n".to_owned()
    } else if status::has_findings(inventory) {
        format!("not verified: at revision {revisions} something is left to rewrite\n")
    } else {
        format!("verified: at revision {revisions} every object opens under its current key\n")
    }
}

/// Keys and KMS providers of the configuration that no stored object was written with and that
/// nothing is written with now.
fn unneeded(session: &Session, inventory: &Inventory) -> BTreeSet<KeyRef> {
    let unowned = inventory.unowned.iter();
    let resources = inventory.resources.iter();
    let needed: Vec<_> = unowned
        .flat_map(|unowned| &unowned.written_with)
        .chain(resources.flat_map(|resource| {
            let rows = resource.written_with.iter().map(|row| &row.key);
            rows.chain([&resource.writes_with])
        }))
        .collect();
    let mut unneeded = keys_of(session);
    // One without a name stands for several, which may be any of the provider.
    unneeded.retain(|key| {
        !needed.iter().any(|needed| {
            needed.provider == key.provider && (needed.key.is_empty() || needed.key == key.key)
        })
    });
    unneeded
}

/// Every key and KMS provider of the configuration.
pub(super) fn keys_of(session: &Session) -> BTreeSet<KeyRef> {
    let rules = session.config.entries().iter().map(|entry| &entry.rule);
    rules
        .flat_map(|rule| rule.providers())
        .flat_map(keys_of_provider)
        .collect()
}

/// What a provider can be asked to open values with; plain text needs nothing.
fn keys_of_provider(provider: &Provider) -> Vec<KeyRef> {
    let key = |name: &str| KeyRef {
        provider: provider.kind().to_string(),
        key: name.to_owned(),
    };
    match provider {
        Provider::Identity => Vec::new(),
        Provider::AesCbc(keys) | Provider::AesGcm(keys) | Provider::Secretbox(keys) => {
            keys.iter().map(|named| key(named.name())).collect()
        }
        Provider::KmsV1(name) | Provider::KmsV2(name) => vec![key(name)],
    }
}
