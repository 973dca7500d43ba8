use std::collections::BTreeMap;

use prost::Message as _;

use crate::{
    DekSourceType, EncryptedDekSourceError, EncryptedDekSourceRef, UnknownDekSourceType,
    fields::{Field, Fields, Malformed},
    wire,
};

/// What stands in etcd behind `k8s:enc:kms:v2:<provider>:`.
///
/// Decoding takes fields in any order, takes the last of duplicates and skips unknown fields, as
/// protobuf does, and borrows everything: every value of a store is decoded. Encoding writes the
/// fields in order, like kube-apiserver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedObject<'a> {
    encrypted_data: &'a [u8],
    dek_source: EncryptedDekSourceRef<'a>,
    dek_source_type: DekSourceType,
}

impl<'a> EncryptedObject<'a> {
    /// Puts an object together.
    ///
    /// # Errors
    /// [`EncryptedObjectError::NoData`] where `encrypted_data` is empty: kube-apiserver refuses
    /// such a value.
    pub fn new(
        encrypted_data: &'a [u8],
        dek_source: EncryptedDekSourceRef<'a>,
        dek_source_type: DekSourceType,
    ) -> Result<Self, EncryptedObjectError> {
        if encrypted_data.is_empty() {
            return Err(EncryptedObjectError::NoData);
        }
        Ok(Self {
            encrypted_data,
            dek_source,
            dek_source_type,
        })
    }

    /// Decodes and checks the bytes behind the prefix, with the rules of `ValidateEncryptedObject`
    /// (`k8s.io/apiserver/pkg/storage/value/encrypt/envelope/kmsv2/envelope.go`).
    ///
    /// # Errors
    /// What is malformed, or the rule that is broken.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, EncryptedObjectError> {
        let mut encrypted_data: &[u8] = &[];
        let mut key_id = "";
        let mut ciphertext: &[u8] = &[];
        let mut annotations = BTreeMap::new();
        let mut dek_source_type = 0;
        for field in Fields::of(bytes) {
            match field? {
                (1, Field::Bytes(bytes)) => encrypted_data = bytes,
                (2, Field::Bytes(bytes)) => key_id = text(bytes)?,
                (3, Field::Bytes(bytes)) => ciphertext = bytes,
                (4, Field::Bytes(bytes)) => {
                    let (key, value) = annotation(bytes)?;
                    annotations.insert(key, value);
                }
                // Numbers that are too long for an enum are cut, as protobuf prescribes.
                (5, Field::Varint(number)) => dek_source_type = number as i32,
                (1..=5, _) => return Err(EncryptedObjectError::Malformed),
                _ => {}
            }
        }
        let dek_source_type = dek_source_type.try_into()?;
        let dek_source = EncryptedDekSourceRef::new(ciphertext, key_id, annotations)?;
        Self::new(encrypted_data, dek_source, dek_source_type)
    }

    /// Parts bytes into the encrypted data and what stands behind it, where the encrypted data comes
    /// first, as kube-apiserver writes it.
    ///
    /// Values of one DEK source end alike, so one that ends like a value that was decoded is known
    /// without decoding. That holds where the ending has no encrypted data of its own, as what
    /// [`Self::encode`] writes.
    pub fn split(bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let mut fields = Fields::of(bytes);
        match fields.next() {
            Some(Ok((1, Field::Bytes(data)))) if !data.is_empty() => Some((data, fields.rest())),
            _ => None,
        }
    }

    /// Appends the encoded object to `out`, which usually holds the prefix already.
    pub fn encode(self, out: &mut Vec<u8>) {
        let Self {
            encrypted_data,
            dek_source,
            dek_source_type,
        } = self;
        let annotations = dek_source
            .annotations()
            .map(|(key, value)| (key.to_owned(), value.to_vec()));
        let message = wire::storage::EncryptedObject {
            encrypted_data: encrypted_data.to_vec(),
            key_id: dek_source.key_id().to_owned(),
            encrypted_dek_source: dek_source.ciphertext().to_vec(),
            annotations: annotations.collect(),
            encrypted_dek_source_type: dek_source_type.number(),
        };
        out.reserve(message.encoded_len());
        message.encode_raw(out);
    }

    /// The encrypted value: its layout depends on [`Self::dek_source_type`].
    pub fn encrypted_data(&self) -> &'a [u8] {
        self.encrypted_data
    }

    /// The wrapped DEK source.
    pub fn dek_source(&self) -> &EncryptedDekSourceRef<'a> {
        &self.dek_source
    }

    /// The wrapped DEK source, without the rest.
    pub fn into_dek_source(self) -> EncryptedDekSourceRef<'a> {
        self.dek_source
    }

    /// What the unwrapped DEK source is.
    pub fn dek_source_type(&self) -> DekSourceType {
        self.dek_source_type
    }
}

/// An entry of the map of annotations; both parts may be missing and are then empty.
fn annotation(entry: &[u8]) -> Result<(&str, &[u8]), Malformed> {
    let mut key = "";
    let mut value: &[u8] = &[];
    for field in Fields::of(entry) {
        match field? {
            (1, Field::Bytes(bytes)) => key = text(bytes)?,
            (2, Field::Bytes(bytes)) => value = bytes,
            (1 | 2, _) => return Err(Malformed),
            _ => {}
        }
    }
    Ok((key, value))
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    str::from_utf8(bytes).map_err(|_| Malformed)
}

/// Why bytes are no stored object of KMS v2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptedObjectError {
    /// No encrypted data.
    #[error("the encrypted data is empty")]
    NoData,
    /// No protobuf, or a field of the wrong type.
    #[error("the stored object cannot be decoded")]
    Malformed,
    /// The wrapped DEK source breaks a rule.
    #[error(transparent)]
    DekSource(#[from] EncryptedDekSourceError),
    /// A type of DEK source from the future.
    #[error(transparent)]
    DekSourceType(#[from] UnknownDekSourceType),
}

impl From<Malformed> for EncryptedObjectError {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Annotations, EncryptedDekSource};

    /// The bytes behind the prefix of the annotated value in the specification of the stored
    /// format: empty plaintext, type 1.
    const GOLDEN: &str = "0a3c0cc5552c15e2115909fcf46fa64222284121acc5b147f576ddc0b1448aa24ace48824584bd3461b14a176eb3\
                          ec0f59fc13f346a0d092c373fd50b22712056b65792d371a2c76746c6f39547375412f724f4d39797566354b5a71\
                          3273506230524f6e4d2b7554317a4e5a382f597374383d2801";

    #[test]
    fn a_value_of_kube_apiserver_decodes_and_encodes_to_the_same_bytes() {
        let bytes = hex::decode(GOLDEN).unwrap();
        let object = EncryptedObject::decode(&bytes).unwrap();
        assert_eq!(object.encrypted_data().len(), 60);
        assert_eq!(object.dek_source().key_id(), "key-7");
        assert_eq!(
            object.dek_source().ciphertext(),
            b"vtlo9TsuA/rOM9yuf5KZq2sPb0ROnM+uT1zNZ8/Yst8=".as_slice()
        );
        assert_eq!(
            object.dek_source_type(),
            DekSourceType::HkdfSha256XnonceAesGcmSeed
        );
        let mut again = Vec::new();
        object.encode(&mut again);
        assert_eq!(again, bytes);
    }

    #[test]
    fn any_order_of_fields_and_unknown_fields_are_accepted() {
        let mut bytes = hex::decode("280112056b65792d37").unwrap();
        bytes.extend(hex::decode("1a0101").unwrap());
        bytes.extend(hex::decode("0a0102").unwrap());
        bytes.extend(hex::decode("ba3e0103").unwrap());
        let object = EncryptedObject::decode(&bytes).unwrap();
        assert_eq!(object.encrypted_data(), [2]);
        assert_eq!(object.dek_source().key_id(), "key-7");
    }

    #[test]
    fn every_rule_of_the_apiserver_is_checked() {
        let message = wire::storage::EncryptedObject {
            encrypted_data: vec![1],
            key_id: "k".into(),
            encrypted_dek_source: vec![1],
            annotations: [("a.b".to_owned(), vec![])].into(),
            encrypted_dek_source_type: 1,
        };
        let decode = |change: &dyn Fn(&mut wire::storage::EncryptedObject)| {
            let mut changed = message.clone();
            change(&mut changed);
            EncryptedObject::decode(&changed.encode_to_vec())
                .map(drop)
                .map_err(|error| error.to_string())
        };
        assert_eq!(decode(&|_| ()), Ok(()));
        type Change = fn(&mut wire::storage::EncryptedObject);
        let cases: [(Change, &str); 6] = [
            (|m| m.encrypted_data.clear(), "the encrypted data is empty"),
            (|m| m.key_id.clear(), "the key id is empty"),
            (
                |m| m.key_id = "k".repeat(1025),
                "the key id has 1025 bytes, more than the 1024 that kube-apiserver accepts",
            ),
            (
                |m| m.encrypted_dek_source.clear(),
                "the encrypted DEK source is empty",
            ),
            (
                |m| m.encrypted_dek_source_type = 2,
                "unknown encryptedDEKSourceType: 2",
            ),
            (
                |m| drop(m.annotations.insert("nodots".into(), vec![])),
                "the annotation key \"nodots\" is no fully qualified domain name, such as kek.example.com",
            ),
        ];
        for (change, error) in cases {
            assert_eq!(decode(&change), Err(error.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn decode_is_the_inverse_of_encode(
            data in proptest::collection::vec(any::<u8>(), 1..300),
            key_id in ".{1,100}",
            ciphertext in proptest::collection::vec(any::<u8>(), 1..=1024),
            annotations in proptest::collection::btree_map("[a-z]{1,9}\\.[a-z]{1,9}", proptest::collection::vec(any::<u8>(), 0..50), 0..5),
            seed in any::<bool>(),
        ) {
            let kind = if seed { DekSourceType::HkdfSha256XnonceAesGcmSeed } else { DekSourceType::AesGcmKey };
            let source = EncryptedDekSource {
                ciphertext: ciphertext.try_into().unwrap(),
                key_id: key_id.parse().unwrap(),
                annotations: Annotations::new(annotations).unwrap(),
            };
            let object = EncryptedObject::new(&data, (&source).into(), kind).unwrap();
            let mut bytes = Vec::new();
            object.clone().encode(&mut bytes);
            prop_assert_eq!(EncryptedObject::decode(&bytes).unwrap(), object);
        }

        /// The message library is the reference for what is accepted and what comes out.
        #[test]
        fn decode_agrees_with_the_message_library(
            edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
            tail in proptest::collection::vec(any::<u8>(), 0..12),
        ) {
            let mut bytes = hex::decode(GOLDEN).unwrap();
            bytes.extend(hex::decode("220a0a03612e62120378797a").unwrap());
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.extend(tail);
            let reference = wire::storage::EncryptedObject::decode(&bytes[..]);
            let decoded = EncryptedObject::decode(&bytes);
            match (reference, decoded) {
                (Err(_), decoded) => prop_assert_eq!(decoded, Err(EncryptedObjectError::Malformed)),
                (Ok(message), Ok(object)) => {
                    prop_assert_eq!(object.encrypted_data(), message.encrypted_data);
                    prop_assert_eq!(object.dek_source_type().number(), message.encrypted_dek_source_type);
                    let source = object.into_dek_source().to_source();
                    prop_assert_eq!(source.key_id.as_str(), message.key_id);
                    prop_assert_eq!(source.ciphertext.as_bytes(), message.encrypted_dek_source);
                    prop_assert_eq!(source.annotations.to_wire(), message.annotations);
                }
                // A rule is broken that the message library does not know.
                (Ok(_), Err(error)) => prop_assert_ne!(error, EncryptedObjectError::Malformed),
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = EncryptedObject::decode(&bytes);
        }

        #[test]
        fn truncated_objects_never_panic(len in 0_usize..150) {
            let bytes = hex::decode(GOLDEN).unwrap();
            let _ = EncryptedObject::decode(&bytes[..len.min(bytes.len())]);
        }
    }
}
