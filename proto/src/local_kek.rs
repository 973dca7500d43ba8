//! The wrapped local KEK as it stands in an annotation, for both programs to read.

use std::{fmt, str::FromStr};

/// Tells local KEKs apart: 128 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KekId(pub [u8; 16]);

impl fmt::Display for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// One version of a root's key, in words that are the same on every node and never name another:
/// `KIND:KEY#VERSION`, printable ASCII of at most [`Self::MAX_LEN`] bytes. Stored with every object, in clear.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootVersion(Box<str>);

impl RootVersion {
    /// The longest, in bytes: the ARN of an AWS key and the id of its material.
    pub const MAX_LEN: usize = 192;

    /// Takes `kind`, such as `vault`, what names the key for ever, and what names its version.
    ///
    /// # Errors
    /// Too long, empty, not printable, or a `:` in the kind.
    pub fn new(kind: &str, key: &str, version: &str) -> Result<Self, RootVersionError> {
        if kind.contains(':') || [kind, key, version].iter().any(|part| part.is_empty()) {
            return Err(RootVersionError);
        }
        format!("{kind}:{key}#{version}").parse()
    }

    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The kind of root: what comes before the first `:`.
    pub fn kind(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }

    /// Kind and key: what comes before the last `#`.
    pub fn key(&self) -> &str {
        self.0.rsplit_once('#').map_or(&self.0, |(key, _)| key)
    }
}

impl serde::Serialize for RootVersion {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for RootVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RootVersion {
    type Err = RootVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let whole = text.split_once(':').is_some_and(|(kind, rest)| {
            !kind.is_empty()
                && rest
                    .rsplit_once('#')
                    .is_some_and(|(key, version)| !key.is_empty() && !version.is_empty())
        });
        if whole && text.len() <= Self::MAX_LEN && text.bytes().all(|byte| byte.is_ascii_graphic())
        {
            Ok(Self(text.into()))
        } else {
            Err(RootVersionError)
        }
    }
}

/// The words are no version of a root's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not KIND:KEY#VERSION in at most {} printable bytes",
    RootVersion::MAX_LEN
)]
pub struct RootVersionError;

/// A local KEK as one root wrapped it. Not secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKek {
    /// The version of the root's key that wrapped it.
    pub version: RootVersion,
    /// What the root answered, in as few bytes as it can be had: it is stored with every object.
    pub ciphertext: Vec<u8>,
}

/// The annotation that holds an [`Envelope`].
pub const ANNOTATION: &str = "kek.ringfence.dev";

/// The first byte: the form below. A byte that was ever released is read for ever.
const FORMAT: u8 = 1;
const ID_LEN: usize = 16;

/// A local KEK as one root or several wrapped it. Not secret; it is stored with every object.
///
/// `format (1) || id (16) || number of roots || for each: length || version's words || length (16 bits, big endian)
/// || ciphertext`. Any one of the roots opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    id: KekId,
    wrapped: Vec<WrappedKek>,
}

impl Envelope {
    /// The most bytes that the annotation may have with one root, its name included.
    pub const MAX_LEN_OF_ONE: usize = 512;
    /// The most bytes with several.
    pub const MAX_LEN: usize = 1024;

    /// A local KEK that these roots wrapped: at least one, one version of a key at most once.
    ///
    /// # Errors
    /// None, one twice, or too many bytes.
    pub fn new(id: KekId, wrapped: Vec<WrappedKek>) -> Result<Self, EnvelopeError> {
        if wrapped.is_empty() {
            return Err(EnvelopeError::Empty);
        }
        for (index, one) in wrapped.iter().enumerate() {
            if wrapped[..index]
                .iter()
                .any(|other| other.version == one.version)
            {
                return Err(EnvelopeError::Twice(one.version.clone()));
            }
        }
        let this = Self { id, wrapped };
        let max = match this.wrapped.len() {
            1 => Self::MAX_LEN_OF_ONE,
            _ => Self::MAX_LEN,
        };
        match ANNOTATION.len() + this.len() {
            len if len > max => Err(EnvelopeError::TooLong { len, max }),
            _ => Ok(this),
        }
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`EnvelopeError::Malformed`] for anything else.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        parse(bytes).ok_or(EnvelopeError::Malformed)?
    }

    /// Reads no more than whose envelope it is.
    pub fn id_of(bytes: &[u8]) -> Option<KekId> {
        match bytes.split_first_chunk::<{ 1 + ID_LEN }>()?.0 {
            [FORMAT, id @ ..] => Some(KekId(*id)),
            _ => None,
        }
    }

    /// Which local KEK it is.
    pub fn id(&self) -> KekId {
        self.id
    }

    /// What each root made of it.
    pub fn wrapped(&self) -> &[WrappedKek] {
        &self.wrapped
    }

    /// The versions of the roots' keys that wrapped it.
    pub fn versions(&self) -> impl Iterator<Item = &RootVersion> {
        self.wrapped.iter().map(|wrapped| &wrapped.version)
    }

    /// The bytes of the annotation.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        bytes.push(FORMAT);
        bytes.extend_from_slice(&self.id.0);
        bytes.push(self.wrapped.len() as u8);
        for WrappedKek {
            version,
            ciphertext,
        } in &self.wrapped
        {
            bytes.push(version.as_str().len() as u8);
            bytes.extend_from_slice(version.as_str().as_bytes());
            bytes.extend_from_slice(&(ciphertext.len() as u16).to_be_bytes());
            bytes.extend_from_slice(ciphertext);
        }
        bytes
    }

    fn len(&self) -> usize {
        let one =
            |wrapped: &WrappedKek| 3 + wrapped.version.as_str().len() + wrapped.ciphertext.len();
        2 + ID_LEN + self.wrapped.iter().map(one).sum::<usize>()
    }
}

/// `None` if it does not have the form at all.
fn parse(bytes: &[u8]) -> Option<Result<Envelope, EnvelopeError>> {
    let id = Envelope::id_of(bytes)?;
    let (&count, mut rest) = bytes[1 + ID_LEN..].split_first()?;
    let mut take = |len: usize| {
        let (taken, left) = rest.split_at_checked(len)?;
        rest = left;
        Some(taken)
    };
    let mut wrapped = Vec::new();
    for _ in 0..count {
        let len = take(1)?[0];
        let version = str::from_utf8(take(len.into())?).ok()?.parse().ok()?;
        let len = u16::from_be_bytes(take(2)?.try_into().ok()?);
        let ciphertext = take(len.into())?.to_vec();
        wrapped.push(WrappedKek {
            version,
            ciphertext,
        });
    }
    rest.is_empty().then(|| Envelope::new(id, wrapped))
}

/// Why there is no envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// No root.
    #[error("no root wrapped the local KEK")]
    Empty,
    /// The bytes have another form.
    #[error("the annotation {ANNOTATION} holds no wrapped local KEK of a known form")]
    Malformed,
    /// Every object would grow by more than is sensible.
    #[error(
        "the wrapped local KEK takes {len} bytes of annotations, stored with every object; the limit is {max}"
    )]
    TooLong {
        /// Its length with the annotation's name, in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// Two roots are one key.
    #[error("two roots are the same key, {0}")]
    Twice(RootVersion),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_kind_key_and_version() {
        let version = RootVersion::new("vault", "transit/k8s", "3@1732471200").unwrap();
        assert_eq!(version.as_str(), "vault:transit/k8s#3@1732471200");
        assert_eq!(version.kind(), "vault");
        assert_eq!(version.key(), "vault:transit/k8s");
        for bad in [
            "",
            "vault",
            "vault:k",
            ":k#1",
            "vault:#1",
            "vault:k#",
            "vault:k #1",
            "vault:k#\u{e9}",
        ] {
            assert_eq!(bad.parse::<RootVersion>(), Err(RootVersionError), "{bad}");
        }
        let long = format!("vault:{}#1", "k".repeat(RootVersion::MAX_LEN));
        assert_eq!(long.parse::<RootVersion>(), Err(RootVersionError));
        assert!(RootVersion::new("va:ult", "k", "1").is_err());
    }

    #[test]
    fn an_envelope_is_read_as_it_was_written_and_nothing_else_is() {
        let version: RootVersion = "vault:transit/k8s#3@1732471200".parse().unwrap();
        let wrapped = vec![WrappedKek {
            version: version.clone(),
            ciphertext: vec![1; 60],
        }];
        let envelope = Envelope::new(KekId([5; 16]), wrapped.clone()).unwrap();
        let bytes = envelope.to_bytes();
        assert_eq!(Envelope::parse(&bytes).unwrap(), envelope);
        assert_eq!(Envelope::id_of(&bytes), Some(KekId([5; 16])));
        for len in 0..bytes.len() {
            assert!(Envelope::parse(&bytes[..len]).is_err(), "{len}");
        }
        assert!(Envelope::parse(&[&bytes[..], &[0]].concat()).is_err());
        let twice = [wrapped.clone(), wrapped].concat();
        assert_eq!(
            Envelope::new(KekId([5; 16]), twice),
            Err(EnvelopeError::Twice(version.clone()))
        );
        let large = WrappedKek {
            version,
            ciphertext: vec![1; 500],
        };
        assert!(matches!(
            Envelope::new(KekId([5; 16]), vec![large]),
            Err(EnvelopeError::TooLong { max: 512, .. })
        ));
        assert_eq!(
            Envelope::new(KekId([5; 16]), vec![]),
            Err(EnvelopeError::Empty)
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_an_envelope_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = Envelope::parse(&bytes);
            let _ = Envelope::parse(&[&[1; 17][..], &bytes].concat());
        }
    }
}
