//! The canary: one object per write key is rewritten first and read back through every apiserver.
//! If one cannot read it, the old value is put back before anybody else misses it for long.

use std::collections::BTreeSet;

use kms_proto::inventory::KeyRef;

use super::{
    Rewrap, RunError,
    one::{Fate, Stale, Verdict, seal},
};
use crate::{
    apiserver::{Apiserver, ApiserverError},
    area::{Area, Content},
    scan::Scan,
    store::{Put, Record},
    stored::{Rule, object::Identity},
    survey::writes_with,
};

impl Rewrap<'_> {
    /// Proves that every apiserver reads what this run will write. Counts what it rewrites.
    ///
    /// # Errors
    /// An apiserver that cannot read the canary (the old value is back then), or what would end a
    /// run as well.
    pub async fn canary(&self, apiservers: &[Apiserver]) -> Result<(), CanaryError> {
        let mut proved: BTreeSet<KeyRef> = BTreeSet::new();
        for area in self.areas.iter() {
            let (Content::Objects { rule, resource }, Some(path)) =
                (&area.content, self.options.scope.path(area))
            else {
                continue;
            };
            if !proved.contains(&writes_with(rule))
                && self
                    .canary_in(area, rule, &resource.resource, &path, apiservers)
                    .await?
            {
                proved.insert(writes_with(rule));
            }
        }
        Ok(())
    }

    /// Tries the stale objects of one area until one was written and read back. Says whether there
    /// was one.
    async fn canary_in(
        &self,
        area: &Area,
        rule: &Rule,
        plural: &str,
        path: &str,
        apiservers: &[Apiserver],
    ) -> Result<bool, CanaryError> {
        let mut scan = Scan::new(&self.session.stores[area.store].store, path);
        while let Some(records) = scan.next().await.map_err(RunError::from)? {
            for record in records {
                let outcome = self
                    .session
                    .keys
                    .open(rule, &record.key, &record.value)
                    .await;
                let Verdict::Replace(stale) = self.judge(area, &record, outcome, 0) else {
                    continue;
                };
                let Some(revision) = self.write_canary(area, rule, &record, &stale).await? else {
                    continue;
                };
                let url = rest_path(&stale.identity, plural);
                if let Err(error) = read_back(apiservers, &url, revision).await {
                    return Err(self.put_back(area, record, revision, error).await?);
                }
                self.state.add(Fate::Rewrapped { conflicts: 0 });
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The revision of the new value; nothing where another writer was first.
    async fn write_canary(
        &self,
        area: &Area,
        rule: &Rule,
        record: &Record,
        stale: &Stale,
    ) -> Result<Option<i64>, RunError> {
        let dek = self.write_dek(rule).await?;
        let Ok(value) = seal(rule, &record.key, stale, dek.as_deref()) else {
            return Ok(None);
        };
        let store = &self.session.stores[area.store].store;
        let put = store
            .compare_and_put(&record.key, record.mod_revision, value.into(), record.lease)
            .await?;
        Ok(match put {
            Put::Done { revision } => Some(revision),
            Put::Lost(_) => None,
        })
    }

    /// Puts the old value back where nobody wrote since; gives the error to end with.
    async fn put_back(
        &self,
        area: &Area,
        record: Record,
        revision: i64,
        source: ApiserverError,
    ) -> Result<CanaryError, RunError> {
        let Record {
            key, value, lease, ..
        } = record;
        let store = &self.session.stores[area.store].store;
        let put = store.compare_and_put(&key, revision, value, lease).await?;
        let object = String::from_utf8_lossy(&key).into_owned();
        Ok(match put {
            Put::Done { .. } => CanaryError::PutBack { object, source },
            Put::Lost(_) => CanaryError::Overwritten { object, source },
        })
    }
}

/// Where an apiserver serves the object, in the version it is stored in.
fn rest_path(identity: &Identity, plural: &str) -> String {
    let Identity {
        api_version,
        namespace,
        name,
        ..
    } = identity;
    let root = if api_version.contains('/') {
        "apis"
    } else {
        "api"
    };
    match namespace {
        Some(namespace) => format!("/{root}/{api_version}/namespaces/{namespace}/{plural}/{name}"),
        None => format!("/{root}/{api_version}/{plural}/{name}"),
    }
}

/// Every apiserver must see our write, or a later one of somebody else.
async fn read_back(
    apiservers: &[Apiserver],
    path: &str,
    revision: i64,
) -> Result<(), ApiserverError> {
    for apiserver in apiservers {
        let seen = apiserver.resource_version(path).await?;
        if !seen.parse::<i64>().is_ok_and(|seen| seen >= revision) {
            return Err(ApiserverError::OtherStore {
                url: apiserver.url().to_owned(),
            });
        }
    }
    Ok(())
}

/// Why the canary ended the run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CanaryError {
    /// An apiserver cannot read the new value, and somebody else has written the object since.
    #[error(
        "an apiserver cannot read the canary {object}, which another writer has replaced since"
    )]
    Overwritten {
        /// The etcd key.
        object: String,
        /// What the apiserver said.
        source: ApiserverError,
    },
    /// An apiserver cannot read the new value; the old one is back.
    #[error(
        "an apiserver cannot read the canary {object}; its old value is back and nothing else was \
         written; give every apiserver this EncryptionConfiguration and let it reload"
    )]
    PutBack {
        /// The etcd key.
        object: String,
        /// What the apiserver said.
        source: ApiserverError,
    },
    /// What would end a run as well.
    #[error(transparent)]
    Run(#[from] RunError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_served_under_their_group_and_version() {
        let identity = |api_version: &str, namespace: Option<&str>| Identity {
            api_version: api_version.into(),
            kind: "K".into(),
            namespace: namespace.map(Box::from),
            name: "n".into(),
            uid: None,
        };
        assert_eq!(
            rest_path(&identity("v1", Some("a")), "secrets"),
            "/api/v1/namespaces/a/secrets/n"
        );
        assert_eq!(rest_path(&identity("v1", None), "nodes"), "/api/v1/nodes/n");
        assert_eq!(
            rest_path(&identity("apps/v1", Some("a")), "deployments"),
            "/apis/apps/v1/namespaces/a/deployments/n"
        );
    }
}
