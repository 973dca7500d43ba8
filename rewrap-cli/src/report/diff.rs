use comfy_table::ContentArrangement;
use kms_proto::inventory::KeyRef;

use super::{describe, new_table};
use crate::{
    config::encryption::{ConfigDiff, KmsDiff, ResourceDiff},
    printable::OneLine,
};

/// What fits on a terminal and into a mail.
const WIDTH: usize = 100;

/// Two configurations for people: a row per change, the hashes, and the way from one to the other.
pub fn diff_table(diff: &ConfigDiff) -> String {
    let mut table = new_table(&["RESOURCE", "CHANGE", "KEY"]);
    table
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH as u16);
    let rows = diff.resources.iter().flat_map(resource_rows);
    for row in rows.chain(diff.kms_providers.iter().flat_map(kms_rows)) {
        table.add_row(row);
    }
    let hash = &diff.hash;
    let mut text = match table.row_count() {
        0 => String::new(),
        _ => format!("{table}\n\n"),
    };
    text.push_str(&format!("old file: {}\nnew file: {}\n", hash.from, hash.to));
    let verdict = match (diff.equal, hash.from == hash.to, diff.rolls_out_directly) {
        (true, true, _) => "the files are the same",
        (true, false, _) => {
            "the files mean the same; kube-apiserver takes any other byte for a change, and loads it"
        }
        (false, _, true) => "an apiserver with either file reads what one with the other writes",
        (false, _, false) => {
            "do not put the new file beside apiservers with the old one: one of them would not read \
             what the other writes, and clients lose sight of whole resources"
        }
    };
    text.push_str(&wrap(verdict, ""));
    for (number, step) in (1..).zip(&diff.steps) {
        text.push_str(&wrap(&format!("{number}. {}", OneLine(step)), "   "));
    }
    text
}

fn resource_rows(diff: &ResourceDiff) -> Vec<[String; 3]> {
    let mut rows = Vec::new();
    let mut row = |change: &str, key: String| {
        let name = if rows.is_empty() { &*diff.resource } else { "" };
        rows.push([OneLine(name).to_string(), change.to_owned(), key]);
    };
    let key = |key: &KeyRef| describe(key, None);
    let writes = &diff.writes_with;
    if writes.from != writes.to {
        row(
            "writes",
            format!("{}, no more {}", key(&writes.to), key(&writes.from)),
        );
    }
    for added in &diff.added {
        row("reads too", key(added));
    }
    for removed in &diff.removed {
        row("reads no more", key(removed));
    }
    for another in &diff.another_secret {
        row("another secret", key(another));
    }
    if diff.reordered {
        row("another order", String::new());
    }
    rows
}

fn kms_rows(diff: &KmsDiff) -> Vec<[String; 3]> {
    let name = describe(&diff.key, None);
    let endpoint = diff.endpoint.as_ref().map(|change| {
        let text = format!("{}, no more {}", change.to, change.from);
        [
            "".to_owned(),
            "endpoint".to_owned(),
            format!("{name}: {}", OneLine(&text)),
        ]
    });
    let timeout = diff.timeout_millis.as_ref().map(|change| {
        let text = format!("{name}: {} ms, no more {} ms", change.to, change.from);
        ["".to_owned(), "timeout".to_owned(), text]
    });
    endpoint.into_iter().chain(timeout).collect()
}

/// Lines that fit, of which the further ones are indented.
fn wrap(text: &str, indent: &str) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push_str(&line);
            lines.push('\n');
            line = format!("{indent}{word}");
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines + &line + "\n"
}
