use super::{protobuf, text};

/// The `type` that a Secret states, such as `kubernetes.io/tls`; nothing where the bytes are no object
/// that can have one.
///
/// A type decides nothing but the order of work: use [`identify`](super::identify) for what an object
/// is.
pub fn secret_type(plaintext: &[u8]) -> Option<Box<str>> {
    match plaintext {
        [b'k', b'8', b's', 0, message @ ..] => protobuf::secret_type(message),
        [b'{', ..] => text::secret_type_of_json(plaintext),
        [0xd9, 0xd9, 0xf7, item @ ..] => text::secret_type_of_cbor(item),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_tells_the_type() {
        // TypeMeta in field 1; raw in field 2: data in field 2, the type in field 3.
        let protobuf = b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret\x12\x19\x12\x04\x0a\x02ab\x1a\x11kubernetes.io/tls";
        let json = br#"{"kind":"Secret","data":{"type":"b3RoZXI="},"type":"kubernetes.io/tls"}"#;
        let mut cbor = vec![0xd9, 0xd9, 0xf7, 0xa1, 0x44];
        cbor.extend(b"type\x51kubernetes.io/tls");
        for bytes in [&protobuf[..], json, &cbor] {
            assert_eq!(secret_type(bytes).as_deref(), Some("kubernetes.io/tls"));
        }
        let none: [&[u8]; 4] = [b"", b"{", b"k8s\0\xff", br#"{"kind":"Secret"}"#];
        for bytes in none {
            assert_eq!(secret_type(bytes), None);
        }
    }
}
