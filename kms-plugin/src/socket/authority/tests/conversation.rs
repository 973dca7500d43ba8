//! What a client says on one connection.

use super::peer::{
    Choices, DATA, END_STREAM, Encoder, Fields, PING, PREFACE, PRIORITY, SETTINGS, frame, headers,
};

/// What apiservers send, and worse.
pub(crate) const AUTHORITIES: [&[u8]; 10] = [
    b"localhost",
    b"/var/run/kms.sock",
    b"%2Fvar%2Frun%2Fkms.sock",
    b"%40kms.sock",
    b"@kms.sock",
    b"",
    b"/",
    b"user@",
    b"/run/\xff\0\r\n.sock",
    b"/a/very/long/path/that/goes/on/and/on/and/on/and/on/and/on/and/on/and/on/and/on/and/on/and/on/and/on/and/on/and/on/kms.sock",
];

/// A call, and what was meant by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) authority: Vec<u8>,
    pub(crate) path: Vec<u8>,
    pub(crate) fields: Fields,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Fields,
}

/// All bytes of the client's side, and the calls in them by their streams.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) bytes: Vec<u8>,
    pub(crate) calls: Vec<(u32, Call)>,
}

impl Conversation {
    /// Some calls with these authorities.
    pub(crate) fn new(authorities: &[&[u8]], choices: &mut Choices<'_>) -> Self {
        let mut encoder = Encoder::new();
        let mut bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        let mut calls = Vec::new();
        for nth in 0..=choices.below(6) as u32 {
            let stream = 2 * nth + 1;
            let authority = authorities[choices.below(authorities.len())];
            let call = Call::new(authority, choices);
            call.write(stream, &mut encoder, choices, &mut bytes);
            calls.push((stream, call));
        }
        Self { bytes, calls }
    }
}

impl Call {
    fn new(authority: &[u8], choices: &mut Choices<'_>) -> Self {
        let value = |choices: &mut Choices<'_>| {
            // Which would be rewritten, if it were taken for an authority.
            let len = [8, 0, 1, 130, 2000][choices.below(5)];
            vec![b"/%~aQ"[choices.below(5)]; len]
        };
        let fields: Fields = (0..choices.below(4))
            .map(|nth| {
                let names = ["user-agent", "grpc-timeout", "x", "content-type"];
                (names[nth].into(), value(choices))
            })
            .collect();
        let mut body = vec![b'b'; [0, 1, 9, 300][choices.below(4)]];
        if choices.once_in(4) {
            // What looks like a header block and is none.
            body.extend(headers(1, 0, b"\x41\x01/", choices));
        }
        let trailers = match choices.below(4) {
            3 => vec![(b"x".to_vec(), value(choices))],
            _ => Vec::new(),
        };
        Self {
            authority: authority.to_vec(),
            path: [&b"/"[..], b"/v2.KeyManagementService/Decrypt"][choices.below(2)].to_vec(),
            fields,
            body,
            trailers,
        }
    }

    fn write(
        &self,
        stream: u32,
        encoder: &mut Encoder,
        choices: &mut Choices<'_>,
        bytes: &mut Vec<u8>,
    ) {
        let mut pseudo: Fields = [
            (&b":method"[..], &b"POST"[..]),
            (b":scheme", b"http"),
            (b":path", &self.path),
        ]
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .into();
        let authority = (b":authority".to_vec(), self.authority.clone());
        pseudo.insert(choices.below(4), authority);
        let block = encoder.block(&[pseudo, self.fields.clone()].concat(), choices);
        let ends_here = self.body.is_empty() && self.trailers.is_empty();
        let end = |is_last| if is_last { END_STREAM } else { 0 };
        bytes.extend(headers(stream, end(ends_here), &block, choices));
        match choices.below(8) {
            5 => bytes.extend(frame(PING, 0, 0, b"8 bytes.")),
            6 => bytes.extend(frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 1])),
            // Of a type that nobody knows, around a header block.
            7 => bytes.extend(frame(0xfa, 0xff, 0, &frame(1, 4, 1, b"\x41\x01/"))),
            _ => {}
        }
        if ends_here {
            return;
        }
        bytes.extend(frame(
            DATA,
            end(self.trailers.is_empty()),
            stream,
            &self.body,
        ));
        if !self.trailers.is_empty() {
            let block = encoder.block(&self.trailers, choices);
            bytes.extend(headers(stream, END_STREAM, &block, choices));
        }
    }
}
