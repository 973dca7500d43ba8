//! Which directories there are in a store.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    store::{Kind, RangeOptions, Store, StoreError, key_after, prefix_end},
    stored::{Crds, EtcdPrefix, GroupResource},
};

/// Top-level directories that the error about a wrong prefix names.
const TOP_LEVEL_SHOWN: usize = 20;

/// Requests under way while directories are looked for.
const IN_FLIGHT: usize = 8;

/// A range of keys: the first, and the first that is not in it.
type Piece = (Vec<u8>, Vec<u8>);

/// The directories below a prefix, in the order of their keys. Where resources are named, only theirs,
/// and those may be empty.
pub(super) async fn below(
    prefix: &EtcdPrefix,
    store: &Store,
    revision: i64,
    only: &[GroupResource],
    crds: &Crds,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let pieces = match store.kind() {
        Kind::Etcd if !only.is_empty() => {
            let named = only.iter().filter_map(|named| prefix.directory_of(named));
            let named: BTreeSet<_> = named.map(String::into_bytes).collect();
            return Ok(named.into_iter().collect());
        }
        Kind::Etcd => pieces(prefix, prefix.directories(crds)),
        // It knows no other end than that of the prefix.
        Kind::Kine => pieces(prefix, BTreeSet::new()),
    };
    let depth = prefix.directory().len();
    stream::iter(pieces)
        .map(async |(mut from, end)| {
            let mut paths = Vec::new();
            while from < end
                && let Some(key) = first_key(store, revision, &from, &end).await?
            {
                let path = directory(&key, depth);
                from = behind(&path);
                paths.push(path);
            }
            Ok(paths)
        })
        .buffered(IN_FLIGHT)
        .try_concat()
        .await
}

/// Where to look for directories.
///
/// etcd counts what a range holds to its end, whatever the limit: a look for the next directory
/// that had no nearer end would cost as much as there is in all that follow. So each look ends
/// behind a directory that may be there.
fn pieces(prefix: &EtcdPrefix, known: BTreeSet<String>) -> Vec<Piece> {
    let mut from = prefix.directory().into_bytes();
    let end = behind(&from);
    let ends = known.iter().map(|path| behind(path.as_bytes()));
    ends.chain([end])
        .map(|end| (std::mem::replace(&mut from, end.clone()), end))
        .collect()
}

/// The first directory of every key in a store.
pub(super) async fn top_level(store: &Store) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    let (first, end) = match store.kind() {
        Kind::Etcd => (b"\0", b"\0"),
        Kind::Kine => (b"/", b"0"),
    };
    let mut from = first.to_vec();
    while found.len() < TOP_LEVEL_SHOWN
        && let Some(key) = first_key(store, 0, &from, end).await?
    {
        let end = key
            .iter()
            .skip(1)
            .position(|byte| *byte == b'/')
            .map(|at| at + 2);
        let top = &key[..end.unwrap_or(key.len())];
        found.push(String::from_utf8_lossy(top).into_owned());
        from = behind(top);
    }
    Ok(found)
}

async fn first_key(
    store: &Store,
    revision: i64,
    from: &[u8],
    end: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    let options = RangeOptions {
        key: from.to_vec(),
        range_end: end.to_vec(),
        limit: 1,
        revision,
        keys_only: true,
        ..RangeOptions::default()
    };
    Ok(store
        .range(options)
        .await?
        .records
        .into_iter()
        .next()
        .map(|record| record.key.to_vec()))
}

/// The directory that holds the objects of one resource: one segment behind the prefix, two where
/// the first names a group or is `services`. A key without such a slash stands for itself.
fn directory(key: &[u8], prefix: usize) -> Vec<u8> {
    let segments = |count: usize| {
        let slashes = key
            .iter()
            .enumerate()
            .skip(prefix)
            .filter(|(_, byte)| **byte == b'/');
        slashes.map(|(at, _)| at + 1).nth(count - 1)
    };
    let first = segments(1).unwrap_or(key.len());
    let name = &key[prefix..first];
    let grouped = name.contains(&b'.') || name == b"services/";
    let end = if grouped {
        segments(2).unwrap_or(key.len())
    } else {
        first
    };
    key[..end].to_vec()
}

/// The first key that is not in a directory, or not this key.
fn behind(path: &[u8]) -> Vec<u8> {
    match path {
        [.., b'/'] => prefix_end(path),
        key => key_after(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_end_where_the_objects_of_a_resource_begin() {
        for (key, expected) in [
            ("/registry/secrets/default/a", "/registry/secrets/"),
            ("/registry/namespaces/kube-system", "/registry/namespaces/"),
            (
                "/registry/services/specs/default/a",
                "/registry/services/specs/",
            ),
            (
                "/registry/services/endpoints/default/a",
                "/registry/services/endpoints/",
            ),
            (
                "/registry/awesome.bears.com/pandas/default/a",
                "/registry/awesome.bears.com/pandas/",
            ),
            (
                "/registry/awesome.bears.com/odd",
                "/registry/awesome.bears.com/odd",
            ),
            ("/registry/health", "/registry/health"),
            ("/registry/ranges/serviceips", "/registry/ranges/"),
        ] {
            assert_eq!(
                directory(key.as_bytes(), "/registry/".len()),
                expected.as_bytes()
            );
        }
    }
}
