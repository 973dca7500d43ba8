//! The Huffman code of HPACK's strings (RFC 7541, 5.2 and appendix B).

use super::Unclear;

/// The length of every symbol's code, in bits: the 256 bytes, then the end of the string. They are
/// the whole table, for the code is canonical: ordered by length and then by symbol, each code is
/// its predecessor plus one.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, // 0x00
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, // 0x10
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, // 0x20
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, // 0x30
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, // 0x40
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, // 0x50
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, // 0x60
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, // 0x70
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, // 0x80
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, // 0x90
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, // 0xa0
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, // 0xb0
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, // 0xc0
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, // 0xd0
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, // 0xe0
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, // 0xf0
    30,
];
const SHORTEST: u8 = 5;
const LONGEST: u8 = 30;

/// The codes of one length.
#[derive(Clone, Copy)]
struct Class {
    /// The first of them, as the highest bits of 32.
    start: u64,
    /// What is above the last of them, as the highest bits of 32; `start`, if there are none.
    end: u64,
    /// Where their symbols are in [`SYMBOLS`].
    symbols: usize,
}

/// By length.
const CLASSES: [Class; LONGEST as usize + 1] = classes();
/// In the order of their codes.
const SYMBOLS: [u16; LENGTHS.len()] = symbols();

const fn classes() -> [Class; LONGEST as usize + 1] {
    let mut next = Class {
        start: 0,
        end: 0,
        symbols: 0,
    };
    let mut classes = [next; LONGEST as usize + 1];
    let mut length = SHORTEST;
    while length <= LONGEST {
        let mut count = 0;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] == length {
                count += 1;
            }
            symbol += 1;
        }
        next.start = next.end;
        next.end += (count as u64) << (32 - length);
        classes[length as usize] = next;
        next.symbols += count;
        length += 1;
    }
    classes
}

const fn symbols() -> [u16; LENGTHS.len()] {
    let mut symbols = [0; LENGTHS.len()];
    let mut filled = 0;
    let mut length = SHORTEST;
    while length <= LONGEST {
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] == length {
                symbols[filled] = symbol as u16;
                filled += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    symbols
}

/// Appends what `coded` means to `text`: at most 8/5 as many bytes.
pub(super) fn decode(coded: &[u8], text: &mut Vec<u8>) -> Result<(), Unclear> {
    // The lowest `count` bits of `bits` are still to be decoded.
    let (mut bits, mut count) = (0_u64, 0_u8);
    for byte in coded {
        bits = bits << 8 | u64::from(*byte);
        count += 8;
        while let Some((symbol, length)) = first(bits, count) {
            text.push(u8::try_from(symbol).map_err(|_| Unclear)?);
            count -= length;
        }
    }
    let padding = (1 << count) - 1;
    if count < 8 && bits & padding == padding {
        Ok(())
    } else {
        Err(Unclear)
    }
}

/// The first symbol in the lowest `count` bits, and how many bits it takes, if it is there whole.
fn first(bits: u64, count: u8) -> Option<(u16, u8)> {
    if count < SHORTEST {
        return None;
    }
    let window = bits << (64 - count) >> 32;
    let length = (SHORTEST..=count.min(LONGEST))
        .find(|length| window < CLASSES[usize::from(*length)].end)?;
    let Class { start, symbols, .. } = CLASSES[usize::from(length)];
    let nth = (window - start) >> (32 - length);
    Some((SYMBOLS[symbols + nth as usize], length))
}

/// The code of a text, as an encoder writes it.
#[cfg(test)]
pub(super) fn encode(text: &[u8]) -> Vec<u8> {
    let (mut coded, mut bits, mut count) = (Vec::new(), 0_u64, 0);
    for byte in text {
        let length = LENGTHS[usize::from(*byte)];
        let Class { start, symbols, .. } = CLASSES[usize::from(length)];
        let nth = SYMBOLS[symbols..]
            .iter()
            .position(|s| *s == u16::from(*byte));
        bits = bits << length | ((start >> (32 - length)) + nth.unwrap() as u64);
        count += length;
        while count >= 8 {
            count -= 8;
            coded.push((bits >> count) as u8);
        }
    }
    if count > 0 {
        coded.push((bits << (8 - count)) as u8 | 0xff >> count);
    }
    coded
}

#[cfg(test)]
mod tests;
