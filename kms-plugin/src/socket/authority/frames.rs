//! The frames of HTTP/2 (RFC 9113, 4.1), as far as header blocks are in them.

use std::borrow::Cow;

use super::Unclear;

/// The length of a frame's header, in bytes.
pub(super) const HEADER_LEN: usize = 9;
/// The longest payload of a frame (SETTINGS_MAX_FRAME_SIZE, RFC 9113, 6.5.2) while the server, like ours,
/// allows nothing else, in bytes.
const MAX_PAYLOAD_LEN: usize = 16_384;
/// The most that is held back until a header block is complete, in bytes: one frame fits in any case.
pub(super) const MAX_HELD_LEN: usize = HEADER_LEN + MAX_PAYLOAD_LEN;

// Types of frames (RFC 9113, 6) and their flags.
const HEADERS: u8 = 0x1;
const PUSH_PROMISE: u8 = 0x5;
const CONTINUATION: u8 = 0x9;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// Of the stream identifiers in frames, which begin with a bit that means nothing (or another thing).
const STREAM_MASK: u32 = u32::MAX >> 1;

/// What bytes begin with that begin with a frame.
#[derive(Debug)]
pub(super) enum Next {
    /// A frame without a header block, of so many bytes; not all of them need be there.
    Other(usize),
    /// The frames of a header block, of so many bytes.
    Block(usize),
    /// Too little to tell: so many bytes are needed at least.
    Need(usize),
}

impl Next {
    /// Reads frame headers, and follows a header block to its end.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, Unclear> {
        let Some(first) = Header::read(bytes) else {
            return Ok(Self::Need(HEADER_LEN));
        };
        match first.kind {
            HEADERS => {}
            // The one is never sent to servers, the other never on its own.
            PUSH_PROMISE | CONTINUATION => return Err(Unclear),
            _ => return Ok(Self::Other(HEADER_LEN + first.len)),
        }
        let mut end = HEADER_LEN + first.len;
        let mut last = first;
        loop {
            if end > MAX_HELD_LEN {
                return Err(Unclear);
            }
            if last.flags & END_HEADERS != 0 {
                let is_whole = end <= bytes.len();
                return Ok(if is_whole {
                    Self::Block(end)
                } else {
                    Self::Need(end)
                });
            }
            let Some(next) = bytes.get(end..).and_then(Header::read) else {
                return Ok(Self::Need(end + HEADER_LEN));
            };
            if next.kind != CONTINUATION || next.stream != first.stream {
                return Err(Unclear);
            }
            end += HEADER_LEN + next.len;
            last = next;
        }
    }
}

/// The header of a frame.
#[derive(Debug, Clone, Copy)]
struct Header {
    len: usize,
    kind: u8,
    flags: u8,
    /// With the reserved bit.
    stream: u32,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (&[l0, l1, l2, kind, flags, s0, s1, s2, s3], _) = bytes.split_first_chunk()?;
        Some(Self {
            len: u32::from_be_bytes([0, l0, l1, l2]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes([s0, s1, s2, s3]),
        })
    }

    fn push_to(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&(self.len as u32).to_be_bytes()[1..]);
        bytes.extend_from_slice(&[self.kind, self.flags]);
        bytes.extend_from_slice(&self.stream.to_be_bytes());
    }
}

/// The frames of one header block: HEADERS and what CONTINUATION follows.
#[derive(Debug)]
pub(super) struct BlockFrames<'a> {
    header: Header,
    /// What is before the block in the payload: the length of the padding, the priority.
    before: &'a [u8],
    /// The block, in one piece.
    pub(super) block: Cow<'a, [u8]>,
    padding: &'a [u8],
}

impl<'a> BlockFrames<'a> {
    /// Takes apart what [`Next::Block`] spans.
    pub(super) fn of(bytes: &'a [u8]) -> Result<Self, Unclear> {
        let (header, payload, mut rest) = split_frame(bytes)?;
        let is_padded = header.flags & PADDED != 0;
        let has_priority = header.flags & PRIORITY != 0;
        let before_len = usize::from(is_padded) + if has_priority { 5 } else { 0 };
        let (before, payload) = payload.split_at_checked(before_len).ok_or(Unclear)?;
        if has_priority {
            let dependency = before.last_chunk::<5>().ok_or(Unclear)?;
            let [d0, d1, d2, d3, _] = *dependency;
            // h2 resets such a stream without a look at its header block, and is from then on at
            // odds with the peer about the table.
            if (u32::from_be_bytes([d0, d1, d2, d3]) ^ header.stream) & STREAM_MASK == 0 {
                return Err(Unclear);
            }
        }
        let padding_len = if is_padded { usize::from(before[0]) } else { 0 };
        let block_len = payload.len().checked_sub(padding_len).ok_or(Unclear)?;
        let (block, padding) = payload.split_at(block_len);
        let mut block = Cow::Borrowed(block);
        while !rest.is_empty() {
            let (_, payload, after) = split_frame(rest)?;
            block.to_mut().extend_from_slice(payload);
            rest = after;
        }
        Ok(Self {
            header,
            before,
            block,
            padding,
        })
    }

    /// The same frames around another block: in as few as it fits into.
    pub(super) fn around(&self, block: &[u8]) -> Vec<u8> {
        let room = MAX_PAYLOAD_LEN - self.before.len() - self.padding.len();
        let (block, rest) = block.split_at(room.min(block.len()));
        let mut continuations = rest.chunks(MAX_PAYLOAD_LEN).peekable();
        let end = |is_last| if is_last { END_HEADERS } else { 0 };
        let mut bytes = Vec::new();
        Header {
            len: self.before.len() + block.len() + self.padding.len(),
            flags: self.header.flags & !END_HEADERS | end(continuations.peek().is_none()),
            ..self.header
        }
        .push_to(&mut bytes);
        for part in [self.before, block, self.padding] {
            bytes.extend_from_slice(part);
        }
        while let Some(block) = continuations.next() {
            Header {
                len: block.len(),
                kind: CONTINUATION,
                flags: end(continuations.peek().is_none()),
                stream: self.header.stream,
            }
            .push_to(&mut bytes);
            bytes.extend_from_slice(block);
        }
        bytes
    }
}

/// The first frame and what follows it.
fn split_frame(bytes: &[u8]) -> Result<(Header, &[u8], &[u8]), Unclear> {
    let header = Header::read(bytes).ok_or(Unclear)?;
    let (payload, rest) = bytes[HEADER_LEN..]
        .split_at_checked(header.len)
        .ok_or(Unclear)?;
    Ok((header, payload, rest))
}
