//! One gRPC call: what is asked, and how it may fail.

use std::{fmt, time::Duration};

use bytes::Bytes;

use super::{
    Miss,
    answer::Refusal,
    message::{Wrapped, encrypt_request},
};

/// The calls of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Decrypt,
    Encrypt,
    Status,
}

impl Method {
    /// Its HTTP/2 path; the package is called `v2` in every release from 1.27 on.
    pub(super) fn path(self) -> String {
        format!("/v2.KeyManagementService/{self:?}")
    }
}

/// One call: what kube-apiserver sends, unless a rule changes something.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    /// The message behind its gRPC prefix.
    pub(super) body: Bytes,
    /// The `grpc-timeout` header.
    pub(super) deadline: Option<&'static str>,
    /// The longest DATA frame, in bytes.
    pub(super) frame: usize,
}

impl Call {
    pub(super) fn new(method: Method, message: &[u8]) -> Self {
        let len = u32::try_from(message.len()).expect("no rule sends 4 GiB");
        Self {
            method,
            body: [&[0], &len.to_be_bytes()[..], message].concat().into(),
            deadline: None,
            frame: usize::MAX,
        }
    }

    pub(super) fn status() -> Self {
        Self::new(Method::Status, b"")
    }

    pub(super) fn encrypt(plaintext: &[u8]) -> Self {
        Self::new(Method::Encrypt, &encrypt_request(plaintext, &uid()))
    }

    pub(super) fn decrypt(wrapped: &Wrapped) -> Self {
        Self::new(Method::Decrypt, &wrapped.request(&uid()))
    }
}

/// Why a call, or connecting, got no answer.
#[derive(Debug)]
pub(super) enum CallError {
    /// There was no gRPC answer that can be read.
    Lost { call: String, why: String },
    /// The plugin refused it in gRPC's words.
    Refused { method: Method, refusal: Refusal },
    /// Nothing came in this time.
    Unanswered { call: String, patience: Duration },
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { call, why } => write!(f, "{call} came to nothing: {why}"),
            Self::Refused { method, refusal } => {
                let Refusal { code, message, .. } = refusal;
                let short: String = message.chars().take(120).collect();
                write!(f, "{method:?} was refused with code {code}, {short:?}")
            }
            Self::Unanswered { call, patience } => {
                write!(f, "{call} got no answer within {patience:?}")
            }
        }
    }
}

impl From<CallError> for Miss {
    fn from(error: CallError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A random UUID: kube-apiserver names each call by one.
fn uid() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex::encode(bytes);
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32];
    groups.map(|group| &digits[group]).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_a_random_uuid() {
        let (one, other) = (uid(), uid());
        assert_ne!(one, other);
        assert_eq!((one.len(), &one[14..15]), (36, "4"), "{one}");
    }
}
