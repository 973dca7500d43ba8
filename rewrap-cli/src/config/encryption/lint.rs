//! What kube-apiserver accepts without a word but the operator may regret.

use std::{collections::HashMap, fmt};

use sha2::{Digest, Sha256};

use super::{
    Entry, SocketAddress,
    decode::{Path, Report},
    kms::KmsVersion,
    validate::Valid,
};
use crate::stored::{GroupResource, NamedKey, Provider};

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

/// What there is to regret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Regret {
    /// No entry covers Secrets.
    #[error("no entry covers secrets: they are stored in plain text")]
    SecretsNotCovered,
    /// Identity writes Secrets.
    #[error("identity comes first: new and changed secrets are stored in plain text")]
    SecretsInPlainText,
    /// aescbc writes.
    #[error("aescbc writes here; it is not authenticated, prefer kms v2 or secretbox")]
    AesCbcWrites,
    /// aesgcm writes.
    #[error(
        "aesgcm writes here; its random nonces allow about 200,000 writes a key, then the key must be rotated"
    )]
    AesGcmWrites,
    /// kms v1.
    #[error("kms v1 is deprecated and off by default since Kubernetes 1.29; move to kms v2")]
    KmsV1,
    /// No socket can be behind the endpoint.
    #[error("the endpoint has no absolute path; write it as unix:///path/to/socket")]
    NoSocketPath,
    /// The same key under two names.
    #[error("the same key material stands under another name at {0}")]
    SameKey(String),
    /// Two keys under one name.
    #[error("the same name stands for another key at {0}; values under it are tried with both")]
    SameName(String),
    /// A name that no resource has.
    #[error(
        "no resource has such a name, so this line has no effect; write it as secrets or deployments.apps"
    )]
    InertName,
}

/// Looks through an accepted file, in its order.
pub(super) fn lint(valid: &Valid, report: &Report) -> Vec<Warning> {
    let mut linter = Linter {
        report,
        names: HashMap::new(),
        materials: HashMap::new(),
        warnings: Vec::new(),
    };
    linter.entries(&valid.entries);
    for found in &valid.kms_providers {
        let mut warn = |regret| {
            linter.warnings.push(Warning {
                path: found.path.clone(),
                line: found.line,
                regret,
            });
        };
        if found.provider.version == KmsVersion::V1 {
            warn(Regret::KmsV1);
        }
        if matches!(&found.provider.endpoint, SocketAddress::Path(path) if !path.is_absolute()) {
            warn(Regret::NoSocketPath);
        }
    }
    linter.warnings
}

struct Linter<'r> {
    report: &'r Report,
    /// Where the key of a transformer and name first stood, and a digest of it.
    names: HashMap<(&'static str, String), (Digested, String)>,
    /// The name and place under which a key of a transformer first stood.
    materials: HashMap<(&'static str, Digested), (String, String)>,
    warnings: Vec<Warning>,
}

/// SHA-256 of a key: keys themselves are not compared.
type Digested = [u8; 32];

impl Linter<'_> {
    fn entries(&mut self, entries: &[Entry]) {
        let root = Path::Root;
        let root = root.field("resources");
        let mut secrets_written = false;
        for (index, entry) in entries.iter().enumerate() {
            let at = root.index(index);
            let covers_secrets = entry.resources.iter().any(covers_secrets);
            self.writer(
                entry,
                &at.field("providers"),
                covers_secrets && !secrets_written,
            );
            secrets_written |= covers_secrets;
            let list = at.field("resources");
            for (index, resource) in entry.resources.iter().enumerate() {
                if is_inert(resource) {
                    self.warn(&list.index(index), Regret::InertName);
                }
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
        let regret = match entry.rule.providers().first() {
            Some(Provider::Identity) if writes_secrets => Regret::SecretsInPlainText,
            Some(Provider::AesCbc(_)) => Regret::AesCbcWrites,
            Some(Provider::AesGcm(_)) => Regret::AesGcmWrites,
            _ => return,
        };
        self.warn(&at.index(0), regret);
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
            self.key(kind, key, &at.index(index));
        }
    }

    fn key(&mut self, kind: &'static str, key: &NamedKey, at: &Path<'_>) {
        let digest: Digested = Sha256::digest(key.expose()).into();
        let named = self.names.entry((kind, key.name().to_owned()));
        let (known, place) = named.or_insert_with(|| (digest, at.to_string()));
        let same_name = (*known != digest).then(|| Regret::SameName(place.clone()));
        let material = self.materials.entry((kind, digest));
        let (name, place) = material.or_insert_with(|| (key.name().to_owned(), at.to_string()));
        let same_key = (*name != key.name()).then(|| Regret::SameKey(place.clone()));
        for regret in same_name.into_iter().chain(same_key) {
            self.warn(at, regret);
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

fn covers_secrets(resource: &GroupResource) -> bool {
    matches!(
        (&*resource.resource, &*resource.group),
        ("secrets" | "*", "") | ("*", "*")
    )
}

/// Blanks and slashes, the wildcard inside a name, and the core group spelt out.
fn is_inert(resource: &GroupResource) -> bool {
    let name = &*resource.resource;
    let group = &*resource.group;
    let odd =
        |text: &str| text.contains(|char: char| char.is_whitespace() || matches!(char, '/' | '*'));
    name.is_empty()
        || name != "*" && odd(name)
        || group != "*" && odd(group)
        || matches!(group, "core" | "v1")
}
