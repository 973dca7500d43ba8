//! The wrapped local KEK as it stands in an annotation.

use crate::root::remote::{RootVersion, WrappedKek};

use super::KekId;

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
    pub(crate) fn id_of(bytes: &[u8]) -> Option<KekId> {
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
