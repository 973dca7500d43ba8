//! What a cluster and its stores call themselves.

use std::collections::BTreeSet;

use kms_proto::inventory::KeyRef;

use super::document::guess;
use crate::{
    session::Session,
    store::{RangeOptions, Store, StoreError},
    stored::{GroupResource, ObjectKey, identify},
};

/// Keys of one page: what is left alone is small.
const PAGE: i64 = 500;

impl Session {
    /// The UID of kube-system; nothing where it does not open, which the inventory shows anyway.
    pub async fn cluster_uid(&self) -> Result<Option<String>, StoreError> {
        let Ok(resource) = "namespaces".parse::<GroupResource>();
        let key = format!("{}namespaces/kube-system", self.prefix.directory());
        let Some(record) = self.store_of(&resource).store.get(key.as_bytes()).await? else {
            return Ok(None);
        };
        let opened = self
            .keys
            .open(&self.rule(&resource), &record.key, &record.value)
            .await;
        let expected = ObjectKey {
            namespace: None,
            name: "kube-system".into(),
        };
        Ok(opened
            .ok()
            .and_then(|opened| identify(opened.plaintext.expose(), &expected).ok())
            .and_then(|identity| identity.uid)
            .map(String::from))
    }
}

/// What is under a path that is left alone: how many keys, and which keys their values name.
pub(super) async fn seen(store: &Store, path: &[u8]) -> Result<(u64, Vec<KeyRef>), StoreError> {
    let mut objects = 0;
    let mut keys = BTreeSet::new();
    let mut next = RangeOptions {
        limit: PAGE,
        ..RangeOptions::prefix(path)
    };
    loop {
        let page = store.range(next.clone()).await?;
        objects += page.records.len() as u64;
        keys.extend(page.records.iter().map(|record| guess(&record.value)));
        match page.records.last() {
            Some(last) if page.more => next.key = [&last.key[..], b"\0"].concat(),
            _ => break,
        }
    }
    keys.retain(|key| key.provider != "identity");
    Ok((objects, keys.into_iter().collect()))
}

/// etcd's own id of the cluster, in hexadecimal; kine has none.
pub(super) async fn cluster_id(store: &Store) -> Option<String> {
    let members = store.status().await;
    let id = members
        .into_iter()
        .flatten()
        .map(|member| member.cluster_id)
        .find(|id| *id != 0)?;
    Some(format!("{id:x}"))
}
