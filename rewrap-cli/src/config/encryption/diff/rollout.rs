//! From one file to another while apiservers have the one or the other.

use std::collections::BTreeMap;

use kms_proto::inventory::KeyRef;

use super::{KmsDiff, ResourceDiff};

/// What to do, in order.
pub(super) fn steps(resources: &[ResourceDiff], kms_providers: &[KmsDiff]) -> Vec<String> {
    let mut steps = Vec::new();
    if resources.iter().any(|diff| !diff.another_secret.is_empty()) {
        let step = "give the new key a name of its own and compare again: values carry nothing but the \
                    name, so nothing tells which of two keys protects what";
        return vec![step.to_owned()];
    }
    let unread_by_old = keys(resources, |diff| {
        let new = &diff.writes_with.to;
        (!diff.old_reads_new).then_some(new).into_iter().collect()
    });
    if !unread_by_old.is_empty() {
        steps.push(format!(
            "the old file with {} as well, behind everything else{}, on every apiserver; wait until each \
             has loaded it",
            list(&unread_by_old),
            entry_hint(resources, |diff| !diff.old_reads_new && is_plain(&diff.writes_with.from)),
        ));
    }
    let gone = keys(resources, |diff| diff.removed.iter().collect());
    if resources.iter().any(|diff| !diff.new_reads_old) {
        steps.push(format!(
            "the new file with {} as well, behind everything else{}, on every apiserver; then `rewrap run` \
             and `rewrap verify`",
            list(&gone),
            entry_hint(resources, |diff| !diff.new_reads_old && is_plain(&diff.writes_with.to)),
        ));
    } else if !gone.is_empty() {
        steps.push(format!(
            "see that nothing stored needs {}: `rewrap status -o json >FILE`, then `rewrap config lint \
             --inventory FILE` with the new file; where something does, `rewrap run` before",
            list(&gone)
        ));
    }
    for diff in kms_providers.iter().filter(|diff| diff.endpoint.is_some()) {
        steps.push(format!(
            "see that the plugin at the new endpoint of {} unwraps what the one at the old endpoint has \
             wrapped, and has the same key id",
            name(&diff.key)
        ));
    }
    if !resources.is_empty() || !kms_providers.is_empty() {
        steps.push("the new file, on one apiserver after the other".to_owned());
    }
    steps
}

fn is_plain(key: &KeyRef) -> bool {
    key.provider == "identity"
}

/// What no entry names is plain text, and nothing can be put behind that without an entry.
fn entry_hint(resources: &[ResourceDiff], plain: impl Fn(&ResourceDiff) -> bool) -> &'static str {
    match resources.iter().any(plain) {
        true => " (where there is no entry, in one that begins with identity)",
        false => "",
    }
}

/// Keys with the resources that they are wanted for.
fn keys(
    resources: &[ResourceDiff],
    wanted: impl Fn(&ResourceDiff) -> Vec<&KeyRef>,
) -> BTreeMap<KeyRef, Vec<&str>> {
    let mut keys: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for diff in resources {
        for key in wanted(diff) {
            keys.entry(key.clone()).or_default().push(&*diff.resource);
        }
    }
    keys
}

fn list(keys: &BTreeMap<KeyRef, Vec<&str>>) -> String {
    let parts: Vec<_> = keys
        .iter()
        .map(|(key, resources)| format!("{} for {}", name(key), resources.join(", ")))
        .collect();
    parts.join(" and ")
}

fn name(key: &KeyRef) -> String {
    match key.key.as_str() {
        "" => key.provider.clone(),
        name => format!("{} {name}", key.provider),
    }
}
