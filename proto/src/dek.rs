use std::{collections::BTreeMap, fmt};

use zeroize::Zeroizing;

use crate::{Annotations, AnnotationsError, KeyId, KeyIdError, wire};

/// What kube-apiserver asks a plugin to wrap: a DEK, or the seed it derives DEKs from. 32 bytes in
/// every release from 1.25 on, but its length is the apiserver's business.
///
/// Wiped when dropped; no `Clone`, no comparison, and a `Debug` that shows nothing.
pub struct DekSource(Zeroizing<Vec<u8>>);

impl DekSource {
    /// The length of a seed, in bytes: what kube-apiserver generates and the least it accepts
    /// (`k8s.io/apiserver/pkg/storage/value/encrypt/aes/aes_extended_nonce.go`).
    pub const SEED_LEN: usize = 32;

    /// Takes over the bytes; no copy is left behind.
    pub fn new(bytes: impl Into<Zeroizing<Vec<u8>>>) -> Self {
        Self(bytes.into())
    }

    /// The secret itself.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Gives the bytes away to somebody who wipes them.
    pub fn into_inner(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

impl fmt::Debug for DekSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DekSource([REDACTED])")
    }
}

/// How a DEK source becomes the key of one value (`EncryptedDEKSourceType` of the stored object).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DekSourceType {
    /// 0: the DEK source is the AES-GCM key.
    AesGcmKey,
    /// 1: the DEK source is a seed for HKDF-Expand with SHA-256 (Kubernetes 1.28 and newer).
    HkdfSha256XnonceAesGcmSeed,
}

impl DekSourceType {
    /// The number on the wire.
    pub fn number(self) -> i32 {
        match self {
            Self::AesGcmKey => wire::storage::EncryptedDekSourceType::AesGcmKey.into(),
            Self::HkdfSha256XnonceAesGcmSeed => {
                wire::storage::EncryptedDekSourceType::HkdfSha256XnonceAesGcmSeed.into()
            }
        }
    }
}

impl TryFrom<i32> for DekSourceType {
    type Error = UnknownDekSourceType;

    fn try_from(number: i32) -> Result<Self, Self::Error> {
        match number {
            0 => Ok(Self::AesGcmKey),
            1 => Ok(Self::HkdfSha256XnonceAesGcmSeed),
            other => Err(UnknownDekSourceType(other)),
        }
    }
}

/// A type of DEK source that no released kube-apiserver writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown encryptedDEKSourceType: {0}")]
pub struct UnknownDekSourceType(pub i32);

/// A wrapped DEK source as the plugin made it: 1 to [`Ciphertext::MAX_LEN`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ciphertext(Box<[u8]>);

impl Ciphertext {
    /// The longest ciphertext an apiserver accepts, in bytes (`encryptedDEKSourceMaxSize`,
    /// `k8s.io/apiserver/pkg/storage/value/encrypt/envelope/kmsv2/envelope.go`).
    pub const MAX_LEN: usize = 1024;

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn check(bytes: &[u8]) -> Result<(), CiphertextError> {
        match bytes.len() {
            0 => Err(CiphertextError::Empty),
            1..=Self::MAX_LEN => Ok(()),
            len => Err(CiphertextError::TooLong { len }),
        }
    }
}

impl TryFrom<Vec<u8>> for Ciphertext {
    type Error = CiphertextError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, Self::Error> {
        Self::check(&bytes)?;
        Ok(Self(bytes.into()))
    }
}

/// Why bytes are no ciphertext of a DEK source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CiphertextError {
    /// No bytes at all.
    #[error("the encrypted DEK source is empty")]
    Empty,
    /// Longer than [`Ciphertext::MAX_LEN`].
    #[error("the encrypted DEK source has {len} bytes, more than the {max} that kube-apiserver accepts", max = Ciphertext::MAX_LEN)]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
}

/// A wrapped DEK source with everything needed to unwrap it: what Encrypt answers and Decrypt is
/// asked.
///
/// All three fields together are its identity: kube-apiserver's cache key covers them all
/// (`generateCacheKey`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EncryptedDekSource {
    /// The wrapped bytes.
    pub ciphertext: Ciphertext,
    /// The KEK version that wrapped them.
    pub key_id: KeyId,
    /// What the plugin wants back with them.
    pub annotations: Annotations,
}

impl EncryptedDekSource {
    /// Checks the parts of a message.
    ///
    /// # Errors
    /// The part that breaks a rule of kube-apiserver.
    pub fn from_wire(
        ciphertext: Vec<u8>,
        key_id: &str,
        annotations: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> Result<Self, EncryptedDekSourceError> {
        Ok(Self {
            ciphertext: ciphertext.try_into()?,
            key_id: key_id.parse()?,
            annotations: Annotations::new(annotations)?,
        })
    }
}

impl<'a> From<&'a EncryptedDekSource> for EncryptedDekSourceRef<'a> {
    fn from(source: &'a EncryptedDekSource) -> Self {
        Self {
            ciphertext: source.ciphertext.as_bytes(),
            key_id: source.key_id.as_str(),
            annotations: source.annotations.iter().collect(),
        }
    }
}

/// An [`EncryptedDekSource`] that is borrowed from a stored value and keeps the same rules: thousands
/// of values share one DEK source, and looking one up takes no copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedDekSourceRef<'a> {
    ciphertext: &'a [u8],
    key_id: &'a str,
    annotations: BTreeMap<&'a str, &'a [u8]>,
}

impl<'a> EncryptedDekSourceRef<'a> {
    /// Checks the parts.
    ///
    /// # Errors
    /// The part that breaks a rule of kube-apiserver.
    pub fn new(
        ciphertext: &'a [u8],
        key_id: &'a str,
        annotations: BTreeMap<&'a str, &'a [u8]>,
    ) -> Result<Self, EncryptedDekSourceError> {
        Ciphertext::check(ciphertext)?;
        KeyId::check(key_id)?;
        Annotations::check(&annotations)?;
        Ok(Self {
            ciphertext,
            key_id,
            annotations,
        })
    }

    /// The wrapped bytes.
    pub fn ciphertext(&self) -> &'a [u8] {
        self.ciphertext
    }

    /// The KEK version that wrapped them.
    pub fn key_id(&self) -> &'a str {
        self.key_id
    }

    /// Keys and values of the annotations in the order of the keys.
    pub fn annotations(&self) -> impl ExactSizeIterator<Item = (&'a str, &'a [u8])> {
        self.annotations.iter().map(|(key, value)| (*key, *value))
    }

    /// The same with its own bytes.
    pub fn to_source(&self) -> EncryptedDekSource {
        let annotations = self
            .annotations()
            .map(|(key, value)| (key.to_owned(), value.to_vec()));
        EncryptedDekSource::from_wire(self.ciphertext.to_vec(), self.key_id, annotations)
            .expect("checked when it was made")
    }
}

impl PartialEq<EncryptedDekSource> for EncryptedDekSourceRef<'_> {
    fn eq(&self, other: &EncryptedDekSource) -> bool {
        self.ciphertext == other.ciphertext.as_bytes()
            && self.key_id == other.key_id.as_str()
            && self.annotations().eq(other.annotations.iter())
    }
}

/// Why a message holds no wrapped DEK source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
#[non_exhaustive]
pub enum EncryptedDekSourceError {
    /// Its annotations break a rule.
    Annotations(#[from] AnnotationsError),
    /// Its ciphertext breaks a rule.
    Ciphertext(#[from] CiphertextError),
    /// Its key id breaks a rule.
    KeyId(#[from] KeyIdError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dek_source_prints_no_secret() {
        assert_eq!(
            format!("{:?}", DekSource::new(b"hunter2".to_vec())),
            "DekSource([REDACTED])"
        );
    }

    #[test]
    fn ciphertexts_have_1_to_1024_bytes() {
        assert_eq!(Ciphertext::try_from(vec![]), Err(CiphertextError::Empty));
        assert!(Ciphertext::try_from(vec![0; 1]).is_ok());
        assert!(Ciphertext::try_from(vec![0; 1024]).is_ok());
        assert_eq!(
            Ciphertext::try_from(vec![0; 1025]),
            Err(CiphertextError::TooLong { len: 1025 })
        );
    }

    #[test]
    fn the_numbers_of_the_types_are_the_stored_ones() {
        for kind in [
            DekSourceType::AesGcmKey,
            DekSourceType::HkdfSha256XnonceAesGcmSeed,
        ] {
            assert_eq!(DekSourceType::try_from(kind.number()), Ok(kind));
        }
        assert_eq!(DekSourceType::try_from(2), Err(UnknownDekSourceType(2)));
        assert_eq!(DekSourceType::try_from(-1), Err(UnknownDekSourceType(-1)));
    }
}
