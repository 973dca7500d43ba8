use std::sync::Arc;

use kms_proto::KeyId;

use super::NoRoom;
use crate::{
    area::AreaError,
    journal::JournalError,
    keys::{KeyChange, WriteDekError},
    kms::KmsError,
    store::StoreError,
};

/// What ends a run early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The areas cannot be listed.
    #[error(transparent)]
    Area(#[from] AreaError),
    /// The current key is not what it was.
    #[error("stopped; what is written is safe")]
    KeyChange(#[from] KeyChange),
    /// A file of the run cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The database is nearly full.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// What was written first is not what etcd holds now.
    #[error(
        "{key} was read back after it was written, and {why}; stopped after the first objects; see that \
         all --endpoints are of one sound cluster, then `rewrap verify`"
    )]
    NotReadBack {
        /// The etcd key.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// etcd.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No DEK source to write with.
    #[error(transparent)]
    WriteDek(#[from] Arc<WriteDekError>),
}

impl RunError {
    /// The key id now, where the only reason is that a KMS provider rotated: what is written is safe,
    /// and a run may go on under the new key.
    pub fn rotated_to(&self) -> Option<&KeyId> {
        match self {
            Self::KeyChange(KeyChange::Rotated { to, .. }) => Some(to),
            Self::WriteDek(error) => match &**error {
                WriteDekError::Kms {
                    source: KmsError::KeyIdChanged { encrypt, .. },
                    ..
                } => Some(encrypt),
                _ => None,
            },
            _ => None,
        }
    }
}
