use prost::Message as _;

use super::{Identity, NotAnObject, SecretTraits};

/// Reads `runtime.Unknown`, whose `raw` is the object itself. Fields that are not named below are
/// skipped, but must be well-formed too.
pub(super) fn read(message: &[u8]) -> Result<Identity, NotAnObject> {
    let Unknown { type_meta, raw } = Unknown::decode(message).map_err(|_| NotAnObject::Protobuf)?;
    let TypeMeta { api_version, kind } = type_meta;
    let ObjectMeta {
        name,
        namespace,
        uid,
    } = raw.metadata;
    let optional = |text: String| (!text.is_empty()).then(|| text.into());
    Ok(Identity {
        api_version: api_version.into(),
        kind: kind.into(),
        namespace: optional(namespace),
        name: name.into(),
        uid: optional(uid),
    })
}

/// What a Secret says of its purpose.
pub(super) fn secret_traits(message: &[u8]) -> Option<SecretTraits> {
    let UnknownSecret { raw } = UnknownSecret::decode(message).ok()?;
    let SecretMeta { labels, owners } = raw.metadata;
    Some(SecretTraits {
        secret_type: raw.r#type.into(),
        owner: owners.into_iter().next().map(|owner| owner.kind.into()),
        sealed_secrets_key: labels
            .iter()
            .any(|label| label.key == SecretTraits::SEALED_SECRETS_KEY),
    })
}

/// [`Unknown`] where it holds a Secret.
#[derive(prost::Message)]
#[prost(skip_debug)]
struct UnknownSecret {
    #[prost(message, required, tag = "2")]
    raw: Secret,
}

/// Numbers: `k8s.io/api/core/v1/generated.proto`.
#[derive(prost::Message)]
#[prost(skip_debug)]
struct Secret {
    #[prost(message, required, tag = "1")]
    metadata: SecretMeta,
    #[prost(string, tag = "3")]
    r#type: String,
}

/// [`ObjectMeta`] of a Secret; numbers likewise.
#[derive(prost::Message)]
#[prost(skip_debug)]
struct SecretMeta {
    #[prost(message, repeated, tag = "11")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "13")]
    owners: Vec<Owner>,
}

/// An entry of a map.
#[derive(prost::Message)]
#[prost(skip_debug)]
struct Label {
    #[prost(string, tag = "1")]
    key: String,
}

/// `OwnerReference`.
#[derive(prost::Message)]
#[prost(skip_debug)]
struct Owner {
    #[prost(string, tag = "1")]
    kind: String,
}

/// Numbers: `k8s.io/apimachinery/pkg/runtime/generated.proto`. `raw` is declared as bytes there; on
/// the wire that is the same as the message it holds, and nothing is copied.
#[derive(prost::Message)]
#[prost(skip_debug)]
struct Unknown {
    #[prost(message, required, tag = "1")]
    type_meta: TypeMeta,
    #[prost(message, required, tag = "2")]
    raw: Object,
}

#[derive(prost::Message)]
#[prost(skip_debug)]
struct TypeMeta {
    #[prost(string, tag = "1")]
    api_version: String,
    #[prost(string, tag = "2")]
    kind: String,
}

/// Every stored kind has its metadata in field 1.
#[derive(prost::Message)]
#[prost(skip_debug)]
struct Object {
    #[prost(message, required, tag = "1")]
    metadata: ObjectMeta,
}

/// Numbers: `k8s.io/apimachinery/pkg/apis/meta/v1/generated.proto`.
#[derive(prost::Message)]
#[prost(skip_debug)]
struct ObjectMeta {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "3")]
    namespace: String,
    #[prost(string, tag = "5")]
    uid: String,
}
