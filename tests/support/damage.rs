//! Good files, damaged: what every parser must refuse or take in silence. Part of the unit tests of
//! both programs.

use proptest::{
    prelude::*,
    sample::{Index, select},
};

/// A good file with up to eight damages: cut off, bytes changed, put in or taken out, pieces doubled,
/// lines and words swapped.
pub(crate) fn damaged(good: impl Into<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let good = good.into();
    prop::collection::vec(damage(), 1..=8).prop_map(move |damages| {
        damages
            .iter()
            .fold(good.clone(), |file, damage| damage.to(file))
    })
}

/// Whether a text holds eight characters or more of a secret.
pub(crate) fn tells(text: &str, secret: &str) -> bool {
    let windows = secret.as_bytes().windows(8);
    windows
        .filter_map(|window| str::from_utf8(window).ok())
        .any(|window| text.contains(window))
}

#[derive(Debug, Clone)]
enum Damage {
    Cut(Index),
    Change(Index, u8),
    Insert(Index, u8),
    Remove(Index, usize),
    Double(Index, usize, Index),
    SwapLines(Index, Index),
    SwapWords(Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    // What has a meaning in YAML or JSON is met more often.
    let byte = || prop_oneof![any::<u8>(), select(&b":\n -,{}[]#&*!|>'\"%@`\\\t\0k8"[..])];
    let length = 1_usize..40;
    prop_oneof![
        1 => at().prop_map(Damage::Cut),
        4 => (at(), byte()).prop_map(|(at, byte)| Damage::Change(at, byte)),
        4 => (at(), byte()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        4 => (at(), length.clone()).prop_map(|(at, length)| Damage::Remove(at, length)),
        2 => (at(), length, at()).prop_map(|(at, length, to)| Damage::Double(at, length, to)),
        2 => (at(), at()).prop_map(|(one, other)| Damage::SwapLines(one, other)),
        4 => (at(), at()).prop_map(|(one, other)| Damage::SwapWords(one, other)),
    ]
}

impl Damage {
    fn to(&self, mut file: Vec<u8>) -> Vec<u8> {
        if file.is_empty() {
            return file;
        }
        let length = file.len();
        let piece = |at: &Index, len: usize| {
            let start = at.index(length);
            start..(start + len).min(length)
        };
        match self {
            Self::Cut(at) => file.truncate(at.index(length)),
            Self::Change(at, byte) => file[at.index(length)] = *byte,
            Self::Insert(at, byte) => file.insert(at.index(length), *byte),
            Self::Remove(at, len) => drop(file.drain(piece(at, *len))),
            Self::Double(at, len, to) => {
                let piece = file[piece(at, *len)].to_vec();
                let to = to.index(length);
                file.splice(to..to, piece);
            }
            Self::SwapLines(one, other) => {
                let mut lines: Vec<_> = file.split(|byte| *byte == b'\n').collect();
                let (one, other) = (one.index(lines.len()), other.index(lines.len()));
                lines.swap(one, other);
                file = lines.join(&b'\n');
            }
            Self::SwapWords(one, other) => {
                // Words, and what stands between them.
                let mut parts: Vec<_> = file
                    .chunk_by(|left, right| is_word(left) == is_word(right))
                    .collect();
                let words: Vec<_> = (0..parts.len())
                    .filter(|part| is_word(&parts[*part][0]))
                    .collect();
                if !words.is_empty() {
                    let pick = |index: &Index| words[index.index(words.len())];
                    parts.swap(pick(one), pick(other));
                    file = parts.concat();
                }
            }
        }
        file
    }
}

fn is_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_./=+".contains(byte)
}
