//! What kube-apiserver accepts without a word but the operator may regret.

mod keys;
mod needs;
mod regret;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    time::Duration,
};

use self::keys::Keys;
use super::{
    Entry, KmsProvider, SocketAddress,
    decode::{Path, Report},
    kms::KmsVersion,
    validate::Valid,
};
use crate::stored::{Existence, GroupResource, Provider};

pub use needs::StoredUnder;
pub use regret::Regret;

/// How long kube-apiserver waits at least for the plugins of a changed file to be healthy
/// (`encryptionconfig/controller/controller.go`).
const LEAST_GRACE: Duration = Duration::from_secs(10);

/// Something to think again about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The field as Kubernetes prints it; empty where the whole file is meant.
    pub path: String,
    /// The line, counted from 1, where it is known.
    pub line: Option<u32>,
    /// What there is to regret.
    pub regret: Regret,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, regret } = self;
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        write!(f, "{regret}")?;
        match line {
            Some(line) => write!(f, " (line {line})"),
            None => Ok(()),
        }
    }
}

/// Looks through an accepted file, in its order.
pub(super) fn lint(valid: &Valid, report: &Report) -> Vec<Warning> {
    let mut linter = Linter {
        report,
        keys: Keys::default(),
        named: HashSet::new(),
        warnings: Vec::new(),
    };
    linter.entries(&valid.entries);
    linter.kms_providers(valid);
    linter.warnings
}

struct Linter<'r> {
    report: &'r Report,
    keys: Keys,
    /// The resources that an entry has named already: further entries only read them.
    named: HashSet<GroupResource>,
    warnings: Vec<Warning>,
}

impl Linter<'_> {
    fn entries(&mut self, entries: &[Entry]) {
        let root = Path::Root;
        let root = root.field("resources");
        let mut secrets_written = false;
        for (index, entry) in entries.iter().enumerate() {
            let at = root.index(index);
            let covers_secrets = entry.resources.iter().any(covers_secrets);
            let new = entry
                .resources
                .iter()
                .filter(|resource| self.named.insert((*resource).clone()));
            if new.count() > 0 {
                let writes_secrets = covers_secrets && !secrets_written;
                self.writer(entry, &at.field("providers"), writes_secrets);
            }
            secrets_written |= covers_secrets;
            let list = at.field("resources");
            for (index, resource) in entry.resources.iter().enumerate() {
                self.resource(resource, &list.index(index));
            }
            let list = at.field("providers");
            for (index, provider) in entry.rule.providers().iter().enumerate() {
                self.provider(provider, &list.index(index));
            }
        }
        if !secrets_written {
            self.warn(&Path::Root, Regret::SecretsNotCovered);
        }
    }

    fn writer(&mut self, entry: &Entry, at: &Path<'_>, writes_secrets: bool) {
        let regret = match entry.rule.providers() {
            [Provider::Identity, ..] if writes_secrets => Regret::SecretsInPlainText,
            // Alone it says that these resources are not to be encrypted.
            [Provider::Identity, _, ..] => Regret::PlainText,
            [Provider::AesCbc(_), ..] => Regret::AesCbcWrites,
            [Provider::AesGcm(_), ..] => Regret::AesGcmWrites,
            _ => return,
        };
        self.warn(&at.index(0), regret);
    }

    fn resource(&mut self, resource: &GroupResource, at: &Path<'_>) {
        let odd = |text: &str, odd: fn(char) -> bool| text != "*" && text.contains(odd);
        let either =
            |check: fn(char) -> bool| odd(&resource.resource, check) || odd(&resource.group, check);
        let regret = if either(char::is_whitespace) {
            Regret::BlankInName
        } else if either(|char| matches!(char, '/' | '*')) {
            Regret::InertName { meant: None }
        } else {
            match resource.existence() {
                Existence::BuiltIn | Existence::Custom => return,
                Existence::NeverEncrypted => Regret::NeverEncrypted,
                Existence::None { meant } => Regret::InertName { meant },
            }
        };
        self.warn(at, regret);
    }

    fn provider(&mut self, provider: &Provider, at: &Path<'_>) {
        let (kind, keys) = match provider {
            Provider::AesCbc(keys) => ("aescbc", keys),
            Provider::AesGcm(keys) => ("aesgcm", keys),
            Provider::Secretbox(keys) => ("secretbox", keys),
            Provider::Identity | Provider::KmsV1(_) | Provider::KmsV2(_) => return,
        };
        let at = at.field(kind);
        let at = at.field("keys");
        for (index, key) in keys.iter().enumerate() {
            let at = at.index(index);
            for regret in self.keys.add(kind, key, &at.to_string()) {
                self.warn(&at, regret);
            }
        }
    }

    fn kms_providers(&mut self, valid: &Valid) {
        let providers = valid.kms_providers.iter().map(|found| &found.provider);
        let grace = close_grace(providers);
        let mut names = HashMap::new();
        for found in &valid.kms_providers {
            let KmsProvider {
                name,
                version,
                endpoint,
                timeout,
            } = &found.provider;
            let mut regrets = Vec::new();
            if *version == KmsVersion::V1 {
                regrets.push(Regret::KmsV1);
            }
            match endpoint {
                SocketAddress::Path(path) if path.is_absolute() => {}
                SocketAddress::Path(_) => regrets.push(Regret::NoSocketPath),
                SocketAddress::Abstract(_) => regrets.push(Regret::AbstractSocket),
            }
            if *timeout > LEAST_GRACE {
                let timeout = *timeout;
                regrets.push(Regret::SlowKms { timeout, grace });
            }
            let first = names.entry(name).or_insert(&found.path);
            if *first != &found.path {
                regrets.push(Regret::SameKmsName((*first).clone()));
            }
            self.warnings
                .extend(regrets.into_iter().map(|regret| Warning {
                    path: found.path.clone(),
                    line: found.line,
                    regret,
                }));
        }
    }

    fn warn(&mut self, at: &Path<'_>, regret: Regret) {
        self.warnings.push(Warning {
            path: at.to_string(),
            line: self.report.line(at),
            regret,
        });
    }
}

/// How long kube-apiserver keeps what an older file says in use after a change, and waits for the
/// plugins of the new one: twice the sum of all timeouts, in which kms v1 counts twice
/// (`KMSCloseGracePeriod`, `encryptionconfig/config.go`).
fn close_grace<'p>(providers: impl Iterator<Item = &'p KmsProvider>) -> Duration {
    let calls = |version| match version {
        KmsVersion::V1 => 2,
        KmsVersion::V2 => 1,
    };
    providers.fold(Duration::ZERO, |sum, provider| {
        sum.saturating_add(provider.timeout.saturating_mul(2 * calls(provider.version)))
    })
}

fn covers_secrets(resource: &GroupResource) -> bool {
    matches!(
        (&*resource.resource, &*resource.group),
        ("secrets" | "*", "") | ("*", "*")
    )
}
