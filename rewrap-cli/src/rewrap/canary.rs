//! The canary: of every resource one object is rewritten first and read back through every
//! apiserver. If one cannot read it, the old value is put back before anybody else misses it for
//! long.

use super::{
    Rewrap, RunError,
    one::{Fate, Stale, Verdict, seal},
};
use crate::{
    apiserver::{Apiserver, ApiserverError},
    area::{Area, Content},
    chain::Chain,
    scan::Scan,
    store::{Put, Record, StoreError},
    stored::{GroupResource, Rule, WrittenWith},
};

mod reading;

use reading::{read_back, served};

/// Objects of one resource that are tried before its proof is given up: others may be changing
/// them all the time.
const TRIES: u32 = 20;

impl Rewrap<'_> {
    /// Proves that every apiserver reads what this run will write, one object of every resource
    /// that has something to write: an apiserver may know the key and yet not use it for all of
    /// them. Counts what it rewrites.
    ///
    /// # Errors
    /// An apiserver that cannot read a canary (the old value is back then), or what would end a
    /// run as well.
    pub async fn canary(&self, apiservers: &[Apiserver]) -> Result<(), CanaryError> {
        for area in self.areas.iter() {
            if let (Content::Objects { rule, resource, .. }, Some(path)) =
                (&area.content, self.options.scope.path(area))
            {
                self.canary_in(area, rule, resource, &path, apiservers)
                    .await?;
            }
        }
        Ok(())
    }

    /// Tries the stale objects of one resource until one was written and read back.
    async fn canary_in(
        &self,
        area: &Area,
        rule: &Rule,
        resource: &GroupResource,
        path: &str,
        apiservers: &[Apiserver],
    ) -> Result<(), CanaryError> {
        let mut tried = 0;
        let mut scan = Scan::new(&self.session.stores[area.store].store, path);
        while let Some(records) = scan.next().await.map_err(RunError::from)? {
            for record in records {
                // What is not meant is not even opened.
                if !self.is_named(&record.key) {
                    continue;
                }
                let outcome = self
                    .session
                    .keys
                    .open(rule, &record.key, &record.value)
                    .await;
                let Verdict::Replace(stale) = self.judge(area, &record, outcome, 0) else {
                    continue;
                };
                if tried == TRIES {
                    return Err(CanaryError::NoProof(resource.to_string()));
                }
                tried += 1;
                let served = served(apiservers, &stale.identity, resource).await;
                let Some(url) = served.map_err(|source| CanaryError::Before {
                    object: String::from_utf8_lossy(&record.key).into_owned(),
                    source,
                })?
                else {
                    continue;
                };
                if !self.begin() {
                    return Ok(());
                }
                let Some(revision) = self.write_canary(area, rule, &record, &stale).await? else {
                    continue;
                };
                match read_back(apiservers, &url, revision).await {
                    Ok(proved) => {
                        self.state.add(Fate::Rewrapped {
                            conflicts: 0,
                            bytes: record.value.len() as u64,
                        });
                        if proved {
                            return Ok(());
                        }
                    }
                    Err(error) => {
                        // As it is stored now, under the keys that it goes back from and to.
                        let canary = Record {
                            mod_revision: revision,
                            ..record
                        };
                        let dek = self.write_dek(rule).await?;
                        let keys = [&rule.target(dek.as_deref()), &stale.written_with];
                        return Err(self.put_back(area, canary, keys, error).await);
                    }
                }
            }
        }
        match tried {
            0 => Ok(()),
            _ => Err(CanaryError::NoProof(resource.to_string())),
        }
    }

    /// The revision of the new value; nothing where this object does not do as a canary: another
    /// writer was first, it does not fit into a request, its lease has ended.
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
        let trail = &self.options.trail;
        let keys = [&stale.written_with, &rule.target(dek.as_deref())];
        trail.before(record, keys, &value).await?;
        let put = store
            .compare_and_put(&record.key, record.mod_revision, value.into(), record.lease)
            .await;
        match put {
            Ok(Put::Done { revision }) => {
                trail.after(record, keys, revision, "rewritten").await?;
                Ok(Some(revision))
            }
            Ok(Put::Lost(_))
            | Err(
                StoreError::LeaseNotFound { .. }
                | StoreError::TooLarge { .. }
                | StoreError::OtherKey { .. },
            ) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts the old value back where nobody wrote since; gives the error to end with.
    async fn put_back(
        &self,
        area: &Area,
        canary: Record,
        keys: [&WrittenWith; 2],
        source: ApiserverError,
    ) -> CanaryError {
        let Record {
            key,
            value,
            mod_revision,
            lease,
            ..
        } = &canary;
        let store = &self.session.stores[area.store].store;
        let trail = &self.options.trail;
        // Where that cannot be told, it is done nevertheless: somebody misses the object.
        let told = trail.begun(&canary, keys).await;
        let put = store
            .compare_and_put(key, *mod_revision, value.clone(), *lease)
            .await;
        let object = String::from_utf8_lossy(key).into_owned();
        match put {
            Ok(Put::Done { revision }) => {
                let told = match told {
                    Ok(()) => trail.after(&canary, keys, revision, "put back").await,
                    failed => failed,
                };
                match told {
                    Ok(()) => CanaryError::PutBack { object, source },
                    Err(error) => RunError::from(error).into(),
                }
            }
            Ok(Put::Lost(_)) => CanaryError::Overwritten { object, source },
            Err(put) => CanaryError::NotPutBack {
                object,
                source,
                put: Chain(&put).to_string(),
            },
        }
    }
}

/// Why the canary ended the run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CanaryError {
    /// An apiserver cannot read the object as it was before this run.
    #[error(
        "an apiserver cannot read {object} even before this run writes it; nothing was written to it"
    )]
    Before {
        /// The etcd key.
        object: String,
        /// What the apiserver said.
        source: ApiserverError,
    },
    /// No object of a resource could be read back.
    #[error(
        "no object of {0} could be read back as it was written: they change all the time, or no \
         apiserver serves them in the version they are stored in; run again, or leave them out with \
         --exclude {0}"
    )]
    NoProof(String),
    /// An apiserver cannot read the new value, and the old one could not be put back.
    #[error(
        "an apiserver cannot read the canary {object}, and its old value could not be put back \
         ({put}); give every apiserver this EncryptionConfiguration, or update the object through \
         one that has it not"
    )]
    NotPutBack {
        /// The etcd key.
        object: String,
        /// What the apiserver said.
        source: ApiserverError,
        /// What etcd said.
        put: String,
    },
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
        "an apiserver cannot read the canary {object}; its old value is back; give every apiserver \
         this EncryptionConfiguration and let it reload"
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
