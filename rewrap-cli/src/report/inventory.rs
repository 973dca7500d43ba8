//! What is stored under which key, for people.

use comfy_table::Table;
use kms_proto::{
    KeyId,
    inventory::{Inventory, ResourceInventory, RootCoverage, Unreadable, WrittenWith},
};

use super::{bytes, counted, describe, new_table, right, secrets, state_text};
use crate::printable::OneLine;

/// Resources without a rule, causes, and keys of each cause that a person is shown; the document has
/// all.
const UNCOVERED_SHOWN: usize = 10;
const CAUSES_SHOWN: usize = 10;
const KEYS_SHOWN: usize = 3;

/// Resources that only the sums mention: nothing encrypts them and nothing encrypted was found.
fn is_plain(resource: &ResourceInventory) -> bool {
    resource.writes_with.provider == "identity" && resource.current == resource.total
}

/// An inventory for people: a row per resource and key, then the sums and what to look at.
pub fn inventory_table(inventory: &Inventory) -> String {
    let mut table = new_table(&["RESOURCE", "WRITTEN WITH", "OBJECTS", "SIZE", "STATE"]);
    let (plain, shown): (Vec<_>, Vec<_>) = inventory.resources.iter().partition(|r| is_plain(r));
    for resource in shown {
        add_resource(&mut table, resource);
    }
    right(&mut table, &[2, 3]);
    let mut text = if table.row_count() == 0 {
        String::new()
    } else {
        format!("{table}\n\n")
    };
    text.push_str(&sums(inventory));
    text.push_str(&plain_text(&plain));
    for unowned in &inventory.unowned {
        text.push_str(&format!(
            "{}: {} keys left alone: {}\n",
            OneLine(&unowned.path),
            unowned.objects,
            unowned.reason
        ));
    }
    text.push_str(&unreadable(inventory));
    text.push_str(&secrets::kinds(inventory));
    text
}

/// What is in plain text, because nothing else was asked for or because it was forgotten.
fn plain_text(resources: &[&ResourceInventory]) -> String {
    let objects = |resources: &[&ResourceInventory]| -> u64 {
        resources.iter().map(|resource| resource.total).sum()
    };
    let (chosen, mut forgotten): (Vec<_>, Vec<_>) =
        resources.iter().partition(|resource| resource.covered);
    let mut text = String::new();
    if !chosen.is_empty() {
        text.push_str(&format!(
            "{} more in {} whose rule writes plain text\n",
            objects(&chosen),
            counted(chosen.len() as u64, "resource")
        ));
    }
    if !forgotten.is_empty() {
        text.push_str(&format!(
            "{} more in plain text: no rule of the configuration covers {}:\n",
            objects(&forgotten),
            match forgotten.len() {
                1 => "this resource".to_owned(),
                count => format!("these {count} resources"),
            }
        ));
        forgotten.sort_by_key(|resource| std::cmp::Reverse(resource.total));
        for resource in forgotten.iter().take(UNCOVERED_SHOWN) {
            let name = OneLine(&resource.resource);
            text.push_str(&format!("  {:>9} {name}\n", resource.total));
        }
        if forgotten.len() > UNCOVERED_SHOWN {
            let more = &forgotten[UNCOVERED_SHOWN..];
            text.push_str(&format!(
                "  {:>9} in {}; -o json lists them\n",
                objects(more),
                counted(more.len() as u64, "more resource")
            ));
        }
    }
    text
}

/// Each cause with its objects and what to do next.
fn unreadable(inventory: &Inventory) -> String {
    let mut text = String::new();
    for cause in inventory.unreadable_causes.iter().take(CAUSES_SHOWN) {
        let error = cause.error.as_deref().unwrap_or("of other causes");
        let objects = cause.objects;
        text.push_str(&format!("{objects} unreadable: {}\n", OneLine(error)));
        let same = |one: &&Unreadable| {
            cause
                .error
                .as_ref()
                .is_some_and(|error| one.error == *error)
        };
        let mut keys: Vec<_> = inventory
            .unreadable
            .iter()
            .filter(same)
            .map(|one| &one.key)
            .take(KEYS_SHOWN)
            .collect();
        if keys.is_empty() {
            keys.push(&cause.example);
        }
        let more = objects.saturating_sub(keys.len() as u64);
        for key in keys {
            text.push_str(&format!("  {}\n", OneLine(key)));
        }
        if more > 0 {
            text.push_str(&format!("  {more} more; -o json lists them\n"));
        }
        text.push_str(&format!("  next: {}\n", OneLine(&cause.next)));
    }
    let more = inventory
        .unreadable_causes
        .len()
        .saturating_sub(CAUSES_SHOWN);
    if more > 0 {
        text.push_str(&format!(
            "{} of unreadable objects; -o json lists them\n",
            counted(more as u64, "more cause")
        ));
    }
    text
}

fn add_resource(table: &mut Table, resource: &ResourceInventory) {
    for (row, written) in resource.written_with.iter().enumerate() {
        let name = if row == 0 {
            resource.resource.as_str()
        } else {
            ""
        };
        table.add_row([
            name.to_owned(),
            described(written),
            written.objects.to_string(),
            bytes(written.bytes),
            state_text(written.state).to_owned(),
        ]);
    }
}

fn described(written: &WrittenWith) -> String {
    if written.others {
        return format!("{} under other keys", written.key.provider);
    }
    describe(&written.key, written.key_id.as_ref().map(KeyId::as_str))
}

fn sums(inventory: &Inventory) -> String {
    let sum =
        |count: fn(&ResourceInventory) -> u64| inventory.resources.iter().map(count).sum::<u64>();
    let counts = [
        ("current", sum(|resource| resource.current)),
        ("stale", sum(|resource| resource.stale)),
        ("in plain text", sum(|resource| resource.plaintext)),
        ("unreadable", sum(|resource| resource.unreadable)),
        ("unknowable", sum(|resource| resource.unknowable)),
    ];
    let parts: Vec<_> = counts
        .iter()
        .filter(|(name, count)| *count > 0 || *name == "stale")
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    format!(
        "{} objects: {}\n",
        sum(|resource| resource.total),
        parts.join(", ")
    ) + &dek_sources(inventory)
        + &roots(inventory)
}

/// Which roots open what: a root may be given up when the others open everything.
fn roots(inventory: &Inventory) -> String {
    let of: u64 = inventory
        .dek_sources
        .iter()
        .filter(|source| !source.roots.is_empty())
        .map(|source| source.objects)
        .sum();
    let told = |root: &RootCoverage| {
        let missing = match of.saturating_sub(root.objects) {
            0 => "all of them".to_owned(),
            missing => format!("not {missing} others"),
        };
        format!(
            "  {}: {} under its key, {missing}\n",
            root.root,
            counted(root.objects, "object")
        )
    };
    let rows: String = inventory.roots.iter().map(told).collect();
    if rows.is_empty() {
        return rows;
    }
    format!(
        "{} under local KEKs; any root opens what it wrapped:\n{rows}",
        counted(of, "object")
    )
}

/// Every one costs every start of an apiserver a call of its KMS plugin.
fn dek_sources(inventory: &Inventory) -> String {
    let about = if inventory.dek_sources_exact {
        ""
    } else {
        "≈ "
    };
    match inventory.dek_source_count {
        0 => String::new(),
        count => {
            let oldest = inventory.dek_sources.iter();
            let oldest = oldest.min_by_key(|source| source.oldest_revision);
            let oldest = oldest.map(|source| {
                format!(
                    ", the oldest since revision {} or before, which {}",
                    source.oldest_revision,
                    match source.objects {
                        1 => "1 object needs".to_owned(),
                        objects => format!("{objects} objects need"),
                    }
                )
            });
            format!(
                "{about}{} under KMS{}\n",
                counted(count, "distinct DEK source"),
                oldest.unwrap_or_default()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use kms_proto::inventory::{API_VERSION, KeyRef, ObjectState};

    use super::*;

    fn key(provider: &str, key: &str) -> KeyRef {
        KeyRef {
            provider: provider.into(),
            key: key.into(),
        }
    }

    #[test]
    fn a_table_fits_100_columns_and_says_what_is_stale() {
        let written = |key: KeyRef, id: Option<&str>, state, objects| WrittenWith {
            key,
            key_id: id.map(|id| id.parse().unwrap()),
            others: false,
            state,
            objects,
            bytes: objects * 1000,
        };
        let inventory = Inventory {
            api_version: API_VERSION,
            kind: "Inventory",
            cluster_uid: None,
            config_hash: String::new(),
            opened: true,
            stores: vec![],
            resources: vec![ResourceInventory {
                resource: "secrets".into(),
                store: "default".into(),
                path: "/registry/secrets/".into(),
                revision: 7,
                covered: true,
                writes_with: key("kms-v2", "ringfence"),
                total: 6,
                current: 1,
                stale: 2,
                plaintext: 3,
                unreadable: 0,
                unknowable: 0,
                written_with: vec![
                    written(key("aescbc", "key1"), None, ObjectState::Stale, 2),
                    written(key("identity", ""), None, ObjectState::Plaintext, 3),
                    written(
                        key("kms-v2", "ringfence"),
                        Some("rf-local-0123456789abcdef0123456789abcdef"),
                        ObjectState::Current,
                        1,
                    ),
                ],
            }],
            dek_source_count: 0,
            dek_sources_exact: true,
            dek_sources: vec![],
            roots: vec![],
            secret_kinds: None,
            unreadable: vec![],
            unreadable_rest: None,
            unreadable_causes: vec![],
            unowned: vec![],
        };
        let text = inventory_table(&inventory);
        assert!(
            text.lines().all(|line| line.chars().count() <= 100),
            "{text}"
        );
        assert!(
            text.contains("6 objects: 1 current, 2 stale, 3 in plain text\n"),
            "{text}"
        );
        assert!(
            text.contains("kms-v2 ringfence (rf-local-01234567…abcdef)"),
            "{text}"
        );
    }
}
