use super::{protobuf, text};

/// What a Secret says of its purpose.
///
/// It decides nothing but the order of work and what people are shown: use
/// [`identify`](super::identify) for what an object is.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretTraits {
    /// Its `type`, such as `kubernetes.io/tls`.
    pub secret_type: Box<str>,
    /// The kind of the first object that owns it, such as `ExternalSecret`.
    pub owner: Option<Box<str>>,
    /// Whether it has the label by which the sealed-secrets controller finds its keys.
    pub sealed_secrets_key: bool,
}

impl SecretTraits {
    /// The label of the keys of sealed-secrets (`pkg/controller/keyregistry.go` of
    /// `bitnami-labs/sealed-secrets`).
    pub(super) const SEALED_SECRETS_KEY: &str = "sealedsecrets.bitnami.com/sealed-secrets-key";

    /// Of a decrypted Secret; nothing where the bytes are no object that can be one.
    pub fn of(plaintext: &[u8]) -> Option<Self> {
        match plaintext {
            [b'k', b'8', b's', 0, message @ ..] => protobuf::secret_traits(message),
            [b'{', ..] => text::secret_traits_of_json(plaintext),
            [0xd9, 0xd9, 0xf7, item @ ..] => text::secret_traits_of_cbor(item),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A length-delimited field of protobuf.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let len = u8::try_from(content.len()).expect("a short field");
        assert!(len < 128);
        [&[number << 3 | 2, len], content].concat()
    }

    #[test]
    fn every_encoding_tells_the_same() {
        let label = SecretTraits::SEALED_SECRETS_KEY;
        let entry = [field(1, label.as_bytes()), field(2, b"active")].concat();
        let owner = field(1, b"ExternalSecret");
        let metadata = [field(3, b"zoo"), field(11, &entry), field(13, &owner)].concat();
        let secret = [
            field(1, &metadata),
            field(2, &field(1, b"data")),
            field(3, b"kubernetes.io/tls"),
        ]
        .concat();
        let mut protobuf = b"k8s\0".to_vec();
        protobuf.extend(field(1, &field(2, b"Secret")));
        protobuf.extend([2 << 3 | 2, secret.len() as u8, 1][..2].iter());
        if secret.len() > 127 {
            protobuf.pop();
            protobuf.extend([secret.len() as u8 & 0x7f | 0x80, (secret.len() >> 7) as u8]);
        }
        protobuf.extend(secret);
        let json = format!(
            r#"{{"kind":"Secret","metadata":{{"labels":{{"{label}":"active","a":"b"}},"ownerReferences":[{{"kind":"ExternalSecret"}},{{"kind":"Other"}}]}},"data":{{"type":"b3RoZXI="}},"type":"kubernetes.io/tls"}}"#
        );
        let value: ciborium::Value = serde_json::from_str(&json).expect("JSON");
        let mut cbor = vec![0xd9, 0xd9, 0xf7];
        ciborium::into_writer(&value, &mut cbor).expect("a Vec grows");
        let expected = SecretTraits {
            secret_type: "kubernetes.io/tls".into(),
            owner: Some("ExternalSecret".into()),
            sealed_secrets_key: true,
        };
        for bytes in [&protobuf[..], json.as_bytes(), &cbor] {
            assert_eq!(SecretTraits::of(bytes).as_ref(), Some(&expected));
        }
        let bare = br#"{"kind":"Secret","metadata":{"labels":null,"ownerReferences":[]}}"#;
        assert_eq!(SecretTraits::of(bare), Some(SecretTraits::default()));
        let none: [&[u8]; 3] = [b"", b"{", b"k8s\0\xff"];
        for bytes in none {
            assert_eq!(SecretTraits::of(bytes), None);
        }
    }

    #[test]
    fn byte_strings_are_text_in_cbor() {
        let mut cbor = vec![0xd9, 0xd9, 0xf7, 0xa1, 0x44];
        cbor.extend(b"type\x51kubernetes.io/tls");
        let traits = SecretTraits::of(&cbor).expect("a Secret");
        assert_eq!(&*traits.secret_type, "kubernetes.io/tls");
    }
}
