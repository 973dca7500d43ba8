//! What a cluster and its stores call themselves.

use std::collections::BTreeSet;

use kms_proto::inventory::KeyRef;

use super::{document::guess, tally::LIMIT};
use crate::{
    scan::Scan,
    session::Session,
    store::{Kind, RangeOptions, Record, Store, StoreError},
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
            name: "kube-system",
        };
        Ok(opened
            .ok()
            .and_then(|opened| identify(opened.plaintext.expose(), expected).ok())
            .and_then(|identity| identity.uid)
            .map(String::from))
    }
}

/// What is under a path that is left alone, at a revision (0 is the newest): how many keys, and
/// which keys their values name; where those are very many, some without a name stand for the rest.
pub(super) async fn seen(
    store: &Store,
    path: &[u8],
    revision: i64,
) -> Result<(u64, Vec<KeyRef>), StoreError> {
    let mut objects = 0;
    let mut keys = BTreeSet::new();
    let mut see = |records: &[Record]| {
        objects += records.len() as u64;
        for mut key in records.iter().map(|record| guess(&record.value)) {
            if keys.len() >= LIMIT && !keys.contains(&key) {
                key.key.clear();
            }
            keys.insert(key);
        }
    };
    if path.ends_with(b"/") {
        let mut scan = Scan::new(store, path).at_revision(revision);
        while let Some(records) = scan.next().await? {
            see(&records);
        }
    } else {
        let one = RangeOptions {
            revision,
            ..RangeOptions::one(path)
        };
        see(&store.range(one).await?.records);
    }
    keys.retain(|key| key.provider != "identity");
    Ok((objects, keys.into_iter().collect()))
}

/// What the store is, and etcd's own id of the cluster in hexadecimal; kine has none.
pub(super) async fn identity(store: &Store) -> (String, Option<String>) {
    if store.kind() == Kind::Kine {
        return ("kine".to_owned(), None);
    }
    let members = store.status().await;
    let members: Vec<_> = members.into_iter().flatten().collect();
    let versions: BTreeSet<_> = members.iter().map(|member| &*member.version).collect();
    let versions: Vec<_> = ["etcd"].into_iter().chain(versions).collect();
    let id = members
        .first()
        .map(|member| format!("{:x}", member.cluster_id));
    (versions.join(" "), id)
}
