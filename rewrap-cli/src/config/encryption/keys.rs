//! Keys of the local providers.

use super::{
    decode::{Path, Report},
    error::Problem,
    schema::Key,
};
use crate::{config::go, stored::NamedKey};

/// The decoded keys; None if one of them was reported, or there is none.
pub(super) fn keys(
    keys: &[Key],
    at: &Path<'_>,
    lengths: &'static [usize],
    report: &mut Report,
) -> Option<Vec<NamedKey>> {
    if keys.is_empty() {
        report.add(at, Problem::AtLeastOne("keys"));
        return None;
    }
    let decoded: Vec<_> = keys
        .iter()
        .enumerate()
        .filter_map(|(index, entry)| key(entry, &at.index(index), lengths, report))
        .collect();
    (decoded.len() == keys.len()).then_some(decoded)
}

fn key(
    key: &Key,
    at: &Path<'_>,
    lengths: &'static [usize],
    report: &mut Report,
) -> Option<NamedKey> {
    let name = key.name.expose();
    if name.is_empty() {
        report.add(&at.field("name"), Problem::Mandatory("name", "key"));
    }
    let at = at.field("secret");
    if key.secret.expose().is_empty() {
        report.add(&at, Problem::Mandatory("secret", "key"));
        return None;
    }
    let Some(secret) = go::base64::decode(key.secret.expose()) else {
        report.add(&at, Problem::Base64);
        return None;
    };
    if !lengths.contains(&secret.len()) {
        let got = secret.len();
        report.add(
            &at,
            Problem::KeyLength {
                got,
                expected: lengths,
            },
        );
        return None;
    }
    (!name.is_empty()).then(|| NamedKey::new(name, secret))
}
