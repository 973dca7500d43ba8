//! Recipients and identities: X25519 keys in Bech32 (<https://c2sp.org/age>, "The X25519 recipient type").

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use bech32::{Bech32, Hrp, primitives::decode::CheckedHrpstring};
use x25519_dalek::{PublicKey, SharedSecret, StaticSecret};
use zeroize::Zeroizing;

use crate::file::{self, ReadError};

const RECIPIENT: Hrp = Hrp::parse_unchecked("age");
const IDENTITY: Hrp = Hrp::parse_unchecked("age-secret-key-");
/// Room for some identities and their comments, in bytes.
const MAX_FILE_LEN: u64 = 16 * 1024;

/// The public half of an identity: `age1` and 58 letters and digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient(PublicKey);

/// The secret half. Wiped when dropped, never shown.
#[expect(missing_debug_implementations, reason = "it is a secret")]
pub struct Identity {
    secret: StaticSecret,
    pub(super) recipient: Recipient,
}

impl Recipient {
    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// What only the holders of one of the two secrets can compute; `None` if the key is one of
    /// the few with which everybody can.
    pub(super) fn agree(&self, secret: &StaticSecret) -> Option<SharedSecret> {
        let shared = secret.diffie_hellman(&self.0);
        shared.was_contributory().then_some(shared)
    }
}

impl Identity {
    /// Reads the one identity in a file whose recipient is this one.
    pub(super) fn read(path: &Path, recipient: &Recipient) -> Result<Self, IdentityError> {
        let content = file::read(path, 0o077, MAX_FILE_LEN).map_err(IdentityError::Read)?;
        if content.starts_with(b"age-encryption.org/") || content.starts_with(b"-----BEGIN AGE") {
            return Err(IdentityError::Encrypted(path.to_owned()));
        }
        let none = || IdentityError::None {
            path: path.to_owned(),
            recipient: recipient.clone(),
        };
        let text = str::from_utf8(&content).map_err(|_| none())?;
        text.lines()
            .filter_map(|line| Self::parse(line.trim()))
            .find(|identity| identity.recipient == *recipient)
            .ok_or_else(none)
    }

    fn parse(text: &str) -> Option<Self> {
        let secret = StaticSecret::from(*decode(text, IDENTITY)?);
        Some(Self {
            recipient: Recipient(PublicKey::from(&secret)),
            secret,
        })
    }

    /// What the sender of this share computed; `None` if everybody can.
    pub(super) fn agree(&self, share: [u8; 32]) -> Option<SharedSecret> {
        Recipient(PublicKey::from(share)).agree(&self.secret)
    }
}

/// 32 bytes behind their prefix.
fn decode(text: &str, prefix: Hrp) -> Option<Zeroizing<[u8; 32]>> {
    let checked = CheckedHrpstring::new::<Bech32>(text).ok()?;
    if checked.hrp() != prefix {
        return None;
    }
    let mut bytes = checked.byte_iter();
    let mut key = Zeroizing::new([0; 32]);
    for byte in key.iter_mut() {
        *byte = bytes.next()?;
    }
    bytes.next().is_none().then_some(key)
}

impl FromStr for Recipient {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.to_ascii_lowercase().starts_with("age-secret-key-") {
            return Err(RecipientError::Identity);
        }
        let recipient = decode(text, RECIPIENT)
            .map(|key| Self(PublicKey::from(*key)))
            .ok_or(RecipientError::Form)?;
        // Any secret shows it.
        let probe = StaticSecret::from([0x42; 32]);
        match recipient.agree(&probe) {
            Some(_) => Ok(recipient),
            None => Err(RecipientError::Weak),
        }
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32::encode_lower_to_fmt::<Bech32, _>(f, RECIPIENT, self.as_bytes())
            .map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipientError {
    /// Neither of this kind nor whole.
    #[error("must be the public key that `age-keygen` prints: `age1` and 58 letters and digits")]
    Form,
    /// The secret half.
    #[error(
        "is an identity, the secret half: make a new one, for this one has been in a configuration file, and put its public key here"
    )]
    Identity,
    /// A key that everybody can open.
    #[error("is a key that everybody can open; `age-keygen` makes a sound one")]
    Weak,
}

/// Why an identity cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// An age file itself.
    #[error("the identity file {} is encrypted; decrypt it with `age --decrypt` first", .0.display())]
    Encrypted(PathBuf),
    /// The identity is not in it.
    #[error("{} holds no identity of {recipient}", path.display())]
    None {
        /// The file.
        path: PathBuf,
        /// Whose identity was looked for.
        recipient: Recipient,
    },
    /// It may not, or cannot, be read.
    #[error("the identity file is refused")]
    Read(#[source] ReadError),
}
