//! What the daemon and the module's process say to each other: a length (32 bits, big endian) and JSON.

use std::{
    io::{self, Read, Write},
    path::PathBuf,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::config::{Key, Mechanism, Token};

/// The longest message, in bytes.
pub(super) const MAX_LEN: usize = 64 * 1024;
/// The length of the length, in bytes.
pub(super) const PREFIX_LEN: usize = 4;

/// What the daemon asks. The first request is [`Self::Open`].
#[derive(Serialize, Deserialize)]
pub(super) enum Request {
    /// Load the module, and use nothing but this from now on. Answered by [`Reply::Done`] or
    /// [`Failure::LoginNeeded`].
    Open {
        module: PathBuf,
        token: Token,
        key: Key,
        mechanism: Mechanism,
    },
    /// Log in, once. Answered by [`Reply::Done`].
    Login { pin: Zeroizing<String> },
    /// Which key wraps now? Answered by [`Reply::Version`].
    Version,
    /// Wrap a local KEK. Answered by [`Reply::Wrapped`].
    Wrap {
        kek: Zeroizing<[u8; 32]>,
        bound: Vec<u8>,
    },
    /// Unwrap it with the key of this `CKA_ID`. Answered by [`Reply::Unwrapped`].
    Unwrap {
        id: String,
        ciphertext: Vec<u8>,
        bound: Vec<u8>,
    },
    /// What will an operator regret? Answered by [`Reply::Review`].
    Review,
}

/// What the module's process answers.
#[derive(Serialize, Deserialize)]
pub(super) enum Reply {
    Done,
    Version(Version),
    Wrapped {
        version: Version,
        ciphertext: Vec<u8>,
    },
    Unwrapped {
        kek: Zeroizing<[u8; 32]>,
    },
    Review(Vec<String>),
    Failed(Failure),
}

/// One version of the key.
#[derive(Serialize, Deserialize)]
pub(super) struct Version {
    /// The serial number of the token.
    pub(super) serial: String,
    /// `CKA_ID`, in lower-case hexadecimal digits.
    pub(super) id: String,
}

/// Why it cannot answer. The classes are those of [`RootError`](crate::root::remote::RootError), and two that
/// the daemon deals with.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Failure {
    /// This needs a login first.
    LoginNeeded,
    /// The token refuses the PIN.
    Pin(String),
    Unreachable(String),
    Refused(String),
    Corrupt(String),
}

/// A message as it goes over the socket. One allocation that never grows: a grown buffer would leave copies of
/// secrets behind.
pub(super) fn frame(message: &impl Serialize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut frame = Zeroizing::new(vec![0; PREFIX_LEN + MAX_LEN]);
    let mut room = &mut frame[PREFIX_LEN..];
    serde_json::to_writer(&mut room, message)?;
    let len = MAX_LEN - room.len();
    frame[..PREFIX_LEN].copy_from_slice(&(len as u32).to_be_bytes());
    frame.truncate(PREFIX_LEN + len);
    Ok(frame)
}

/// Room for a message, from what stands before it.
pub(super) fn room(prefix: [u8; PREFIX_LEN]) -> io::Result<Zeroizing<Vec<u8>>> {
    match u32::from_be_bytes(prefix) as usize {
        len @ 1..=MAX_LEN => Ok(Zeroizing::new(vec![0; len])),
        len => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a message of {len} bytes"),
        )),
    }
}

/// A message from its bytes, which an error never quotes.
pub(super) fn parse<M: DeserializeOwned>(bytes: &[u8]) -> io::Result<M> {
    serde_json::from_slice(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a message of an unknown form"))
}

/// The next message; `None` at the end.
pub(super) fn read<M: DeserializeOwned>(stream: &mut impl Read) -> io::Result<Option<M>> {
    let mut prefix = [0; PREFIX_LEN];
    match stream.read_exact(&mut prefix) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut bytes = room(prefix)?;
    stream.read_exact(&mut bytes)?;
    parse(&bytes).map(Some)
}

/// Sends a message.
pub(super) fn write(stream: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    stream.write_all(&frame(message)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_as_it_was() {
        let mut bytes = Vec::new();
        let kek = Zeroizing::new([200; 32]);
        let bound = vec![7; 300];
        write(&mut bytes, &Request::Wrap { kek, bound }).unwrap();
        let mut stream = bytes.as_slice();
        let Some(Request::Wrap { kek, bound }) = read(&mut stream).unwrap() else {
            panic!("another message");
        };
        assert_eq!((*kek, bound), ([200; 32], vec![7; 300]));
        assert!(read::<Request>(&mut stream).unwrap().is_none());
    }

    #[test]
    fn what_is_no_message_is_refused_and_not_quoted() {
        for bytes in [
            &b"\0\0\0\0"[..],
            b"\xff\xff\xff\xff{}",
            b"\0\0\0\x09\"secret!\"",
            b"\0\0\0\x20{}",
        ] {
            let Err(error) = read::<Request>(&mut &bytes[..]) else {
                panic!("a message: {bytes:?}");
            };
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(frame(&"x".repeat(MAX_LEN)).is_err());
    }
}
