//! One object: judge, seal, compare and swap, and judge again if somebody else was first.

use prost::bytes::Bytes;

use super::{
    Rewrap, RunError, TRIES,
    ramp::{Turn, Written},
};
use crate::{
    area::{Area, OddKey},
    store::{Put, Record, StoreError},
    stored::{
        NotAnObject, OpenError, Opened, Plaintext, ProviderKind, Rule, SealError, State, WriteDek,
        WrittenWith,
        object::{self, Identity},
    },
};

/// What became of one object.
#[derive(Debug)]
pub enum Fate {
    /// Nothing to do, or somebody else did it.
    AlreadyCurrent {
        /// Compare-and-swaps lost on the way.
        conflicts: u64,
    },
    /// Not brought to the current key.
    Failed {
        /// The etcd key.
        key: Vec<u8>,
        /// Why.
        error: ObjectError,
    },
    /// Somebody else is writing it; looked at again at the end of the pass.
    Deferred {
        /// Compare-and-swaps lost on the way.
        conflicts: u64,
    },
    /// Stored under another key than the one asked for.
    NotChosen,
    /// The run was ending.
    NotBegun,
    /// Under KMS v1, which stores no key id.
    Unknowable,
    /// Written by us.
    Rewrapped {
        /// Compare-and-swaps lost on the way.
        conflicts: u64,
        /// The length of the value that was replaced.
        bytes: u64,
    },
    /// Deleted by somebody else.
    Vanished {
        /// Compare-and-swaps lost on the way.
        conflicts: u64,
    },
}

impl Fate {
    /// Whether there is one object less to rewrite.
    pub fn is_progress(&self) -> bool {
        match self {
            Self::AlreadyCurrent { conflicts } => *conflicts > 0,
            Self::Failed { error, .. } => !matches!(error, ObjectError::Open(_)),
            Self::Rewrapped { .. } | Self::Vanished { .. } => true,
            Self::Deferred { .. } | Self::NotBegun | Self::NotChosen | Self::Unknowable => false,
        }
    }
}

/// A stale object that may be replaced: it was opened, judged stale (or is to be rewritten in any
/// case), and its plaintext proved to be the Kubernetes object of its key. Only [`Rewrap::judge`] makes one.
pub(super) struct Stale {
    plaintext: Plaintext,
    pub(super) written_with: WrittenWith,
    pub(super) identity: Identity,
}

/// Which look at an object this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    /// It may be left to the end of the pass.
    First,
    /// It is fought for.
    Last {
        /// Whether it counts against the limit of objects already.
        begun: bool,
    },
}

pub(super) enum Verdict {
    Skip(Fate),
    Replace(Stale),
}

impl Rewrap<'_> {
    /// Brings one object to the current key.
    pub(super) async fn one(
        &self,
        area: &Area,
        rule: &Rule,
        record: Record,
        outcome: Result<Opened, OpenError>,
        attempt: Attempt,
    ) -> Result<Fate, RunError> {
        let store = &self.session.stores[area.store].store;
        let (mut record, mut outcome) = (record, outcome);
        let mut conflicts = 0;
        let mut begun = attempt == Attempt::Last { begun: true };
        loop {
            let stale = match self.judge(area, &record, outcome, conflicts) {
                Verdict::Replace(stale) => stale,
                Verdict::Skip(fate) => return Ok(fate),
            };
            // Who lost a race stands in the way of a writer.
            let busy = conflicts > 0 || self.state.is_recent(area.store, record.mod_revision);
            if attempt == Attempt::First && busy && self.defer(area, &record.key, begun) {
                return Ok(Fate::Deferred { conflicts });
            }
            let lengths = [record.key.len(), record.value.len()];
            let room = &self.options.room;
            room.take(area.store, lengths, || self.may_begin()).await?;
            let turn = match self.turn().await {
                Turn::Over => return Ok(Fate::NotBegun),
                turn => turn,
            };
            if !begun && !self.begin() {
                return Ok(Fate::NotBegun);
            }
            begun = true;
            let Some(permit) = self.permit(lengths.iter().sum()).await else {
                return Ok(Fate::NotBegun);
            };
            let dek = self.write_dek(rule).await?;
            let value = match seal(rule, &record.key, &stale, dek.as_deref()) {
                Ok(value) => value,
                Err(error) => {
                    return Ok(Fate::Failed {
                        key: record.key.into(),
                        error,
                    });
                }
            };
            let trail = &self.options.trail;
            let keys = [&stale.written_with, &rule.target(dek.as_deref())];
            trail.before(&record, keys, &value).await?;
            let value = Bytes::from(value);
            if let Some(ours) = &self.options.ours {
                ours.expect(&record.key, &value);
            }
            let sent = permit.sent();
            let put = store
                .compare_and_put(
                    &record.key,
                    record.mod_revision,
                    value.clone(),
                    record.lease,
                )
                .await;
            permit.answered(sent, store.strain());
            let lost = match put {
                Ok(Put::Done { revision }) => {
                    self.state.mark(area.store, revision);
                    let bytes = record.value.len() as u64;
                    let fate = Fate::Rewrapped { conflicts, bytes };
                    let written = Written {
                        key: &record.key,
                        value,
                        revision,
                    };
                    let ended = async {
                        trail.after(&record, keys, revision, "rewritten").await?;
                        self.read_back(turn, area, rule, written).await
                    };
                    return match ended.await {
                        Ok(()) => Ok(fate),
                        Err(error) => {
                            self.state.add(fate);
                            Err(error)
                        }
                    };
                }
                Ok(Put::Lost(lost)) => lost,
                // The lease ended between reading and writing, and the object with it.
                Err(StoreError::LeaseNotFound { .. }) => store.get(&record.key).await?,
                Err(error @ (StoreError::TooLarge { .. } | StoreError::OtherKey { .. })) => {
                    if let Some(ours) = &self.options.ours {
                        ours.forget(&record.key);
                    }
                    return Ok(Fate::Failed {
                        key: record.key.into(),
                        error: ObjectError::Store(error),
                    });
                }
                Err(error) => return Err(error.into()),
            };
            conflicts += 1;
            if let Some(ours) = &self.options.ours {
                ours.forget(&record.key);
            }
            match lost {
                None => return Ok(Fate::Vanished { conflicts }),
                Some(_) if conflicts >= u64::from(TRIES) => {
                    return Ok(Fate::Failed {
                        key: record.key.into(),
                        error: ObjectError::Contended,
                    });
                }
                // Losing is not success: the newer value is judged like any other.
                Some(newer) => {
                    outcome = self.session.keys.open(rule, &newer.key, &newer.value).await;
                    record = newer;
                }
            }
        }
    }

    /// Whether nobody has written the object since the run began: what is rewritten whatever key it
    /// is under is rewritten once.
    fn is_untouched(&self, area: &Area, record: &Record) -> bool {
        record.mod_revision <= self.state.first_revision(area.store)
    }

    fn is_scattered(&self, written_with: &WrittenWith) -> bool {
        match written_with {
            WrittenWith::Dek(dek) => self.options.scattered.contains(dek.provider()),
            WrittenWith::Key { .. } | WrittenWith::Nothing => false,
        }
    }

    /// Whether an object is meant, as far as objects are named.
    pub(super) fn is_named(&self, key: &[u8]) -> bool {
        let only = self.options.only_keys.as_ref();
        only.is_none_or(|only| only.contains(key))
    }

    /// The only way to a [`Stale`].
    pub(super) fn judge(
        &self,
        area: &Area,
        record: &Record,
        outcome: Result<Opened, OpenError>,
        conflicts: u64,
    ) -> Verdict {
        let failed = |error| {
            Verdict::Skip(Fate::Failed {
                key: record.key.to_vec(),
                error,
            })
        };
        if !self.is_named(&record.key) {
            return Verdict::Skip(Fate::NotChosen);
        }
        let key = match area.object_key(&record.key) {
            Ok(key) => key,
            Err(error) => return failed(ObjectError::OddKey(error)),
        };
        let opened = match outcome {
            Ok(opened) => opened,
            Err(error) => return failed(ObjectError::Open(error)),
        };
        let untouched = self.is_untouched(area, record);
        let encrypted = opened.written_with.provider() != ProviderKind::Identity;
        match opened.state {
            State::Current
                if !(untouched
                    && (self.options.also_current && encrypted
                        || self.is_scattered(&opened.written_with))) =>
            {
                return Verdict::Skip(Fate::AlreadyCurrent { conflicts });
            }
            State::Unknowable if opened.written_with.provider() != ProviderKind::KmsV1 => {
                return failed(ObjectError::Unknowable);
            }
            State::Unknowable if !(self.options.force_kms_v1 && untouched) => {
                return Verdict::Skip(Fate::Unknowable);
            }
            State::Current | State::Plaintext | State::Stale(_) | State::Unknowable => {}
        }
        if let Some(from) = &self.options.from_key
            && opened.written_with.key().map(|key| &**key) != Some(from)
        {
            return Verdict::Skip(Fate::NotChosen);
        }
        match object::identify(opened.plaintext.expose(), key) {
            Ok(identity) => Verdict::Replace(Stale {
                plaintext: opened.plaintext,
                written_with: opened.written_with,
                identity,
            }),
            Err(error) => failed(ObjectError::NotAnObject(error)),
        }
    }
}

/// Seals, opens the result again and compares: a value that would not open is never written.
pub(super) fn seal(
    rule: &Rule,
    path: &[u8],
    stale: &Stale,
    dek: Option<&WriteDek>,
) -> Result<Vec<u8>, ObjectError> {
    let value = rule
        .seal(path, stale.plaintext.expose(), dek)
        .map_err(ObjectError::Seal)?;
    if rule.opens_to(path, &value, stale.plaintext.expose(), dek) {
        Ok(value)
    } else {
        Err(ObjectError::SelfCheck)
    }
}

/// Why one object could not be brought to the current key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// Other writers won every time.
    #[error("other writers were first {TRIES} times; run again when it is calmer")]
    Contended,
    /// What opens is not the object its key names, so nothing is written in its place.
    #[error("it opens, but to no object of this key, so nothing was written")]
    NotAnObject(#[source] NotAnObject),
    /// The key is not shaped like one of its resource.
    #[error(transparent)]
    OddKey(OddKey),
    /// Not to be opened.
    #[error(transparent)]
    Open(OpenError),
    /// Not to be sealed.
    #[error("it cannot be encrypted")]
    Seal(#[source] SealError),
    /// The sealed value does not open again.
    #[error("what was encrypted does not open again, so nothing was written; this is a bug")]
    SelfCheck,
    /// Nobody can say whether it is stale, so it is left as it is.
    #[error(
        "nothing tells whether it is under the current key, for the KMS provider does not say which \
         that is"
    )]
    Unknowable,
    /// The store refuses this one object.
    #[error(transparent)]
    Store(StoreError),
}
