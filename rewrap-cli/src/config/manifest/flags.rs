//! Flags as kube-apiserver's parser reads them (`github.com/spf13/pflag`).

use std::path::Path;

use super::ManifestError;
use crate::config::yaml::{Node, Value};

/// The flags that are looked at, which take a value.
const TEXTS: [&str; 8] = [
    "etcd-servers",
    "etcd-servers-overrides",
    "etcd-prefix",
    "etcd-cafile",
    "etcd-certfile",
    "etcd-keyfile",
    "encryption-provider-config",
    "feature-gates",
];

/// Those that may stand alone.
const BOOLS: [&str; 1] = ["encryption-provider-config-automatic-reload"];

/// The flags of kube-apiserver that matter here, in the order of the command line.
pub(super) struct Flags<'n>(Vec<(&'static str, &'n str)>);

/// Whether a container's command line, or its name, is kube-apiserver's.
pub(super) fn runs_apiserver(container: &Node) -> bool {
    let named = container.get("name").and_then(Node::as_str) == Some("kube-apiserver");
    let command = container.get("command").map_or(&[][..], Node::elements);
    match command {
        // The entry point of the image; only the name tells.
        [] => named,
        _ => words(container).any(|word| word.as_str().is_some_and(is_apiserver)),
    }
}

impl<'n> Flags<'n> {
    pub(super) fn read(container: &'n Node) -> Result<Self, ManifestError> {
        let words: Option<Vec<&str>> = words(container).map(Node::as_str).collect();
        let words = words.ok_or(ManifestError::NotAString)?;
        // Whatever stands before the program, such as a log wrapper, has flags of its own.
        let program = words.iter().position(|word| is_apiserver(word));
        let mut words = words
            .into_iter()
            .skip(program.map_or(0, |position| position + 1));
        let mut flags = Vec::new();
        while let Some(word) = words.next() {
            if word == "--" {
                break;
            }
            let Some(flag) = word.strip_prefix("--") else {
                continue;
            };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (flag, None),
            };
            // Underscores are accepted for dashes.
            let name = name.replace('_', "-");
            if let Some(known) = TEXTS.into_iter().find(|known| *known == name) {
                let value = value
                    .or_else(|| words.next())
                    .ok_or(ManifestError::NoValue(known))?;
                flags.push((known, value));
            } else if let Some(known) = BOOLS.into_iter().find(|known| *known == name) {
                flags.push((known, value.unwrap_or("true")));
            }
        }
        Ok(Self(flags))
    }

    /// The last value of a flag.
    pub(super) fn text(&self, flag: &'static str) -> Result<Option<&'n str>, ManifestError> {
        self.values(flag).last().transpose()
    }

    /// The elements of a list, of which repeated flags add up.
    pub(super) fn list(&self, flag: &'static str) -> Result<Vec<String>, ManifestError> {
        let mut list = Vec::new();
        for value in self.values(flag) {
            let elements = value?.split(',').filter(|element| !element.is_empty());
            list.extend(elements.map(str::to_owned));
        }
        Ok(list)
    }

    /// A switch, off by default.
    pub(super) fn bool(&self, flag: &'static str) -> Result<bool, ManifestError> {
        match self.text(flag)? {
            Some(text) => go_bool(text).ok_or(ManifestError::Value(flag)),
            None => Ok(false),
        }
    }

    /// The setting of a feature gate.
    pub(super) fn feature_gate(&self, gate: &str) -> Result<Option<bool>, ManifestError> {
        let flag = "feature-gates";
        let mut setting = None;
        for pair in self.list(flag)? {
            let (name, value) = pair.split_once('=').ok_or(ManifestError::Value(flag))?;
            if name.trim() == gate {
                setting = Some(go_bool(value.trim()).ok_or(ManifestError::Value(flag))?);
            }
        }
        Ok(setting)
    }

    fn values(&self, flag: &'static str) -> impl Iterator<Item = Result<&'n str, ManifestError>> {
        self.0
            .iter()
            .filter(move |(name, _)| *name == flag)
            .map(move |(_, value)| match value.contains("$(") {
                true => Err(ManifestError::Variable(flag)),
                false => Ok(*value),
            })
    }
}

fn words(container: &Node) -> impl Iterator<Item = &Node> {
    ["command", "args"]
        .into_iter()
        .filter_map(|list| container.get(list))
        .flat_map(Node::elements)
        .filter(|node| !matches!(node.value, Value::Null))
}

fn is_apiserver(word: &str) -> bool {
    Path::new(word)
        .file_name()
        .is_some_and(|name| name == "kube-apiserver")
}

/// `strconv.ParseBool`.
fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}
