//! The messages of KMS v2: names, numbers and types of `k8s.io/kms/apis/v2/api.proto`.

use std::collections::BTreeMap;

use super::protobuf::{entry, field, fields};

/// What Status answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) version: String,
    pub(crate) healthz: String,
    pub(crate) key_id: String,
}

impl Status {
    /// Reads a `StatusResponse`.
    pub(crate) fn read(message: &[u8]) -> Result<Self, String> {
        let mut status = Self::default();
        for (name, value) in known(message, &["version", "healthz", "key_id"])? {
            let value = text(name, value)?;
            match name {
                "version" => status.version = value,
                "healthz" => status.healthz = value,
                _ => status.key_id = value,
            }
        }
        Ok(status)
    }
}

/// What Encrypt answers, and kube-apiserver stores and brings back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wrapped {
    pub(crate) ciphertext: Vec<u8>,
    pub(crate) key_id: String,
    pub(crate) annotations: BTreeMap<String, Vec<u8>>,
}

impl Wrapped {
    /// Reads an `EncryptResponse`.
    pub(crate) fn read(message: &[u8]) -> Result<Self, String> {
        let mut wrapped = Self::default();
        for (name, value) in known(message, &["ciphertext", "key_id", "annotations"])? {
            match name {
                "ciphertext" => wrapped.ciphertext = value.to_vec(),
                "key_id" => wrapped.key_id = text(name, value)?,
                _ => {
                    let (mut key, mut content) = (String::new(), Vec::new());
                    for (name, value) in known(value, &["annotations.key", "annotations.value"])? {
                        match name {
                            "annotations.key" => key = text(name, value)?,
                            _ => content = value.to_vec(),
                        }
                    }
                    wrapped.annotations.insert(key, content);
                }
            }
        }
        Ok(wrapped)
    }

    /// The `DecryptRequest` that brings it back.
    pub(crate) fn request(&self, uid: &str) -> Vec<u8> {
        let mut message = [
            field(1, &self.ciphertext),
            field(2, uid.as_bytes()),
            field(3, self.key_id.as_bytes()),
        ]
        .concat();
        for (key, value) in &self.annotations {
            message.extend(entry(4, key, value));
        }
        message
    }
}

/// An `EncryptRequest`.
pub(crate) fn encrypt_request(plaintext: &[u8], uid: &str) -> Vec<u8> {
    [field(1, plaintext), field(2, uid.as_bytes())].concat()
}

/// Reads a `DecryptResponse`.
pub(crate) fn plaintext(message: &[u8]) -> Result<Vec<u8>, String> {
    let last = known(message, &["plaintext"])?.pop();
    Ok(last.map(|(_, value)| value.to_vec()).unwrap_or_default())
}

/// The fields numbered from 1 in the order of `names`. Others are a later version's and passed
/// over, as Go's protobuf does.
fn known<'a>(
    message: &'a [u8],
    names: &[&'static str],
) -> Result<Vec<(&'static str, &'a [u8])>, String> {
    let mut known = Vec::new();
    for (number, value) in fields(message)? {
        let Some(name) = usize::try_from(number - 1)
            .ok()
            .and_then(|at| names.get(at))
        else {
            continue;
        };
        let value = value.map_err(|wire_type| {
            format!("field {number} ({name}) has wire type {wire_type} instead of 2")
        })?;
        known.push((*name, value));
    }
    Ok(known)
}

fn text(name: &str, value: &[u8]) -> Result<String, String> {
    String::from_utf8(value.to_vec()).map_err(|_| format!("{name} is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_by_number() {
        let status = Status::read(b"\x12\x02ok\x0a\x02v2\x1a\x03one\x20\x01").unwrap();
        let [version, healthz, key_id] = ["v2", "ok", "one"].map(str::to_owned);
        assert_eq!(
            status,
            Status {
                version,
                healthz,
                key_id
            }
        );

        let message = b"\x0a\x01c\x12\x03one\x1a\x08\x0a\x03a.b\x12\x01v\x1a\x00";
        let wrapped = Wrapped::read(message).unwrap();
        assert_eq!(
            (&wrapped.ciphertext[..], &wrapped.key_id[..]),
            (&b"c"[..], "one")
        );
        let annotations: Vec<_> = wrapped.annotations.iter().collect();
        let entries = [("", &b""[..]), ("a.b", b"v")].map(|(k, v)| (k.to_owned(), v.to_vec()));
        assert_eq!(annotations, entries.each_ref().map(|(k, v)| (k, v)));

        assert_eq!(plaintext(b"").unwrap(), b"");
        assert_eq!(plaintext(b"\x0a\x02hi").unwrap(), b"hi");
    }

    #[test]
    fn what_go_would_not_read_is_named() {
        let error = Status::read(b"\x1a\x01\xff").unwrap_err();
        assert_eq!(error, "key_id is not UTF-8");
        let error = Wrapped::read(b"\x10\x01").unwrap_err();
        assert_eq!(error, "field 2 (key_id) has wire type 0 instead of 2");
        let error = Wrapped::read(b"\x1a\x03\x0a\x01\xff").unwrap_err();
        assert_eq!(error, "annotations.key is not UTF-8");
    }

    #[test]
    fn requests_are_these_bytes() {
        assert_eq!(encrypt_request(b"p", "u"), b"\x0a\x01p\x12\x01u");
        let annotations = [("a.b".to_owned(), Vec::new())].into();
        let wrapped = Wrapped {
            ciphertext: b"c".to_vec(),
            key_id: "k".to_owned(),
            annotations,
        };
        let message = b"\x0a\x01c\x12\x01u\x1a\x01k\x22\x07\x0a\x03a.b\x12\x00";
        assert_eq!(wrapped.request("u"), message);
    }
}
