//! The rules of `pkg/apis/apiserver/validation/validation_encryption.go`: every violation is
//! reported, and what passes is built on the way.

use std::{collections::HashSet, sync::Arc};

use super::{
    Entry, ParseOptions,
    decode::{Path, Report},
    error::Problem,
    keys::keys,
    kms::{self, FoundKms},
    resources,
    schema::{ProviderConfiguration, Schema},
};
use crate::{
    config::yaml::Text,
    stored::{Provider, Rule},
};

/// The keys that AES takes: 128, 192 and 256 bits.
const AES: &[usize] = &[16, 24, 32];
const SECRETBOX: &[usize] = &[32];

/// What the file says, complete only if nothing was reported.
#[derive(Default)]
pub(super) struct Valid {
    pub(super) entries: Vec<Entry>,
    pub(super) kms_providers: Vec<FoundKms>,
}

pub(super) fn validate(schema: &Schema, options: &ParseOptions, report: &mut Report) -> Valid {
    let mut valid = Valid::default();
    let root = Path::Root;
    let root = root.field("resources");
    if schema.resources.is_empty() {
        report.add(&root, Problem::AtLeastOne("resources"));
    }
    let mut names = HashSet::new();
    for (index, entry) in schema.resources.iter().enumerate() {
        let at = root.index(index);
        let resources = resources::validate(&entry.resources, &at.field("resources"), report);
        let at = at.field("providers");
        if entry.providers.is_empty() {
            report.add(&at, Problem::AtLeastOne("provider"));
        }
        let mut providers = Vec::new();
        for (index, provider) in entry.providers.iter().enumerate() {
            let at = at.index(index);
            check_single(provider, &at, report);
            providers.extend(build(
                provider, &at, options, &mut names, &mut valid, report,
            ));
        }
        let mut providers = providers.into_iter();
        valid.entries.extend(providers.next().map(|first| Entry {
            resources,
            rule: Arc::new(Rule::new(first, providers)),
        }));
    }
    valid
}

fn check_single(provider: &ProviderConfiguration, at: &Path<'_>, report: &mut Report) {
    let ProviderConfiguration {
        aesgcm,
        aescbc,
        secretbox,
        identity,
        kms,
    } = provider;
    let kinds = [
        aesgcm.is_some(),
        aescbc.is_some(),
        secretbox.is_some(),
        identity.is_some(),
        kms.is_some(),
    ];
    match kinds.into_iter().filter(|set| *set).count() {
        0 => report.add(at, Problem::NoProvider),
        1 => {}
        _ => report.add(at, Problem::SeveralProviders),
    }
}

fn build(
    provider: &ProviderConfiguration,
    at: &Path<'_>,
    options: &ParseOptions,
    names: &mut HashSet<Text>,
    valid: &mut Valid,
    report: &mut Report,
) -> Option<Provider> {
    if let Some(config) = &provider.kms {
        let found = kms::validate(config, &at.field("kms"), names, options, report);
        names.insert(config.name.clone());
        let provider = found.as_ref().map(|found| found.provider.transformer());
        valid.kms_providers.extend(found);
        return provider;
    }
    if let Some(config) = &provider.aesgcm {
        return keys(&config.keys, &at.field("aesgcm").field("keys"), AES, report)
            .map(Provider::AesGcm);
    }
    if let Some(config) = &provider.aescbc {
        return keys(&config.keys, &at.field("aescbc").field("keys"), AES, report)
            .map(Provider::AesCbc);
    }
    if let Some(config) = &provider.secretbox {
        return keys(
            &config.keys,
            &at.field("secretbox").field("keys"),
            SECRETBOX,
            report,
        )
        .map(Provider::Secretbox);
    }
    provider.identity.as_ref().map(|_| Provider::Identity)
}
