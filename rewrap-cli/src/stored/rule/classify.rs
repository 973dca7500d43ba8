use std::{cmp::Reverse, sync::Arc};

use kms_proto::{ENCRYPTED_PREFIX, EncryptedObject};

use super::{
    Attempt, CurrentKeys, NamedKey, OpenError, Provider, ProviderKind, Reason, Reasons, Rule,
    State, WrittenWith, strip_name,
};
use crate::stored::{
    dek::{DekRef, DekView},
    transformer::{OpenCause, kms_v1},
};

/// Who seems to have written a value, judged by its prefix alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Who wrote it.
    pub written_with: WrittenWith,
    /// What it is, compared with what the rule would write.
    pub state: State,
}

impl Rule {
    /// Classifies a value without opening it, as far as its prefix tells: a value of a wrong key
    /// under the right name, or one that was altered, looks as good as any other. A KMS v2 envelope
    /// is decoded for its key id.
    ///
    /// Names may contain `:`, so several may match; the longest is taken, and of equal ones the
    /// first.
    ///
    /// # Errors
    /// What [`Self::open`] would say without trying a key: no prefix or name matches, or the
    /// envelope is malformed.
    pub fn classify(&self, value: &[u8], current: &CurrentKeys) -> Result<Class, OpenError> {
        let mut best: Option<Candidate<'_, '_>> = None;
        let mut misses = Vec::new();
        for (index, provider) in self.providers.iter().enumerate() {
            let kind = provider.kind();
            let Some(body) = value.strip_prefix(kind.prefix().as_bytes()) else {
                continue;
            };
            let found = match provider {
                Provider::Identity if value.starts_with(ENCRYPTED_PREFIX) => continue,
                Provider::Identity => {
                    return Ok(Class {
                        written_with: WrittenWith::Nothing,
                        state: State::of(kind, index, Reasons::default(), true),
                    });
                }
                Provider::AesCbc(keys) | Provider::AesGcm(keys) | Provider::Secretbox(keys) => {
                    let found = longest(keys.iter().map(NamedKey::shared_name), body);
                    if found.is_none() {
                        misses.push(Attempt::no_matching_key(kind));
                    }
                    found
                }
                Provider::KmsV1(name) | Provider::KmsV2(name) => longest([name], body),
            };
            let Some((key_index, name)) = found else {
                continue;
            };
            if best
                .as_ref()
                .is_none_or(|best| name.len() > best.name.len())
            {
                best = Some(Candidate {
                    kind,
                    index,
                    key_index,
                    name,
                    body: &body[name.len() + 1..],
                });
            }
        }
        match best {
            Some(candidate) => candidate.class(current),
            None => Err(self.failure(misses)),
        }
    }
}

/// The longest of the names that the body begins with, and its place; of equal ones the first.
fn longest<'r>(
    names: impl IntoIterator<Item = &'r Arc<str>>,
    body: &[u8],
) -> Option<(usize, &'r Arc<str>)> {
    names
        .into_iter()
        .enumerate()
        .filter(|(_, name)| strip_name(body, name).is_some())
        .min_by_key(|(_, name)| Reverse(name.len()))
}

/// A provider and key whose prefix a value has.
struct Candidate<'r, 'v> {
    kind: ProviderKind,
    index: usize,
    key_index: usize,
    name: &'r Arc<str>,
    body: &'v [u8],
}

impl Candidate<'_, '_> {
    fn class(self, current: &CurrentKeys) -> Result<Class, OpenError> {
        let Self {
            kind,
            index,
            key_index,
            name,
            body,
        } = self;
        let fail = |cause| OpenError::Attempts(vec![Attempt::new(kind, Some(name), cause)]);
        let written_with = match kind {
            ProviderKind::KmsV1 => {
                let (cipher, _) = kms_v1::split(body).map_err(fail)?;
                WrittenWith::Dek(Arc::new(DekRef::v1(name, cipher)))
            }
            ProviderKind::KmsV2 => {
                let object =
                    EncryptedObject::decode(body).map_err(|e| fail(OpenCause::Envelope(e)))?;
                WrittenWith::Dek(Arc::new(DekView::v2(name, object).to_ref()))
            }
            provider => WrittenWith::Key {
                provider,
                name: name.clone(),
            },
        };
        let (mut reasons, knowable) = match &written_with {
            WrittenWith::Dek(dek) => current.judge(dek),
            WrittenWith::Nothing | WrittenWith::Key { .. } => (Reasons::default(), true),
        };
        reasons.add_if(key_index != 0, Reason::Key);
        Ok(Class {
            written_with,
            state: State::of(kind, index, reasons, knowable),
        })
    }
}
