//! A connection on which anything may be said.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

use super::{
    Target,
    answer::split_message,
    call::Method,
    frame::{
        ACK, Authority, DATA, DEFAULT_HEADER_TABLE_SIZE, END_HEADERS, END_STREAM, GOAWAY, HEADERS,
        MAX_FRAME_LEN, PADDED, PING, PREFACE, RST_STREAM, SETTINGS, SETTINGS_HEADER_TABLE_SIZE,
        frame, head,
    },
    message::Status,
};

/// The names of the error codes, RFC 9113 section 7.
const ERRORS: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// A connection on which anything may be said.
pub(super) struct Raw {
    stream: UnixStream,
    patience: Duration,
    header_table_size: u32,
}

impl Raw {
    pub(super) async fn open(target: &Target) -> Result<Self, String> {
        let connecting = UnixStream::connect(&target.socket);
        let stream = timeout(target.patience, connecting)
            .await
            .map_err(text)?
            .map_err(text)?;
        Ok(Self {
            stream,
            patience: target.patience,
            header_table_size: DEFAULT_HEADER_TABLE_SIZE,
        })
    }

    /// Says something. That nobody listens any more is no error: it shows in the answers.
    pub(super) async fn say(&mut self, bytes: &[u8]) {
        let _ = timeout(self.patience, self.stream.write_all(bytes)).await;
    }

    /// Asks for the Status twice, first with the authority as a literal and then by its index in
    /// the dynamic table, as grpc-go does.
    pub(super) async fn statuses(mut self, authority: &str) -> Result<[Status; 2], String> {
        let patience = self.patience;
        let asking = async {
            self.say(&[PREFACE, &frame(SETTINGS, 0, 0, b"")].concat())
                .await;
            // The peer may want a smaller table, and says so before it answers.
            while self.next().await?.0 != SETTINGS {}
            let (first, second) = match self.header_table_size {
                DEFAULT_HEADER_TABLE_SIZE.. => {
                    (Authority::Added(authority.as_bytes()), Authority::Again)
                }
                _ => {
                    let literal = || Authority::Literal(authority.as_bytes());
                    (literal(), literal())
                }
            };
            Ok([
                self.status(1, &first).await?,
                self.status(3, &second).await?,
            ])
        };
        timeout(patience, asking)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {patience:?}")))
    }

    async fn status(&mut self, stream: u32, authority: &Authority<'_>) -> Result<Status, String> {
        let head = head(Method::Status, authority);
        let request = [
            frame(HEADERS, END_HEADERS, stream, &head),
            frame(DATA, END_STREAM, stream, &[0; 5]),
        ];
        self.say(&request.concat()).await;
        let data = self.answer(stream).await?;
        let message = split_message(&data).ok_or("the stream ended without a message")?;
        Status::read(message)
    }

    /// The DATA of a stream, to its end.
    async fn answer(&mut self, stream: u32) -> Result<Vec<u8>, String> {
        let mut data = Vec::new();
        loop {
            let (kind, flags, of, payload) = self.next().await?;
            match kind {
                GOAWAY => return Err(format!("GOAWAY {}", error(payload.get(4..)))),
                _ if of != stream => continue,
                RST_STREAM => return Err(format!("RST_STREAM {}", error(Some(&payload)))),
                DATA if flags & PADDED == 0 => data.extend(payload),
                DATA => {
                    let [padding, rest @ ..] = &payload[..] else {
                        return Err("a padded frame is empty".to_owned());
                    };
                    let len = rest.len().saturating_sub(usize::from(*padding));
                    data.extend_from_slice(&rest[..len]);
                }
                _ => {}
            }
            if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                return Ok(data);
            }
        }
    }

    /// The next frame: kind, flags, stream and payload. What needs an answer gets it.
    async fn next(&mut self) -> Result<(u8, u8, u32, Vec<u8>), String> {
        let closed = |_| "the connection was closed".to_owned();
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.map_err(closed)?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let len = u32::from_be_bytes([0, a, b, c]) as usize;
        if len > MAX_FRAME_LEN {
            return Err(format!("a frame of {len} bytes came"));
        }
        let mut payload = vec![0; len];
        self.stream.read_exact(&mut payload).await.map_err(closed)?;
        match kind {
            SETTINGS if flags & ACK == 0 => {
                for setting in payload.chunks_exact(6) {
                    if setting[..2] == SETTINGS_HEADER_TABLE_SIZE.to_be_bytes() {
                        self.header_table_size = number(&setting[2..]);
                    }
                }
                self.say(&frame(SETTINGS, ACK, 0, b"")).await;
            }
            PING if flags & ACK == 0 => self.say(&frame(PING, ACK, 0, &payload)).await,
            _ => {}
        }
        Ok((
            kind,
            flags,
            u32::from_be_bytes(stream) & 0x7fff_ffff,
            payload,
        ))
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes
        .first_chunk()
        .map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn error(code: Option<&[u8]>) -> String {
    let code = number(code.unwrap_or_default());
    let name = ERRORS.get(code as usize);
    name.map_or_else(|| code.to_string(), |name| (*name).to_owned())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
