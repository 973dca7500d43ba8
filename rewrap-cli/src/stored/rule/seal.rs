use super::{KmsName, NamedKey, Provider, ProviderKind, Rule};
use crate::stored::{
    dek::WriteDek,
    transformer::{aes_cbc, aes_gcm::TooLarge, kms_v1, kms_v2, secretbox},
};

impl Rule {
    /// Makes the value that kube-apiserver would store now: the first provider with its first key.
    ///
    /// `path` is the whole etcd key, `dek` what a KMS provider writes with; other providers do not
    /// look at it. Every value has fresh randomness of the operating system, fetched in one
    /// call.
    ///
    /// # Errors
    /// [`SealError::NeedsDek`] where the first provider is a KMS and `dek` is absent or another
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
                let key = begin_with(provider.kind(), keys, plaintext, &mut out)?.expose();
                aes_cbc::seal(key, plaintext, random()?, &mut out)
                    .ok_or(SealError::KeyLength(key.len()))?;
            }
            Provider::AesGcm(keys) => {
                let key = begin_with(provider.kind(), keys, plaintext, &mut out)?;
                key.gcm()
                    .ok_or_else(|| SealError::KeyLength(key.expose().len()))?
                    .seal(path, plaintext, random()?, &mut out)?;
            }
            Provider::Secretbox(keys) => {
                let key = begin_with(provider.kind(), keys, plaintext, &mut out)?.expose();
                secretbox::seal(key, plaintext, random()?, &mut out)
                    .ok_or(SealError::KeyLength(key.len()))?;
            }
            Provider::KmsV1(name) => {
                let dek = of_provider(dek, ProviderKind::KmsV1, name)?;
                let len = kms_v1::sealed_len(dek, plaintext);
                begin(ProviderKind::KmsV1, name, len, &mut out);
                kms_v1::seal(dek, path, plaintext, &mut out)?;
            }
            Provider::KmsV2(name) => {
                let dek = of_provider(dek, ProviderKind::KmsV2, name)?;
                let len = kms_v2::sealed_len(dek, plaintext);
                begin(ProviderKind::KmsV2, name, len, &mut out);
                kms_v2::seal(dek, path, plaintext, &mut out)?;
            }
        }
        Ok(out)
    }
}

fn of_provider<'d>(
    dek: Option<&'d WriteDek>,
    kind: ProviderKind,
    name: &KmsName,
) -> Result<&'d WriteDek, SealError> {
    dek.filter(|dek| dek.provider() == name && ProviderKind::of(dek.reference()) == kind)
        .ok_or_else(|| SealError::NeedsDek(name.clone()))
}

/// Writes the prefix; so many bytes will follow, at most.
fn begin(kind: ProviderKind, name: &str, len: usize, out: &mut Vec<u8>) {
    let prefix = kind.prefix();
    out.reserve(prefix.len() + name.len() + 1 + len);
    out.extend_from_slice(prefix.as_bytes());
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
}

/// Writes the prefix and gives the key.
fn begin_with<'a>(
    kind: ProviderKind,
    keys: &'a [NamedKey],
    plaintext: &[u8],
    out: &mut Vec<u8>,
) -> Result<&'a NamedKey, SealError> {
    let key = keys.first().ok_or(SealError::KeyLength(0))?;
    let overhead = 64;
    begin(kind, key.name(), plaintext.len() + overhead, out);
    Ok(key)
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
    /// The first provider is a KMS, and the DEK at hand is not its.
    #[error("no DEK source of the KMS provider {0:?} is at hand")]
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
