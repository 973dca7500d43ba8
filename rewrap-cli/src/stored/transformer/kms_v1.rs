//! The KMS v1 envelope: `length (2, big-endian) || encrypted DEK || payload`. Kubernetes 1.25 and
//! newer write AES-GCM payloads, older ones AES-CBC; we write AES-GCM.

use kms_proto::DekSource;

use super::{
    OpenCause, Plaintext, aes_cbc,
    aes_gcm::{GcmKey, NONCE_LEN, TAG_LEN},
};
use crate::stored::{dek::WriteDek, object::NotAnObject, rule::SealError};

/// An opened payload.
pub(in crate::stored) struct Opened {
    pub(in crate::stored) plaintext: Plaintext,
    /// Written as AES-CBC by Kubernetes 1.24 or older.
    pub(in crate::stored) legacy: bool,
}

/// Splits a body into the encrypted DEK and the payload.
pub(in crate::stored) fn split(body: &[u8]) -> Result<(&[u8], &[u8]), OpenCause> {
    let too_short = |least| OpenCause::TooShort {
        len: body.len(),
        least,
    };
    let Some((len, rest)) = body.split_first_chunk() else {
        return Err(too_short(size_of::<u16>()));
    };
    let len = usize::from(u16::from_be_bytes(*len));
    rest.split_at_checked(len)
        .ok_or_else(|| too_short(size_of::<u16>() + len))
}

/// Appends the envelope of a value. A DEK belongs to one value, as with kube-apiserver, so its nonce
/// may be random.
pub(in crate::stored) fn seal(
    dek: &WriteDek,
    path: &[u8],
    plaintext: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), SealError> {
    let secret = dek.source().expose();
    let key = GcmKey::new(secret).ok_or(SealError::KeyLength(secret.len()))?;
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce)?;
    out.extend_from_slice(dek.constant());
    key.seal(path, plaintext, nonce, out)?;
    Ok(())
}

/// The bytes that [`seal`] appends.
pub(in crate::stored) fn sealed_len(dek: &WriteDek, plaintext: &[u8]) -> usize {
    dek.constant().len() + NONCE_LEN + plaintext.len() + TAG_LEN
}

/// Opens a payload as AES-GCM, then as AES-CBC, as kube-apiserver does.
pub(in crate::stored) fn open(
    dek: &DekSource,
    path: &[u8],
    payload: &[u8],
    accept: impl Fn(&[u8]) -> Result<(), NotAnObject>,
) -> Result<Opened, OpenCause> {
    let dek = dek.expose();
    let key = GcmKey::new(dek).ok_or(OpenCause::KeyLength(dek.len()))?;
    let gcm = match key.open(path, payload) {
        Ok(plaintext) => {
            return Ok(Opened {
                plaintext,
                legacy: false,
            });
        }
        Err(cause) => Box::new(cause),
    };
    match aes_cbc::open(dek, payload, accept) {
        Ok(plaintext) => Ok(Opened {
            plaintext,
            legacy: true,
        }),
        Err(cause) => Err(OpenCause::Payload {
            gcm,
            cbc: Box::new(cause),
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_body_is_split_where_it_says_or_not_at_all(
            len in prop_oneof![0..60_u16, any::<u16>()],
            rest in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let body = [&len.to_be_bytes()[..], &rest].concat();
            match split(&body) {
                Ok((cipher, payload)) => {
                    prop_assert_eq!(cipher.len(), usize::from(len));
                    prop_assert_eq!([cipher, payload].concat(), rest);
                }
                Err(error) => {
                    let least = 2 + usize::from(len);
                    prop_assert_eq!(error, OpenCause::TooShort { len: body.len(), least });
                    prop_assert!(body.len() < least);
                }
            }
        }
    }

    #[test]
    fn a_body_without_a_whole_length_is_too_short() {
        for body in [&b""[..], b"\x01"] {
            let len = body.len();
            assert_eq!(split(body), Err(OpenCause::TooShort { len, least: 2 }));
        }
    }
}
