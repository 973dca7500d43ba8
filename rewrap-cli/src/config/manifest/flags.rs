//! Flags as kube-apiserver's parser reads them (`github.com/spf13/pflag`).

use std::path::Path;

use super::{ManifestError, variables::Variables};
use crate::config::{
    go,
    yaml::{Node, Value},
};

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

/// The flags of kube-apiserver that matter here, in the order of the command line; None for a value
/// that only the kubelet knows.
pub(super) struct Flags(Vec<(&'static str, Option<String>)>);

/// The container that runs kube-apiserver: by its name if that is so, else by its command line.
pub(super) fn apiserver(containers: &[Node]) -> Option<&Node> {
    let named = |container: &&Node| {
        let command = container.get("command").map_or(&[][..], Node::elements);
        container.get("name").and_then(Node::as_str) == Some("kube-apiserver")
            // Without a command, the entry point of the image runs.
            && (command.is_empty() || runs_apiserver(container))
    };
    containers.iter().find(named).or_else(|| {
        containers
            .iter()
            .find(|container| runs_apiserver(container))
    })
}

fn runs_apiserver(container: &Node) -> bool {
    words(container).any(|word| word.as_str().is_some_and(is_apiserver))
}

impl Flags {
    pub(super) fn read(container: &Node) -> Result<Self, ManifestError> {
        let variables = Variables::read(container);
        let words: Option<Vec<_>> = words(container)
            .map(|word| word.as_str().map(|word| variables.expand(word)))
            .collect();
        let words = words.ok_or(ManifestError::NotAString)?;
        // Whatever stands before the program, such as a log wrapper, has flags of its own.
        let program = words.iter().position(|word| is_apiserver(&word.text));
        let mut words = words
            .into_iter()
            .skip(program.map_or(0, |position| position + 1));
        let mut flags = Vec::new();
        while let Some(word) = words.next() {
            if word.text == "--" {
                break;
            }
            let Some(flag) = word.text.strip_prefix("--") else {
                continue;
            };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (flag, None),
            };
            // Underscores are accepted for dashes.
            let name = name.replace('_', "-");
            let known = |names: &[&'static str]| names.iter().copied().find(|known| *known == name);
            let value = value.map(|value| word.known.then(|| value.to_owned()));
            if let Some(flag) = known(&TEXTS) {
                let next = || words.next().map(|word| word.known.then_some(word.text));
                let value = value.or_else(next).ok_or(ManifestError::NoValue(flag))?;
                flags.push((flag, value));
            } else if let Some(flag) = known(&BOOLS) {
                flags.push((flag, value.unwrap_or_else(|| Some("true".to_owned()))));
            }
        }
        Ok(Self(flags))
    }

    /// The last value of a flag.
    pub(super) fn text(&self, flag: &'static str) -> Result<Option<&str>, ManifestError> {
        self.values(flag).last().transpose()
    }

    /// The elements of a list, of which repeated flags add up: comma-separated values, of which each may
    /// be quoted (`StringSlice`).
    pub(super) fn list(&self, flag: &'static str) -> Result<Vec<String>, ManifestError> {
        let mut list = Vec::new();
        for value in self.values(flag) {
            list.extend(go::csv::read(value?).ok_or(ManifestError::Value(flag))?);
        }
        Ok(list)
    }

    /// A switch, off by default.
    pub(super) fn bool(&self, flag: &'static str) -> Result<bool, ManifestError> {
        match self.text(flag)? {
            Some(text) => go::bool::parse(text).ok_or(ManifestError::Value(flag)),
            None => Ok(false),
        }
    }

    /// The setting of a feature gate.
    pub(super) fn feature_gate(&self, gate: &str) -> Result<Option<bool>, ManifestError> {
        let flag = "feature-gates";
        let mut setting = None;
        for value in self.values(flag) {
            let found = feature_gate(value?, gate).ok_or(ManifestError::Value(flag))?;
            setting = found.or(setting);
        }
        Ok(setting)
    }

    fn values(&self, flag: &'static str) -> impl Iterator<Item = Result<&str, ManifestError>> {
        self.0
            .iter()
            .filter(move |(name, _)| *name == flag)
            .map(move |(_, value)| value.as_deref().ok_or(ManifestError::Variable(flag)))
    }
}

/// What a value of `--feature-gates` says of a gate of kube-apiserver: pairs between commas; since 1.31
/// they may begin with a component, which is `kube` without.
///
/// None if kube-apiserver does not take the value.
pub(crate) fn feature_gate(value: &str, gate: &str) -> Option<Option<bool>> {
    let mut setting = None;
    for pair in value.split(',').filter(|pair| !pair.is_empty()) {
        let (component, pair) = pair.split_once(':').unwrap_or(("kube", pair));
        let (name, value) = pair.split_once('=')?;
        let on = go::bool::parse(value.trim())?;
        if component.trim() == "kube" && name.trim() == gate {
            setting = Some(on);
        }
    }
    Some(setting)
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
