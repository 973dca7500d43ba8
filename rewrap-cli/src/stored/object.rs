//! What the decrypted bytes say they are: the last proof before anything is written in their place.
//!
//! Encodings: protobuf behind `k8s\0` (`k8s.io/apimachinery/pkg/runtime/serializer/protobuf`), JSON
//! from its `{`, CBOR behind its self-described tag (`.../serializer/cbor`).

use crate::stored::resource::ObjectKey;

mod protobuf;
mod secret;
mod text;

pub use secret::SecretTraits;

/// The type and the name that an object states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `v1`, `apps/v1`
    pub api_version: Box<str>,
    /// `Secret`, `Deployment`
    pub kind: Box<str>,
    /// None for an object of a cluster-scoped resource.
    pub namespace: Option<Box<str>>,
    /// `metadata.name`
    pub name: Box<str>,
    /// `metadata.uid`
    pub uid: Option<Box<str>>,
}

/// Reads the type and the name of an object, which must be well-formed to its last byte and be the
/// one that `expected` names.
///
/// # Errors
/// Why the bytes are not that object. Nothing of them is in the error.
pub fn identify(plaintext: &[u8], expected: ObjectKey<'_>) -> Result<Identity, NotAnObject> {
    let identity = read(plaintext)?;
    if *identity.name != *expected.name || identity.namespace.as_deref() != expected.namespace {
        return Err(NotAnObject::Another);
    }
    Ok(identity)
}

/// [`identify`] where only the etcd key is known: it must end in `/namespace/name`, or in `/name`
/// for an object without a namespace. Every stored object does.
pub(in crate::stored) fn identify_at(
    plaintext: &[u8],
    path: &[u8],
) -> Result<Identity, NotAnObject> {
    let identity = read(plaintext)?;
    let parent = path
        .strip_suffix(identity.name.as_bytes())
        .and_then(|rest| rest.strip_suffix(b"/"));
    let found = match (parent, &identity.namespace) {
        (Some(parent), Some(namespace)) => parent
            .strip_suffix(namespace.as_bytes())
            .is_some_and(|rest| rest.ends_with(b"/")),
        (Some(_), None) => true,
        (None, _) => false,
    };
    found.then_some(identity).ok_or(NotAnObject::Another)
}

fn read(plaintext: &[u8]) -> Result<Identity, NotAnObject> {
    let identity = match plaintext {
        [b'k', b'8', b's', 0, message @ ..] => protobuf::read(message)?,
        [b'{', ..] => text::read_json(plaintext)?,
        [0xd9, 0xd9, 0xf7, item @ ..] => text::read_cbor(item)?,
        _ => return Err(NotAnObject::Encoding),
    };
    let Identity {
        api_version,
        kind,
        name,
        ..
    } = &identity;
    if api_version.is_empty() || kind.is_empty() || name.is_empty() {
        return Err(NotAnObject::Nameless);
    }
    Ok(identity)
}

/// Why bytes are not the object that their etcd key names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAnObject {
    /// A well-formed object, but of another name or namespace.
    #[error("the object has another name or namespace than its etcd key")]
    Another,
    /// CBOR that ends early, goes on, or lacks a field that every object has.
    #[error("the CBOR is malformed, or has no apiVersion, kind and metadata.name")]
    Cbor,
    /// None of the three encodings.
    #[error("the bytes are neither protobuf, JSON nor CBOR of Kubernetes")]
    Encoding,
    /// JSON that ends early, goes on, or lacks a field that every object has.
    #[error("the JSON is malformed, or has no apiVersion, kind and metadata.name")]
    Json,
    /// The apiVersion, the kind or the name is empty.
    #[error("the object states no apiVersion, kind or name")]
    Nameless,
    /// Protobuf that ends early or has a field of a wrong type.
    #[error("the protobuf is malformed")]
    Protobuf,
}

#[cfg(test)]
mod tests;
