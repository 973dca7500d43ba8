//! Wrapping with what the token can do.

use cryptoki::{
    error::Error,
    mechanism::MechanismType,
    object::{Attribute, AttributeType, ObjectHandle},
    session::Session,
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Failure, Mechanism, failure, keys::Found};

mod gcm;
mod key_wrap;

/// The length of a local KEK, in bytes.
const KEK_LEN: usize = 32;

/// The first byte of everything wrapped: the format. A byte that was ever released is read for ever.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    /// `1 || IV (12) || AES-GCM ciphertext (32) || tag (16)`; what it is bound to is authenticated.
    Gcm = 1,
    /// `2 || AES key wrap (RFC 3394) of random bytes (16) || KEK (32) || SHA-256 of what it is bound to (32)`.
    KeyWrap = 2,
}

/// A key of the token and how it is used.
pub(super) struct Seal<'a> {
    session: &'a Session,
    key: ObjectHandle,
    format: Format,
}

impl<'a> Seal<'a> {
    /// The best that is wanted and that token and key allow.
    pub(super) fn choose(
        wanted: Mechanism,
        able: impl Fn(MechanismType) -> bool,
        session: &'a Session,
        key: &Found,
    ) -> Result<Self, Failure> {
        let candidates: &[_] = match wanted {
            Mechanism::AesGcm => &[Format::Gcm],
            Mechanism::AesKeyWrap => &[Format::KeyWrap],
            Mechanism::Auto => &[Format::Gcm, Format::KeyWrap],
        };
        let names: Vec<_> = candidates.iter().map(|format| format.name()).collect();
        let mut candidates = candidates
            .iter()
            .filter(|format| able(format.mechanism()))
            .peekable();
        // It may be another token than it was, but that is no revocation.
        if candidates.peek().is_none() {
            let names = names.join(" nor ");
            return Err(Failure::Unreachable(format!("the token has no {names}")));
        }
        for &format in candidates {
            let uses = session
                .get_attributes(key.handle, format.uses())
                .map_err(|error| {
                    failure::of("the token does not say what the key may do", error)
                })?;
            let allowed = |attribute: &Attribute| {
                matches!(
                    attribute,
                    Attribute::Encrypt(true)
                        | Attribute::Decrypt(true)
                        | Attribute::Wrap(true)
                        | Attribute::Unwrap(true)
                )
            };
            if uses.len() == format.uses().len() && uses.iter().all(allowed) {
                return Ok(Self {
                    session,
                    key: key.handle,
                    format,
                });
            }
        }
        Err(Failure::Refused(format!(
            "the key {} may not be used for {}",
            key.id,
            names.join(" nor ")
        )))
    }

    /// How to open this.
    pub(super) fn that_made(
        ciphertext: &[u8],
        session: &'a Session,
        key: &Found,
    ) -> Result<Self, Failure> {
        let format = match ciphertext.first() {
            Some(1) => Format::Gcm,
            Some(2) => Format::KeyWrap,
            _ => return Err(Failure::Corrupt("it has an unknown format".to_owned())),
        };
        Ok(Self {
            session,
            key: key.handle,
            format,
        })
    }

    /// Wraps, and opens what came out before anybody relies on it.
    pub(super) fn wrap(&self, kek: &[u8; KEK_LEN], bound: &[u8]) -> Result<Vec<u8>, Failure> {
        let failed = |error| failure::of("the token does not wrap", error);
        let body = match self.format {
            Format::Gcm => self.encrypt(kek, bound),
            Format::KeyWrap => self.wrap_key(kek, bound),
        }
        .map_err(failed)?;
        let mut ciphertext = vec![self.format as u8];
        ciphertext.extend_from_slice(&body);
        match self.open(&body, bound).map_err(failed) {
            Ok(Some(opened)) if bool::from(opened.ct_eq(kek)) => Ok(ciphertext),
            Ok(_) | Err(Failure::Corrupt(_)) => Err(Failure::Unreachable(
                "the token does not open what it has just wrapped".to_owned(),
            )),
            Err(failure) => Err(failure),
        }
    }

    /// Opens what [`Self::wrap`] made.
    pub(super) fn unwrap(
        &self,
        ciphertext: &[u8],
        bound: &[u8],
    ) -> Result<Zeroizing<[u8; KEK_LEN]>, Failure> {
        let does_not_open =
            || Failure::Corrupt("it does not authenticate under the key".to_owned());
        let body = ciphertext.get(1..).unwrap_or_default();
        let opened = match self.open(body, bound) {
            Ok(opened) => opened,
            Err(error) => match failure::of("the token does not unwrap", error) {
                // Many tokens have one answer for a sick device and for a bad ciphertext. So let it open a good one.
                Failure::Unreachable(what) => match self.wrap(&[0; KEK_LEN], bound) {
                    // A key that may only unwrap is answered by a token that is well.
                    Ok(_) | Err(Failure::Refused(_)) => {
                        self.open(body, bound).map_err(|_| does_not_open())?
                    }
                    Err(_) => return Err(Failure::Unreachable(what)),
                },
                failure => return Err(failure),
            },
        };
        let opened = opened.ok_or_else(does_not_open)?;
        let mut kek = Zeroizing::new([0; KEK_LEN]);
        if opened.len() != KEK_LEN {
            return Err(does_not_open());
        }
        kek.copy_from_slice(&opened);
        Ok(kek)
    }

    /// The plaintext; `None` if it does not authenticate.
    fn open(&self, body: &[u8], bound: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        match self.format {
            Format::Gcm => self.decrypt(body, bound),
            Format::KeyWrap => self.unwrap_key(body, bound),
        }
    }
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Gcm => "CKM_AES_GCM",
            Self::KeyWrap => "CKM_AES_KEY_WRAP",
        }
    }

    fn mechanism(self) -> MechanismType {
        match self {
            Self::Gcm => MechanismType::AES_GCM,
            Self::KeyWrap => MechanismType::AES_KEY_WRAP,
        }
    }

    fn uses(self) -> &'static [AttributeType] {
        match self {
            Self::Gcm => &[AttributeType::Encrypt, AttributeType::Decrypt],
            Self::KeyWrap => &[AttributeType::Wrap, AttributeType::Unwrap],
        }
    }
}
