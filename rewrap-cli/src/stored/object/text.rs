use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, Visitor},
};

use super::{Identity, NotAnObject, SecretTraits};

/// Reads a JSON object and nothing behind it but white space.
pub(super) fn read_json(bytes: &[u8]) -> Result<Identity, NotAnObject> {
    // The error is dropped on purpose: it may quote the bytes.
    serde_json::from_slice(bytes)
        .map(Object::into_identity)
        .map_err(|_| NotAnObject::Json)
}

/// Reads a CBOR map and nothing behind it.
pub(super) fn read_cbor(mut bytes: &[u8]) -> Result<Identity, NotAnObject> {
    match ciborium::from_reader(&mut bytes) {
        Ok(object) if bytes.is_empty() => Ok(Object::into_identity(object)),
        _ => Err(NotAnObject::Cbor),
    }
}

/// What a Secret says of its purpose.
pub(super) fn secret_traits_of_json(bytes: &[u8]) -> Option<SecretTraits> {
    serde_json::from_slice(bytes).ok().map(Secret::into_traits)
}

/// The same in CBOR.
pub(super) fn secret_traits_of_cbor(bytes: &[u8]) -> Option<SecretTraits> {
    ciborium::from_reader(bytes).ok().map(Secret::into_traits)
}

#[derive(Deserialize)]
struct Secret {
    r#type: Option<Text>,
    metadata: Option<SecretMeta>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct SecretMeta {
    labels: Option<BTreeMap<Text, IgnoredAny>>,
    owner_references: Option<Vec<Owner>>,
}

#[derive(Deserialize)]
struct Owner {
    kind: Option<Text>,
}

impl Secret {
    fn into_traits(self) -> SecretTraits {
        let SecretMeta {
            labels,
            owner_references,
        } = self.metadata.unwrap_or_default();
        let owners = owner_references.into_iter().flatten();
        SecretTraits {
            secret_type: self.r#type.map(|Text(text)| text).unwrap_or_default(),
            owner: owners
                .filter_map(|owner| owner.kind)
                .map(|Text(text)| text)
                .next(),
            sealed_secrets_key: labels
                .into_iter()
                .flatten()
                .any(|(Text(label), _)| *label == *SecretTraits::SEALED_SECRETS_KEY),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    api_version: Text,
    kind: Text,
    metadata: ObjectMeta,
}

#[derive(Deserialize)]
struct ObjectMeta {
    name: Text,
    namespace: Option<Text>,
    uid: Option<Text>,
}

impl Object {
    fn into_identity(self) -> Identity {
        let optional = |text: Option<Text>| text.map(|Text(text)| text).filter(|t| !t.is_empty());
        Identity {
            api_version: self.api_version.0,
            kind: self.kind.0,
            namespace: optional(self.metadata.namespace),
            name: self.metadata.name.0,
            uid: optional(self.metadata.uid),
        }
    }
}

/// A string; kube-apiserver writes it to CBOR as a byte string.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Text(Box<str>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl Visitor<'_> for TextVisitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.into()))
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Text, E> {
                str::from_utf8(bytes)
                    .map(|text| Text(text.into()))
                    .map_err(|_| E::custom("not UTF-8"))
            }
        }

        deserializer.deserialize_any(TextVisitor)
    }
}
