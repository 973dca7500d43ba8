//! Header blocks (RFC 7541): the syntax of every field, the meaning of one.

use http::uri;

use super::{
    Unclear, huffman,
    table::{Name, Table},
};

/// What must be kept of the header blocks of a connection, to understand the next.
#[derive(Debug)]
pub(super) struct Hpack {
    table: Table,
    /// The latest string that had to be decoded.
    text: Vec<u8>,
}

impl Hpack {
    pub(super) fn new() -> Self {
        Self {
            table: Table::new(),
            text: Vec::new(),
        }
    }

    /// The next header block of the connection with a valid value in every literal `:authority`,
    /// unless it is so already. Order, indexes and duplicates are for others to judge.
    pub(super) fn mend(&mut self, block: &[u8]) -> Result<Option<Vec<u8>>, Unclear> {
        let mut fields = Reader { rest: block };
        let mut mended = Vec::new();
        // What is before it is in `mended`.
        let mut copied = 0;
        while let Some(first) = fields.rest.first() {
            let (is_added, prefix) = match first {
                // An entry of a table: in the dynamic one are only values that were mended.
                0x80.. => {
                    fields.integer(7)?;
                    continue;
                }
                0x40..0x80 => (true, 6),
                0x20..0x40 => {
                    self.table.resize(fields.integer(5)?)?;
                    continue;
                }
                // Not indexed, or never to be indexed.
                ..0x20 => (false, 4),
            };
            let name = match fields.integer(prefix)? {
                0 => Name::from(fields.string()?.decoded(&mut self.text)?),
                index => self.table.name(index)?,
            };
            let value_at = block.len() - fields.rest.len();
            let value = fields.string()?;
            if !is_added && !name.is_authority {
                // Nothing depends on it.
                continue;
            }
            let value = value.decoded(&mut self.text)?;
            if name.is_authority
                && let Some(valid) = mended_authority(value)
            {
                mended.extend_from_slice(&block[copied..value_at]);
                push_string(&mut mended, &valid);
                copied = block.len() - fields.rest.len();
            }
            if is_added {
                self.table.insert(name, value.len());
            }
        }
        if copied == 0 {
            return Ok(None);
        }
        mended.extend_from_slice(&block[copied..]);
        Ok(Some(mended))
    }
}

/// A valid authority (RFC 3986, 3.2) in place of one that is not, byte for byte: what is not
/// unreserved becomes `-`. None is valid in place of an empty one.
fn mended_authority(value: &[u8]) -> Option<Vec<u8>> {
    // The parser by which h2 judges (`http` is its dependency too).
    if value.is_empty() || uri::Authority::try_from(value).is_ok() {
        return None;
    }
    let mended = value.iter().map(|byte| match byte {
        b'.' | b'_' | b'~' => *byte,
        byte if byte.is_ascii_alphanumeric() => *byte,
        _ => b'-',
    });
    Some(mended.collect())
}

/// Appends a string literal, not Huffman coded (RFC 7541, 5.2).
fn push_string(block: &mut Vec<u8>, text: &[u8]) {
    const MAX_IN_PREFIX: usize = 0x7f;
    if text.len() < MAX_IN_PREFIX {
        block.push(text.len() as u8);
    } else {
        block.push(MAX_IN_PREFIX as u8);
        let mut rest = text.len() - MAX_IN_PREFIX;
        while rest >= 0x80 {
            block.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        block.push(rest as u8);
    }
    block.extend_from_slice(text);
}

/// Reads the parts of fields.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// An integer with a prefix of so many bits (RFC 7541, 5.1). Above 2^28 no number means anything
    /// here, and h2 reads no more bytes of one either.
    fn integer(&mut self, prefix: u8) -> Result<usize, Unclear> {
        let max_in_prefix = u8::MAX >> (8 - prefix);
        let start = self.byte()? & max_in_prefix;
        let mut integer = usize::from(start);
        if start < max_in_prefix {
            return Ok(integer);
        }
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            integer += usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(integer);
            }
        }
        Err(Unclear)
    }

    /// A string literal (RFC 7541, 5.2).
    fn string(&mut self) -> Result<Text<'a>, Unclear> {
        let is_huffman = self.rest.first().is_some_and(|first| *first >= 0x80);
        let len = self.integer(7)?;
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(Unclear)?;
        self.rest = rest;
        Ok(Text { bytes, is_huffman })
    }

    fn byte(&mut self) -> Result<u8, Unclear> {
        let (first, rest) = self.rest.split_first().ok_or(Unclear)?;
        self.rest = rest;
        Ok(*first)
    }
}

/// What a string literal holds.
struct Text<'a> {
    bytes: &'a [u8],
    is_huffman: bool,
}

impl<'a> Text<'a> {
    /// What it says: in itself, or in `space`.
    fn decoded<'b>(self, space: &'b mut Vec<u8>) -> Result<&'b [u8], Unclear>
    where
        'a: 'b,
    {
        if !self.is_huffman {
            return Ok(self.bytes);
        }
        space.clear();
        huffman::decode(self.bytes, space)?;
        Ok(space)
    }
}

#[cfg(test)]
mod tests;
