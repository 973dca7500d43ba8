//! Generated messages and services, and the two traits that make those carrying a DEK source safe
//! to hold: a `Debug` that shows no secret and a `Drop` that wipes it.

use std::fmt;

use zeroize::Zeroize;

/// KMS v2, as kube-apiserver speaks it (package `v2` on the wire).
pub mod v2 {
    #![expect(
        missing_docs,
        unused_qualifications,
        reason = "generated; documented in kms/v2/api.proto"
    )]
    tonic::include_proto!("v2");
}

/// KMS v1 (package `v1beta1` on the wire).
pub mod v1beta1 {
    #![expect(
        missing_docs,
        unused_qualifications,
        reason = "generated; documented in kms/v1beta1/api.proto"
    )]
    tonic::include_proto!("v1beta1");
}

/// The stored `EncryptedObject` of KMS v2.
pub mod storage {
    #![expect(
        missing_docs,
        reason = "generated; documented in storage/v2/object.proto"
    )]
    tonic::include_proto!("ringfence.storage.v2");
}

/// The daemon's own description of itself.
pub mod ringfence {
    #![expect(
        missing_docs,
        unused_qualifications,
        reason = "generated; documented in ringfence/v1/status.proto"
    )]
    tonic::include_proto!("ringfence.v1");
}

impl fmt::Debug for v2::EncryptRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptRequest")
            .field("uid", &self.uid)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for v2::DecryptResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecryptResponse").finish_non_exhaustive()
    }
}

impl fmt::Debug for v1beta1::EncryptRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptRequest").finish_non_exhaustive()
    }
}

impl fmt::Debug for v1beta1::DecryptResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecryptResponse").finish_non_exhaustive()
    }
}

impl Drop for v2::EncryptRequest {
    fn drop(&mut self) {
        self.plaintext.zeroize();
    }
}

impl Drop for v2::DecryptResponse {
    fn drop(&mut self) {
        self.plaintext.zeroize();
    }
}

impl Drop for v1beta1::EncryptRequest {
    fn drop(&mut self) {
        self.plain.zeroize();
    }
}

impl Drop for v1beta1::DecryptResponse {
    fn drop(&mut self) {
        self.plain.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_messages_print_no_secret() {
        let plaintext = b"hunter2".to_vec();
        let request = v2::EncryptRequest {
            plaintext: plaintext.clone(),
            uid: "u".into(),
        };
        assert_eq!(format!("{request:?}"), r#"EncryptRequest { uid: "u", .. }"#);
        let response = v2::DecryptResponse {
            plaintext: plaintext.clone(),
        };
        assert_eq!(format!("{response:?}"), "DecryptResponse { .. }");
        let request = v1beta1::EncryptRequest {
            version: String::new(),
            plain: plaintext.clone(),
        };
        assert_eq!(format!("{request:?}"), "EncryptRequest { .. }");
        let response = v1beta1::DecryptResponse { plain: plaintext };
        assert_eq!(format!("{response:?}"), "DecryptResponse { .. }");
    }
}
