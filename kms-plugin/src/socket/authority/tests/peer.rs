//! A peer that writes whatever RFC 7541 and RFC 9113 allow.

use std::{collections::VecDeque, iter, slice};

use super::super::huffman;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;
pub(crate) const PADDED: u8 = 0x8;
pub(crate) const HAS_PRIORITY: u8 = 0x20;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&len[1..], &[kind, flags], &stream.to_be_bytes()];
    [&head.concat(), payload].concat()
}

/// Decisions, made by a row of bytes. After the last of them everything is decided in the plainest way.
pub(crate) struct Choices<'a>(slice::Iter<'a, u8>);

impl<'a> Choices<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.iter())
    }

    /// A number below `end`; the plainest is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let mut number = || usize::from(self.0.next().copied().unwrap_or(0));
        let low = number();
        let high = if end > 256 { number() } else { 0 };
        (high << 8 | low) % end
    }

    /// One time in `n`, and never in the plainest way.
    pub(crate) fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    fn of<T: Copy>(&mut self, options: &[T]) -> T {
        options[self.below(options.len())]
    }
}

pub(crate) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// One who encodes header blocks.
pub(crate) struct Encoder {
    /// The dynamic table, the newest first.
    entries: VecDeque<(Vec<u8>, Vec<u8>)>,
    max_size: usize,
}

/// The fields of the static table that are used here, by their index.
const STATIC: [(usize, &[u8], &[u8]); 8] = [
    (1, b":authority", b""),
    (3, b":method", b"POST"),
    (4, b":path", b"/"),
    (5, b":path", b"/index.html"),
    (6, b":scheme", b"http"),
    (31, b"content-type", b""),
    (58, b"user-agent", b""),
    (61, b"www-authenticate", b""),
];
const STATIC_LEN: usize = 61;

impl Encoder {
    pub(crate) fn new() -> Self {
        Self {
            entries: VecDeque::new(),
            max_size: 4096,
        }
    }

    pub(crate) fn block(&mut self, fields: &Fields, choices: &mut Choices<'_>) -> Vec<u8> {
        let mut block = Vec::new();
        while choices.once_in(8) {
            self.max_size = choices.of(&[4096, 0, 32, 60, 100, 300]);
            integer(&mut block, 0x20, 5, self.max_size, choices);
            self.evict(self.max_size);
        }
        for (name, value) in fields {
            self.field(&mut block, name, value, choices);
        }
        block
    }

    fn field(&mut self, block: &mut Vec<u8>, name: &[u8], value: &[u8], choices: &mut Choices<'_>) {
        let fixed = STATIC.iter().map(|(index, n, v)| (*index, *n, *v));
        let added = self.entries.iter().enumerate();
        let added = added.map(|(at, (n, v))| (STATIC_LEN + 1 + at, &**n, &**v));
        let named: Vec<_> = fixed.chain(added).filter(|(_, n, _)| *n == name).collect();
        let whole = named.iter().find(|(_, _, v)| *v == value);
        if let Some((index, ..)) = whole
            && !choices.once_in(4)
        {
            return integer(block, 0x80, 7, *index, choices);
        }
        let (first, prefix) = choices.of(&[(0x40, 6), (0x00, 4), (0x10, 4)]);
        if named.is_empty() || choices.once_in(4) {
            block.push(first);
            string(block, name, choices);
        } else {
            let (index, ..) = choices.of(&named);
            integer(block, first, prefix, index, choices);
        }
        string(block, value, choices);
        if first == 0x40 {
            let size = name.len() + value.len() + 32;
            self.evict(self.max_size.saturating_sub(size));
            if size <= self.max_size {
                self.entries.push_front((name.to_vec(), value.to_vec()));
            }
        }
    }

    fn evict(&mut self, max_size: usize) {
        let size = |entries: &VecDeque<(Vec<u8>, Vec<u8>)>| -> usize {
            entries.iter().map(|(n, v)| n.len() + v.len() + 32).sum()
        };
        while size(&self.entries) > max_size {
            self.entries.pop_back();
        }
    }
}

fn string(block: &mut Vec<u8>, text: &[u8], choices: &mut Choices<'_>) {
    if choices.once_in(2) {
        let coded = huffman::encode(text);
        integer(block, 0x80, 7, coded.len(), choices);
        block.extend(coded);
    } else {
        integer(block, 0, 7, text.len(), choices);
        block.extend(text);
    }
}

fn integer(block: &mut Vec<u8>, first: u8, prefix: u8, number: usize, choices: &mut Choices<'_>) {
    let max_in_prefix = (1 << prefix) - 1;
    if number < max_in_prefix {
        return block.push(first | number as u8);
    }
    block.push(first | max_in_prefix as u8);
    let mut rest = number - max_in_prefix;
    while rest >= 0x80 {
        block.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    // One more byte, of zeros, changes nothing.
    if choices.once_in(8) {
        block.extend([rest as u8 | 0x80, 0]);
    } else {
        block.push(rest as u8);
    }
}

/// The frames of a header block: padded or not, with a priority or without, split anywhere.
pub(crate) fn headers(stream: u32, flags: u8, block: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
    let mut cuts: Vec<_> =
        iter::from_fn(|| choices.once_in(4).then(|| choices.below(block.len() + 1)))
            .take(4)
            .collect();
    cuts.sort_unstable();
    let mut rest = block;
    let mut parts = Vec::new();
    for cut in cuts.iter().rev() {
        let (before, part) = rest.split_at(*cut);
        parts.insert(0, part);
        rest = before;
    }
    let mut flags = flags;
    let mut payload = Vec::new();
    let mut padding = Vec::new();
    if choices.once_in(4) {
        padding = vec![0; choices.below(256)];
        payload.push(padding.len() as u8);
        flags |= PADDED;
    }
    if choices.once_in(4) {
        payload.extend([0x80, 0, 0, 0, 7]);
        flags |= HAS_PRIORITY;
    }
    payload.extend(rest);
    payload.extend(padding);
    let end = |is_last| if is_last { END_HEADERS } else { 0 };
    let mut frames = frame(HEADERS, flags | end(parts.is_empty()), stream, &payload);
    for (at, part) in parts.iter().enumerate() {
        let flags = end(at == parts.len() - 1);
        frames.extend(frame(CONTINUATION, flags, stream, part));
    }
    frames
}
