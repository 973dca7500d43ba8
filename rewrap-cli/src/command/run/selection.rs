//! Which of the stored objects a run rewrites.

use std::{collections::BTreeSet, sync::Arc};

use kms_proto::inventory::{Inventory, WrittenWith};

use crate::{
    cli::RunArgs,
    command::plan::{count, is_encrypted_and_current, is_to_rewrite, is_under_kms_v1},
    session::Session,
    stored::KmsName,
};

/// What the flags and the first look at the store come to.
pub(super) struct Selection<'a> {
    pub(super) args: &'a RunArgs,
    /// KMS v2 providers under whose current key there is more than one DEK source, if those are to
    /// become one.
    pub(super) scattered: BTreeSet<KmsName>,
}

impl<'a> Selection<'a> {
    pub(super) fn new(args: &'a RunArgs, session: &Session, inventory: &Inventory) -> Self {
        let is_scattered = |provider: &str| {
            let current = session.keys.current().get(provider);
            let sources = inventory.dek_sources.iter().filter(|source| {
                source.provider == provider
                    && source.key_id.as_ref() == current.map(|current| &current.key_id)
            });
            current.is_some() && sources.take(2).count() == 2
        };
        let providers = session.config.kms_providers().iter();
        let scattered = providers
            .map(|provider| Arc::clone(&provider.name))
            .filter(|name| args.consolidate && is_scattered(name));
        Self {
            args,
            scattered: scattered.collect(),
        }
    }

    /// Whether the objects of a row are rewritten.
    pub(super) fn takes(&self, row: &WrittenWith) -> bool {
        is_from(row, self.args.from_key.as_deref()) && (is_to_rewrite(row) || self.is_forced(row))
    }

    /// How many objects are rewritten.
    pub(super) fn work(&self, inventory: &Inventory) -> u64 {
        count(inventory, |row| self.takes(row))
    }

    /// Whether a flag alone says so.
    fn is_forced(&self, row: &WrittenWith) -> bool {
        let scattered = row.key.provider == "kms-v2" && self.scattered.contains(&*row.key.key);
        self.args.force_kms_v1 && is_under_kms_v1(row)
            || (self.args.also_current || scattered) && is_encrypted_and_current(row)
    }
}

/// Whether the objects of a row are under this key, where only one is meant.
pub(super) fn is_from(row: &WrittenWith, key: Option<&str>) -> bool {
    key.is_none_or(|key| row.key.key == key)
}
