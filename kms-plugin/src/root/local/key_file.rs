use std::{
    collections::HashSet,
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::file::{self, ReadError};

/// The length of a key, in bytes.
const KEY_LEN: usize = 32;
/// The length of a key in base64, padding included.
const BASE64_LEN: usize = 44;
/// More than any form of a key needs.
const MAX_FILE_LEN: u64 = 4096;

/// The secret of a local KEK: 256 random bits. Wiped when dropped, never shown.
#[expect(missing_debug_implementations, reason = "it is a secret")]
pub struct KeyMaterial(Box<[u8; KEY_LEN]>);

impl KeyMaterial {
    /// Takes over 32 random bytes.
    pub fn new(bytes: Box<[u8; KEY_LEN]>) -> Self {
        Self(bytes)
    }

    /// Reads a key file: a regular file of root's or our own, closed to everybody else, with 32 bytes
    /// or their base64.
    ///
    /// # Errors
    /// The rule that the file breaks; never a byte of it.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let bytes = file::read(path, 0o077, MAX_FILE_LEN).map_err(KeyFileError::Read)?;
        Self::parse(&bytes).map_err(|refusal| KeyFileError::Content {
            path: path.to_owned(),
            refusal,
        })
    }

    /// Reads the content of a key file.
    ///
    /// # Errors
    /// It is neither 32 bytes nor the base64 of 32 bytes, or they are plainly not random.
    pub fn parse(content: &[u8]) -> Result<Self, KeyRefusal> {
        let mut key = Self(Box::new([0; KEY_LEN]));
        if let Ok(raw) = <&[u8; KEY_LEN]>::try_from(content) {
            key.0.copy_from_slice(raw);
        } else {
            let text = content.trim_ascii_end();
            if content.is_empty() {
                return Err(KeyRefusal::Empty);
            }
            if text.len() == 2 * KEY_LEN && text.iter().all(u8::is_ascii_hexdigit) {
                return Err(KeyRefusal::Hex);
            }
            let len = content.len();
            if text.len() != BASE64_LEN {
                return Err(KeyRefusal::Length { len });
            }
            // The decoder wants room for whole groups of three.
            let mut decoded = Zeroizing::new([0; BASE64_LEN / 4 * 3]);
            match BASE64_STANDARD.decode_slice(text, &mut *decoded) {
                Ok(KEY_LEN) => key.0.copy_from_slice(&decoded[..KEY_LEN]),
                _ => return Err(KeyRefusal::Length { len }),
            }
        }
        if is_plainly_not_random(&key.0) {
            return Err(KeyRefusal::NotRandom);
        }
        Ok(key)
    }

    /// Whether it is the same secret. Takes the same time whatever the answer.
    pub fn is(&self, other: &Self) -> bool {
        self.0[..].ct_eq(&other.0[..]).into()
    }

    /// The secret itself.
    pub fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl Drop for KeyMaterial {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Writes a new random key to `path`: one line of base64, mode 0600. An existing file is never
/// touched.
///
/// # Errors
/// No random bytes, or the file exists or cannot be written.
pub fn generate(path: &Path) -> Result<(), KeyFileError> {
    let write = |source| KeyFileError::Write {
        path: path.to_owned(),
        source,
    };
    let mut key = Zeroizing::new([0; KEY_LEN]);
    getrandom::fill(&mut *key).map_err(KeyFileError::Random)?;
    let mut line = Zeroizing::new([b'\n'; BASE64_LEN + 1]);
    BASE64_STANDARD
        .encode_slice(*key, &mut line[..BASE64_LEN])
        .map_err(|error| write(io::Error::other(error)))?;

    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => KeyFileError::Exists(path.to_owned()),
            _ => write(source),
        })?;
    file.write_all(&*line)
        .and_then(|()| file.sync_all())
        .map_err(write)
}

/// Whether 32 bytes cannot be random: text, a repetition or a sequence. A random key looks like one
/// of these less than once in 10^13 keys.
fn is_plainly_not_random(key: &[u8; KEY_LEN]) -> bool {
    const FEWEST_DISTINCT: usize = KEY_LEN / 2;
    let distinct = |bytes: &mut dyn Iterator<Item = u8>| bytes.collect::<HashSet<_>>().len();
    let is_text = key
        .iter()
        .all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r'));
    let repeats = distinct(&mut key.iter().copied()) <= FEWEST_DISTINCT;
    let steps = &mut key.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
    is_text || repeats || distinct(steps) <= FEWEST_DISTINCT / 2
}

/// Why a key file is refused, or could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// What is in it is no key.
    #[error("the key file {} is refused", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        refusal: KeyRefusal,
    },
    /// A key would have been overwritten.
    #[error("{} exists already and is never overwritten; choose another name", .0.display())]
    Exists(PathBuf),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random(#[source] getrandom::Error),
    /// The file may not, or cannot, be read.
    #[error("a key file is refused")]
    Read(#[source] ReadError),
    /// The new file cannot be written.
    #[error("cannot write the key file {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
}

impl KeyFileError {
    /// Whether there is no such file at all.
    pub(crate) fn is_missing(&self) -> bool {
        let Self::Read(ReadError::Io { source, .. }) = self else {
            return false;
        };
        source.kind() == io::ErrorKind::NotFound
    }
}

/// Why the content of a file is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyRefusal {
    /// Nothing in it.
    #[error("it is empty; `kms-plugin keygen` makes a key")]
    Empty,
    /// 64 hexadecimal digits.
    #[error("it holds hexadecimal digits; a key is 32 bytes or their base64")]
    Hex,
    /// Neither form of a key.
    #[error("its {len} bytes are neither a key of 32 bytes nor the base64 of one")]
    Length {
        /// Its length in bytes.
        len: usize,
    },
    /// Text, a repetition or a sequence.
    #[error(
        "its bytes are plainly not random (text, a repetition or a sequence); `kms-plugin keygen` makes a key"
    )]
    NotRandom,
}

#[cfg(test)]
mod tests;
