//! Results on stdout: tables that fit 100 columns for people, one document for programs.

mod diff;
mod inventory;
mod secrets;

use comfy_table::{CellAlignment, Table, presets::NOTHING};
use kms_proto::inventory::{KeyRef, ObjectState, RewrapPlan, RewrapReport};
use serde::Serialize;

pub use diff::diff_table;
pub use inventory::inventory_table;

use crate::{
    cli::Output,
    printable::{Lines, OneLine},
};

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

/// Failures of a run a person is shown.
const FAILURES_SHOWN: usize = 10;

pub(crate) fn state_text(state: ObjectState) -> &'static str {
    match state {
        ObjectState::Current => "current",
        ObjectState::Stale => "stale",
        ObjectState::Plaintext => "plain text",
        ObjectState::Unreadable => "unreadable",
        ObjectState::Unknowable => "unknowable",
    }
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
