use super::{KmsName, NamedKey, Provider, ProviderKind, Rule};
use crate::stored::{
    dek::WriteDek,
    transformer::{
        aes_cbc,
        aes_gcm::{GcmKey, TooLarge},
        kms_v2, secretbox,
    },
};

impl Rule {
    /// Makes the value that kube-apiserver would store now: the first provider with its first key.
    ///
    /// `path` is the whole etcd key, `dek` what a KMS v2 provider writes with; other providers do
    /// not look at it. Every value has fresh randomness of the operating system, fetched in one
    /// call.
    ///
    /// # Errors
    /// [`SealError::NeedsDek`] where the first provider is KMS v2 and `dek` is absent or another
    /// provider's.
    pub fn seal(
        &self,
        path: &[u8],
        plaintext: &[u8],
        dek: Option<&WriteDek>,
    ) -> Result<Vec<u8>, SealError> {
        let provider = &self.providers[0];
        let mut out = Vec::new();
        match provider {
            Provider::Identity => out.extend_from_slice(plaintext),
            Provider::AesCbc(keys) => {
                let key = begin(provider.kind(), keys, plaintext, &mut out)?;
                aes_cbc::seal(key, plaintext, random()?, &mut out)
                    .ok_or(SealError::KeyLength(key.len()))?;
            }
            Provider::AesGcm(keys) => {
                let key = begin(provider.kind(), keys, plaintext, &mut out)?;
                GcmKey::new(key)
                    .ok_or(SealError::KeyLength(key.len()))?
                    .seal(path, plaintext, random()?, &mut out)?;
            }
            Provider::Secretbox(keys) => {
                let key = begin(provider.kind(), keys, plaintext, &mut out)?;
                secretbox::seal(key, plaintext, random()?, &mut out)
                    .ok_or(SealError::KeyLength(key.len()))?;
            }
            Provider::KmsV1(name) => return Err(SealError::KmsV1(name.clone())),
            Provider::KmsV2(name) => {
                let dek = dek
                    .filter(|dek| dek.provider() == name)
                    .ok_or_else(|| SealError::NeedsDek(name.clone()))?;
                let prefix = ProviderKind::KmsV2.prefix();
                out.reserve(prefix.len() + name.len() + 1 + kms_v2::sealed_len(dek, plaintext));
                out.extend_from_slice(prefix.as_bytes());
                out.extend_from_slice(name.as_bytes());
                out.push(b':');
                kms_v2::seal(dek, path, plaintext, &mut out)?;
            }
        }
        Ok(out)
    }
}

/// Writes the prefix and gives the key.
fn begin<'a>(
    kind: ProviderKind,
    keys: &'a [NamedKey],
    plaintext: &[u8],
    out: &mut Vec<u8>,
) -> Result<&'a [u8], SealError> {
    let key = keys.first().ok_or(SealError::KeyLength(0))?;
    let overhead = 64;
    out.reserve(kind.prefix().len() + key.name.len() + plaintext.len() + overhead);
    out.extend_from_slice(kind.prefix().as_bytes());
    out.extend_from_slice(key.name.as_bytes());
    out.push(b':');
    Ok(key.expose())
}

fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// Why a value cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The key has a length that its cipher does not take.
    #[error("a key of {0} bytes does not fit this cipher")]
    KeyLength(usize),
    /// The first provider is KMS v1, which is read only.
    #[error("the KMS v1 provider {0:?} is not written to; put a KMS v2 or a local provider first")]
    KmsV1(KmsName),
    /// The first provider is KMS v2, and the DEK at hand is not its.
    #[error("no DEK source of the KMS v2 provider {0:?} is at hand")]
    NeedsDek(KmsName),
    /// All nonces of a type 0 DEK are used.
    #[error("the DEK has no nonce left; make a new one")]
    NoncesExhausted,
    /// The operating system has no randomness.
    #[error("the operating system has no randomness")]
    Random(#[from] getrandom::Error),
    /// The plaintext is longer than AES-GCM takes, 64 GiB.
    #[error("the plaintext is longer than AES-GCM takes")]
    TooLarge,
}

impl From<TooLarge> for SealError {
    fn from(TooLarge: TooLarge) -> Self {
        Self::TooLarge
    }
}
