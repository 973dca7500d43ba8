//! What Vault's answers mean.

use std::fmt;

use hyper::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::root::remote::RootError;

/// The most that is repeated of a server's words, in characters.
const MAX_WORDS: usize = 200;

/// What the transit engine says of a key that is not there.
pub(super) const KEY_NOT_FOUND: &str = "encryption key not found";
/// What it says of a ciphertext of a version below `min_decryption_version`.
pub(super) const TOO_OLD: &str = "disallowed by policy (too old)";

/// Whether these words say that a ciphertext is none of this key's with this associated data.
pub(super) fn is_corrupt(words: &str) -> bool {
    // Of Go's AEADs, and of the transit engine for what has not the form of a ciphertext.
    words.contains("message authentication failed") || words.starts_with("invalid ciphertext")
}

/// What a server that can answer says.
pub(super) enum Answer {
    /// The body of a success.
    Good(Zeroizing<Vec<u8>>),
    /// 403, in its words: this token may not, or is none.
    Denied(String),
    /// 400, in its words.
    Invalid(String),
    /// 404, in its words.
    Missing(String),
}

impl Answer {
    /// Reads an answer.
    ///
    /// # Errors
    /// Why another server, or the same one later, may answer otherwise. So says whatever is not plainly Vault's
    /// own refusal: a gateway before it can be out of order too.
    pub(super) fn of(status: StatusCode, body: Zeroizing<Vec<u8>>) -> Result<Self, String> {
        if status.is_success() {
            return Ok(Self::Good(body));
        }
        let words = words(&body);
        match (status.as_u16(), words) {
            (400, Some(words)) => Ok(Self::Invalid(words)),
            (403, Some(words)) => Ok(Self::Denied(words)),
            (404, Some(words)) => Ok(Self::Missing(words)),
            (300..=399, _) => Err(format!(
                "answers {status}: is it a standby that does not forward? list the address of every server"
            )),
            (472, _) => Err("is a disaster recovery secondary".to_owned()),
            (473, _) => Err("is a performance standby".to_owned()),
            (_, Some(words)) => Err(format!("answers {status}: {words}")),
            (_, None) => Err(format!("answers {status}, not in the words of Vault")),
        }
    }
}

/// What is wrong, where something is.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good(_) => f.write_str("ok"),
            Self::Denied(words) | Self::Invalid(words) | Self::Missing(words) => f.write_str(words),
        }
    }
}

/// What the body of a success holds under `data`.
///
/// # Errors
/// It is no such answer: this is no Vault, or not the engine that we take it for.
pub(super) fn data<T: DeserializeOwned>(path: &str, body: &[u8]) -> Result<T, RootError> {
    #[derive(Deserialize)]
    struct Body<T> {
        data: T,
    }
    whole(path, body).map(|Body { data }| data)
}

/// The body of a success.
///
/// # Errors
/// As of [`data`].
pub(super) fn whole<T: DeserializeOwned>(path: &str, body: &[u8]) -> Result<T, RootError> {
    // What serde says might quote the body.
    serde_json::from_slice(body).map_err(|_| {
        RootError::unreachable(format!(
            "{path}: the answer is not what Vault answers there; see that the address is Vault's and the mount is right"
        ))
    })
}

/// The errors that Vault lists, on one line; nothing if it is not Vault that answers.
fn words(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        errors: Vec<String>,
    }
    let Body { errors } = serde_json::from_slice(body).ok()?;
    let words = errors.join("; ");
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let printable = words.chars().filter(|c| !c.is_control());
    Some(printable.take(MAX_WORDS).collect())
}

#[cfg(test)]
mod tests;
