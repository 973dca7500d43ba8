//! Counts Secrets by what they are for.

use std::collections::BTreeMap;

use kms_proto::inventory::{ObjectState, SecretKind};

use crate::{
    store::Record,
    stored::{GroupResource, object::SecretTraits},
};

/// How many kinds there are before they are not told apart any more: a type may be any text.
const LIMIT: usize = 200;

/// Counts of Secrets.
#[derive(Default)]
pub(super) struct Kinds {
    kinds: BTreeMap<SecretTraits, Count>,
    others: Count,
}

#[derive(Default)]
struct Count {
    objects: u64,
    not_current: u64,
    bytes: u64,
}

impl Kinds {
    /// Counts an object if it is a Secret.
    pub(super) fn add(
        &mut self,
        resource: &GroupResource,
        plaintext: &[u8],
        state: ObjectState,
        record: &Record,
    ) {
        if &*resource.resource != "secrets" || !resource.group.is_empty() {
            return;
        }
        let traits = SecretTraits::of(plaintext).unwrap_or_default();
        let count = if self.kinds.len() < LIMIT || self.kinds.contains_key(&traits) {
            self.kinds.entry(traits).or_default()
        } else {
            &mut self.others
        };
        count.objects += 1;
        count.not_current += u64::from(state != ObjectState::Current);
        count.bytes += record.value.len() as u64;
    }

    /// The most frequent first.
    pub(super) fn into_rows(self) -> Vec<SecretKind> {
        let row = |secret_type: Option<Box<str>>, owner: Option<Box<str>>, key, count: Count| {
            SecretKind {
                secret_type: secret_type.map(String::from),
                owner: owner.map(String::from),
                sealed_secrets_key: key,
                objects: count.objects,
                not_current: count.not_current,
                bytes: count.bytes,
            }
        };
        let mut rows: Vec<_> = self
            .kinds
            .into_iter()
            .map(|(traits, count)| {
                let SecretTraits {
                    secret_type,
                    owner,
                    sealed_secrets_key,
                } = traits;
                row(Some(secret_type), owner, sealed_secrets_key, count)
            })
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.objects));
        if self.others.objects > 0 {
            rows.push(row(None, None, false, self.others));
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_types_is_counted_in_few_rows() {
        let record = Record {
            key: "k".into(),
            value: "value".into(),
            mod_revision: 1,
            create_revision: 1,
            lease: 0,
        };
        let secrets = GroupResource::new("secrets", "");
        let mut kinds = Kinds::default();
        for number in (0..1000).chain(0..1) {
            let plaintext = format!(r#"{{"type":"type-{number:04}"}}"#);
            kinds.add(&secrets, plaintext.as_bytes(), ObjectState::Stale, &record);
        }
        let maps = GroupResource::new("configmaps", "");
        kinds.add(&maps, b"{}", ObjectState::Stale, &record);
        let rows = kinds.into_rows();
        assert_eq!(rows.len(), LIMIT + 1);
        assert_eq!(rows[0].secret_type.as_deref(), Some("type-0000"));
        assert_eq!(
            (rows[0].objects, rows[0].bytes, rows[0].not_current),
            (2, 10, 2)
        );
        let others = &rows[LIMIT];
        assert_eq!((&others.secret_type, others.objects), (&None, 800));
    }
}
