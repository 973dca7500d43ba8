//! The words of the documents for what [`stored`](crate::stored) says.

use crate::stored::{Rule, State, WrittenWith};
use kms_proto::{
    Prefix,
    inventory::{KeyRef, ObjectState},
};

/// The key a value was written with.
pub fn key_ref(written_with: &WrittenWith) -> KeyRef {
    KeyRef {
        provider: written_with.provider().to_string(),
        key: written_with
            .key()
            .map(ToString::to_string)
            .unwrap_or_default(),
    }
}

/// The key that kube-apiserver writes with under a rule.
pub fn writes_with(rule: &Rule) -> KeyRef {
    let (provider, key) = rule.writes_with();
    KeyRef {
        provider: provider.to_string(),
        key: key.map(|key| key.to_string()).unwrap_or_default(),
    }
}

/// Who seems to have written a value that no provider of the rule matches.
pub fn guess(value: &[u8]) -> KeyRef {
    let (provider, key) = match Prefix::guess(value) {
        Prefix::AesCbc(key) => ("aescbc", key),
        Prefix::AesGcm(key) => ("aesgcm", key),
        Prefix::Identity => ("identity", ""),
        Prefix::KmsV1(key) => ("kms-v1", key),
        Prefix::KmsV2(key) => ("kms-v2", key),
        Prefix::Secretbox(key) => ("secretbox", key),
        Prefix::Unknown => ("unknown", ""),
    };
    KeyRef {
        provider: provider.to_owned(),
        key: key.to_owned(),
    }
}

/// The state for a document.
pub fn object_state(state: State) -> ObjectState {
    match state {
        State::Current => ObjectState::Current,
        State::Stale(_) => ObjectState::Stale,
        State::Plaintext => ObjectState::Plaintext,
        State::Unknowable => ObjectState::Unknowable,
    }
}
