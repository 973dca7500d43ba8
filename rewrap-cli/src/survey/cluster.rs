//! What a cluster and its stores call themselves.

use crate::{
    session::Session,
    store::{RangeOptions, Store, StoreError},
    stored::{GroupResource, ObjectKey, identify},
};

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

/// Keys that begin with a path.
pub(super) async fn count(store: &Store, path: &[u8]) -> Result<u64, StoreError> {
    let options = RangeOptions {
        count_only: true,
        ..RangeOptions::prefix(path)
    };
    Ok(store.range(options).await?.count.unsigned_abs())
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
