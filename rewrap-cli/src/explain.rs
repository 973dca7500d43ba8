//! What kube-apiserver's error texts about encryption mean, and what to do about each.
//!
//! Pure: texts in, explanations out. The texts are facts of `k8s.io/apiserver` 1.28 to 1.37; where one
//! was put together at run time, `…` stands for what differs.

use crate::{
    printable::OneLine,
    stored::{Crds, EtcdPrefix, GroupResource, Location},
};

mod loading;
mod plugin;
mod reading;

/// One text that kube-apiserver says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// What it says; `…` stands for any words.
    pub text: &'static str,
    /// What was wrong.
    pub means: &'static str,
    /// What to type or to look at; `OBJECT` stands for the resource and name of the object.
    pub next: &'static [&'static str],
}

impl Explanation {
    /// Whether its words are in a text, in their order.
    fn is_in(&self, text: &str) -> bool {
        let mut rest = text;
        self.text.split('…').all(|words| match rest.find(words) {
            Some(at) => {
                rest = &rest[at + words.len()..];
                true
            }
            None => false,
        })
    }
}

/// All explanations of what a text says, the cause before what follows from it.
///
/// A text of several errors has several; lines of a log may be given as they are.
pub fn explain(text: &str) -> Vec<&'static Explanation> {
    // In a log and in JSON, quotes are escaped.
    let text = text.replace("\\\"", "\"");
    catalogue().filter(|known| known.is_in(&text)).collect()
}

fn catalogue() -> impl Iterator<Item = &'static Explanation> {
    [plugin::TEXTS, reading::TEXTS, loading::TEXTS]
        .into_iter()
        .flatten()
}

/// The first object whose etcd key a text names, as `rewrap get` takes it: `secrets default/db`.
/// Some texts have the key without the prefix: `Key: /secrets/default/db`.
pub fn object(text: &str, prefix: &EtcdPrefix) -> Option<String> {
    let directory = prefix.directory();
    let whole = text
        .match_indices(&directory)
        .map(|(at, _)| key_at(&text[at..]).to_owned());
    let bare = text
        .match_indices("Key: /")
        .map(|(at, found)| format!("{directory}{}", key_at(&text[at + found.len()..])));
    whole.chain(bare).find_map(
        |key| match prefix.locate(key.as_bytes(), &Crds::default()) {
            Location::Object { resource, key } => Some(named(&resource, &key.to_string())),
            // Its scope is unknown here, but the key has all of the name.
            Location::Unowned(resource) => {
                let path = format!("{directory}{}/{}/", resource.group, resource.resource);
                Some(named(&resource, key.strip_prefix(&path)?))
            }
            Location::NeverTouched(_) | Location::Unmapped { .. } => None,
        },
    )
}

/// The key that a text begins with.
fn key_at(text: &str) -> &str {
    let ends = |char: char| char.is_whitespace() || matches!(char, '"' | '\\' | ',');
    let key = &text[..text.find(ends).unwrap_or(text.len())];
    key.trim_end_matches(':')
}

fn named(resource: &GroupResource, name: &str) -> String {
    OneLine(&format!("{resource} {name}")).to_string()
}

#[cfg(test)]
mod tests;
