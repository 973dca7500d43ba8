use std::{collections::BTreeSet, rc::Rc};

use super::{OnlyKeys, Room, Trail};
use crate::{pace::Pace, scope::Scope, stopped::Ours, stored::KmsName};

/// What a run is to rewrite, and how fast.
#[derive(Debug)]
pub struct Options {
    /// Which objects.
    pub scope: Scope,
    /// Only objects stored under this key or KMS provider.
    pub from_key: Option<String>,
    /// Only these objects.
    pub only_keys: Option<OnlyKeys>,
    /// Also what lies under KMS v1 since before the run: nothing tells under which KEK.
    pub force_kms_v1: bool,
    /// Also what is encrypted and current since before the run.
    pub also_current: bool,
    /// Also what is current under these KMS v2 providers since before the run: all of it is to be under
    /// one DEK source.
    pub scattered: BTreeSet<KmsName>,
    /// The files that tell what was done.
    pub trail: Trail,
    /// Stop after so many rewritten objects.
    pub limit: Option<u64>,
    /// How fast.
    pub pace: Pace,
    /// Many objects may share a transaction, for no apiserver lives; whoever watches for one is told
    /// here what is ours.
    pub ours: Option<Rc<Ours>>,
    /// Whether there is room for more.
    pub room: Room,
}
