//! Results on stdout: tables that fit 100 columns for people, one document for programs.

mod diff;
mod secrets;

use comfy_table::{CellAlignment, Table, presets::NOTHING};
use kms_proto::{
    KeyId,
    inventory::{
        Inventory, KeyRef, ObjectState, ResourceInventory, RewrapPlan, RewrapReport, Unreadable,
        WrittenWith,
    },
};
use serde::Serialize;

pub use diff::diff_table;

use crate::{
    cli::Output,
    printable::{Lines, OneLine},
};

/// Resources that only the sums mention: nothing encrypts them and nothing encrypted was found.
fn is_plain(resource: &ResourceInventory) -> bool {
    resource.writes_with.provider == "identity" && resource.current == resource.total
}

/// Prints a document for programs, or what `table` makes of it for people.
///
/// # Errors
/// stdout cannot be written.
pub fn print<T: Serialize>(
    output: Output,
    document: &T,
    table: impl FnOnce(&T) -> String,
) -> std::io::Result<()> {
    use std::io::{BufWriter, Write as _};
    let mut text = match output {
        Output::Table => Lines(&table(document)).to_string(),
        Output::Json => {
            // May be as long as the lists in it.
            let mut out = BufWriter::new(std::io::stdout().lock());
            serde_json::to_writer_pretty(&mut out, document)?;
            out.write_all(b"\n")?;
            return out.flush();
        }
        Output::Yaml => serde_saphyr::to_string(document).map_err(std::io::Error::other)?,
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    std::io::stdout().lock().write_all(text.as_bytes())
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

/// Resources without a rule, causes, and keys of each cause that a person is shown; the document has
/// all.
const UNCOVERED_SHOWN: usize = 10;
const CAUSES_SHOWN: usize = 10;
const KEYS_SHOWN: usize = 3;

/// Failures of a run a person is shown.
const FAILURES_SHOWN: usize = 10;

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

pub(crate) fn state_text(state: ObjectState) -> &'static str {
    match state {
        ObjectState::Current => "current",
        ObjectState::Stale => "stale",
        ObjectState::Plaintext => "plain text",
        ObjectState::Unreadable => "unreadable",
        ObjectState::Unknowable => "unknowable",
    }
}

fn described(written: &WrittenWith) -> String {
    if written.others {
        return format!("{} under other keys", written.key.provider);
    }
    describe(&written.key, written.key_id.as_ref().map(KeyId::as_str))
}

pub(crate) fn describe(key: &KeyRef, key_id: Option<&str>) -> String {
    let mut text = key.provider.clone();
    if !key.key.is_empty() {
        text.push(' ');
        text.push_str(&key.key);
    }
    if let Some(id) = key_id {
        text.push_str(" (");
        text.push_str(&shorten(id));
        text.push(')');
    }
    OneLine(&text).to_string()
}

/// Key ids are compared by eye here, and told apart by their first and last characters.
fn shorten(id: &str) -> String {
    let chars: Vec<char> = id.chars().collect();
    if chars.len() <= 24 {
        return id.to_owned();
    }
    let head: String = chars[..17].iter().collect();
    let tail: String = chars[chars.len() - 6..].iter().collect();
    format!("{head}…{tail}")
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

/// A plan for people.
pub fn plan_table(plan: &RewrapPlan) -> String {
    let mut table = new_table(&["RESOURCE", "TO REWRITE", "SIZE", "WOULD BE WRITTEN WITH"]);
    for resource in &plan.resources {
        table.add_row([
            resource.resource.clone(),
            resource.objects.to_string(),
            bytes(resource.bytes),
            describe(&resource.writes_with, None),
        ]);
    }
    right(&mut table, &[1, 2]);
    let mut text = if plan.resources.is_empty() {
        "nothing to rewrite\n".to_owned()
    } else {
        format!(
            "{table}\n\n{}, {}",
            counted(plan.objects, "object"),
            counted(plan.kms_calls, "KMS call")
        )
    };
    if !plan.resources.is_empty() {
        if let Some(seconds) = plan.seconds {
            text.push_str(&format!(", about {} at the chosen rate", duration(seconds)));
        }
        text.push('\n');
        text.push_str(&growth(plan));
    }
    for warning in &plan.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    text
}

fn growth(plan: &RewrapPlan) -> String {
    let mut text = format!("the database grows by about {}", bytes(plan.growth_bytes));
    if let Some(size) = plan.db_size {
        text.push_str(&format!(" from {}", bytes(size)));
    }
    if let Some(quota) = plan.db_quota {
        text.push_str(&format!(" of {} allowed", bytes(quota)));
    }
    text.push_str(", until it is compacted\n");
    text
}

/// The end of a run for people.
pub fn report_text(report: &RewrapReport) -> String {
    let mut text = format!(
        "{} rewrapped, {} already current, {} vanished, {} failed of {} objects\n",
        report.rewrapped, report.already_current, report.vanished, report.failed, report.total
    );
    if report.unknowable > 0 {
        text.push_str(&format!(
            "{} unknowable: under KMS v1, which stores no key id\n",
            report.unknowable
        ));
    }
    text.push_str(&format!(
        "{}, read through {}, {:.1} s, {:.0} objects/s while writing\n",
        counted(report.conflicts, "lost race"),
        counted(report.passes.into(), "time"),
        report.elapsed_seconds,
        report.objects_per_second
    ));
    if report.backed_off > 0 {
        text.push_str(&format!(
            "etcd was slow or said so: fewer in flight, {}\n",
            counted(report.backed_off, "time")
        ));
    }
    for failure in report.failures.iter().take(FAILURES_SHOWN) {
        text.push_str(&format!(
            "failed: {}: {}\n",
            OneLine(&failure.key),
            failure.error
        ));
    }
    let more = report.failed.saturating_sub(FAILURES_SHOWN as u64);
    if more > 0 {
        text.push_str(&format!("{more} more failed; -o json lists them\n"));
    }
    text
}

/// A table without lines: it can be cut, sorted and pasted.
pub(crate) fn new_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    *table.style_mut() = NOTHING;
    table.set_header(header.to_vec());
    table
}

/// Numbers stand under each other.
pub(crate) fn right(table: &mut Table, columns: &[usize]) {
    for column in columns {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// A number and the noun it counts.
fn counted(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// A size in the binary units that etcd's own limits are given in.
pub(crate) fn bytes(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

fn duration(seconds: u64) -> String {
    indicatif::HumanDuration(std::time::Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use kms_proto::inventory::API_VERSION;

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
