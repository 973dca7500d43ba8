//! The names of resources: which are allowed, which overlap, which an earlier rule masks.

use std::collections::HashMap;

use super::{
    Entry,
    decode::{Path, Report},
    error::Problem,
};
use crate::{config::yaml::Text, stored::GroupResource};

/// Parsed names of one list, whatever was reported of them.
pub(super) fn validate(names: &[Text], at: &Path<'_>, report: &mut Report) -> Vec<GroupResource> {
    if names.is_empty() {
        report.add(at, Problem::AtLeastOne("resource"));
    }
    let resources: Vec<_> = names.iter().map(|name| parse(name.expose())).collect();
    check_overlap(&resources, at, report);
    for (index, (name, resource)) in names.iter().zip(&resources).enumerate() {
        if let Some(problem) = check_name(name.expose(), resource) {
            report.add(&at.index(index), problem);
        }
    }
    resources
}

/// Repeated names, and wildcards beside what they cover: each reported once a list.
fn check_overlap(resources: &[GroupResource], at: &Path<'_>, report: &mut Report) {
    let mut seen: HashMap<&GroupResource, usize> = HashMap::new();
    let mut groups: HashMap<&str, usize> = HashMap::new();
    for resource in resources {
        *seen.entry(resource).or_default() += 1;
        *groups.entry(&resource.group).or_default() += 1;
    }
    if seen.values().any(|count| *count > 1) {
        report.add(at, Problem::DuplicateResource);
    }
    let everything = GroupResource::new("*", "*");
    let covers = |resource: &GroupResource| {
        *resource == everything || &*resource.resource == "*" && groups[&*resource.group] > 1
    };
    if resources.len() > 1 && resources.iter().any(covers) {
        report.add(at, Problem::Overlap);
    }
}

/// The first rule that a name breaks.
fn check_name(name: &str, resource: &GroupResource) -> Option<Problem> {
    if name.to_lowercase() != name {
        return Some(Problem::CapitalLetters);
    }
    match name {
        "*" => return Some(Problem::Star),
        "apiserveripinfo" | "serviceipallocations" | "servicenodeportallocations" => {
            return Some(Problem::NoRestApi);
        }
        _ => {}
    }
    match (&*resource.resource, &*resource.group) {
        (_, "events.k8s.io") => Some(Problem::EventsGroup),
        (_, "extensions") => Some(Problem::ExtensionsGroup),
        ("*", "*") => None,
        (_, "*") => Some(Problem::AcrossGroups),
        _ => None,
    }
}

/// The loader's own rule: a name must not come after a wildcard that covers it, in another entry.
pub(super) fn check_masks(entries: &[Entry], report: &mut Report) {
    let root = Path::Root;
    let root = root.field("resources");
    let mut wildcards: HashMap<&GroupResource, String> = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let at = root.index(index);
        let at = at.field("resources");
        for (index, resource) in entry.resources.iter().enumerate() {
            let at = at.index(index);
            let mask = [
                GroupResource::new("*", &resource.group),
                GroupResource::new("*", "*"),
            ];
            match mask.iter().find_map(|wildcard| wildcards.get(wildcard)) {
                Some(by) => report.add(&at, Problem::Masked { by: by.clone() }),
                None if &*resource.resource == "*" => {
                    wildcards.insert(resource, at.to_string());
                }
                None => {}
            }
        }
    }
}

fn parse(name: &str) -> GroupResource {
    let Ok(resource) = name.parse();
    resource
}
