use std::{fmt, time::Duration};

use kms_proto::{EncryptedDekSourceError, KeyId, KeyIdError};
use tonic::Code;

use crate::config::encryption::SocketAddress;

/// Why a plugin did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KmsError {
    /// Nobody listens, or the connection broke.
    #[error(
        "the KMS plugin at {socket} cannot be reached: {cause}; check that it runs and that this user may open its socket"
    )]
    Unreachable {
        /// The socket.
        socket: SocketAddress,
        /// What the system or the connection says.
        cause: String,
    },
    /// No answer in time.
    #[error(
        "the KMS plugin at {socket} does not answer {call} within {timeout:?}; check its log and the root behind it"
    )]
    Timeout {
        /// The socket.
        socket: SocketAddress,
        /// The call.
        call: &'static str,
        /// How long was waited.
        timeout: Duration,
    },
    /// It answered with an error.
    #[error(
        "the KMS plugin at {socket} refuses {call}: {message} ({code:?}); its log may say more"
    )]
    Refused {
        /// The socket.
        socket: SocketAddress,
        /// The call.
        call: &'static str,
        /// The gRPC code.
        code: Code,
        /// The plugin's words.
        message: Excerpt,
    },
    /// Its API version is another.
    #[error(
        "the KMS plugin at {socket} speaks version {version}, expected {expected}; is it a plugin of another API version?"
    )]
    Version {
        /// The socket.
        socket: SocketAddress,
        /// What it said.
        version: Excerpt,
        /// What it should have said.
        expected: &'static str,
    },
    /// It does not feel well.
    #[error(
        "the KMS plugin at {socket} is unhealthy: its healthz is {healthz}, not \"ok\"; check its log"
    )]
    Unhealthy {
        /// The socket.
        socket: SocketAddress,
        /// Its own words.
        healthz: Excerpt,
    },
    /// Its Status names a key id that every apiserver refuses.
    #[error(
        "the KMS plugin at {socket} answers Status with a key id that kube-apiserver refuses; the plugin must be mended"
    )]
    KeyId {
        /// The socket.
        socket: SocketAddress,
        /// The rule.
        source: KeyIdError,
    },
    /// Its Encrypt used another key than its Status named.
    #[error(
        "the KMS plugin at {socket} said key id {status} and encrypted under {encrypt}; it has just rotated: run this again once it answers alike"
    )]
    KeyIdChanged {
        /// The socket.
        socket: SocketAddress,
        /// Of Status.
        status: KeyId,
        /// Of Encrypt.
        encrypt: KeyId,
    },
    /// Its answer breaks a rule of kube-apiserver.
    #[error(
        "the KMS plugin at {socket} answers Encrypt with what kube-apiserver refuses; the plugin must be mended"
    )]
    Answer {
        /// The socket.
        socket: SocketAddress,
        /// The rule.
        source: EncryptedDekSourceError,
    },
    /// The system gives no random bytes for a call's id.
    #[error("the system gives no random bytes")]
    Random(#[source] getrandom::Error),
}

/// The beginning of a text that came from outside, quoted and with escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    /// What is shown at most, in characters.
    const MAX: usize = 200;
}

impl From<&str> for Excerpt {
    fn from(text: &str) -> Self {
        let mut start: String = text.chars().take(Self::MAX).collect();
        if start.len() < text.len() {
            start.push('…');
        }
        Self(start)
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}
