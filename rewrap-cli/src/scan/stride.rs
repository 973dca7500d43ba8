//! How far apart keys are, and so where the next so many of them may end.

use crate::store::Record;

/// Digits behind the first one that differs in which distances are measured.
const DIGITS: usize = 4;

/// What the distances of [`DIGITS`] digits can be, in round numbers.
const SPAN: f64 = 1e6;

/// How many names the first step behind a directory covers, where they are numbered.
const FEW: f64 = 4.0;

/// How many keys tell which bytes there are.
const SAMPLES: usize = 32;

/// A guess at the distance between two neighbouring keys, each read as a number. Its digits at an index
/// are the kinds of bytes that keys have there: where names are numbered, ten.
///
/// Wrong guesses cost time, never keys: whoever cuts at a guess reads both sides of it.
#[derive(Debug, Clone)]
pub(super) struct Stride {
    /// What bytes there are, by their index.
    kinds: Vec<Kinds>,
    /// The index of the digit that `per_key` counts.
    depth: usize,
    per_key: f64,
}

impl Stride {
    /// Of neighbours in the order of their keys. `None` for less than two.
    pub(super) fn measure(neighbours: &[Record]) -> Option<Self> {
        let [first, .., last] = neighbours else {
            return None;
        };
        let (first, last) = (&first.key[..], &last.key[..]);
        let sample = || {
            neighbours
                .iter()
                .step_by(neighbours.len().div_ceil(SAMPLES))
        };
        let longest = sample().map(|record| record.key.len()).max();
        let mut kinds = vec![Kinds::default(); longest.unwrap_or_default()];
        for record in sample() {
            for (at, kinds) in kinds.iter_mut().enumerate() {
                kinds.add(record.key.get(at));
            }
        }
        let same = first.iter().zip(last).take_while(|(a, b)| a == b).count();
        let mut stride = Self {
            kinds,
            depth: same + DIGITS - 1,
            per_key: 0.0,
        };
        let between = stride
            .number(last, same)
            .saturating_sub(stride.number(first, same));
        // Bytes of one kind may differ without a distance.
        stride.per_key = between.max(1) as f64 / (neighbours.len() - 1) as f64;
        Some(stride)
    }

    /// From one directory to the next few, whose names may be any, in steps of so many keys; the index
    /// is that of the last byte of a name.
    pub(super) fn between_directories(last: usize, keys: i64) -> Self {
        Self {
            kinds: Vec::new(),
            depth: last,
            per_key: FEW / keys.max(1) as f64,
        }
    }

    /// Whether it is measured in what lies behind so many bytes.
    pub(super) fn is_within(&self, bytes: usize) -> bool {
        self.depth >= bytes
    }

    /// A longer one, where too few keys were found so many times, one after the other.
    pub(super) fn grow(&mut self, times: u32) {
        self.per_key *= f64::from(1 << times.min(20));
        while self.per_key > SPAN * SPAN && self.depth >= DIGITS {
            self.depth -= DIGITS;
            self.per_key /= SPAN;
        }
    }

    /// A shorter one, for what may be nearer this time.
    pub(super) fn shrink(&mut self) {
        self.per_key /= 4.0;
    }

    /// The place about so many keys behind `from`, which is always behind it. `None` where that lies
    /// outside of the directory, whose name is the first `floor` bytes.
    pub(super) fn ahead(&self, from: &[u8], floor: usize, keys: i64) -> Option<Vec<u8>> {
        let mut add = (self.per_key * keys as f64).max(1.0) as u64;
        let mut digits = Vec::new();
        let mut at = self.depth.max(floor) + 1;
        while add > 0 {
            at = at.checked_sub(1).filter(|at| *at >= floor)?;
            let bytes = self.kinds(at).bytes();
            let base = bytes.len() as u64;
            let sum = digit(&bytes, from.get(at)) + add % base;
            add = add / base + sum / base;
            digits.push(bytes[(sum % base) as usize]);
        }
        let mut place = from.to_vec();
        place.resize(at, 0);
        place.extend(digits.iter().rev());
        Some(place)
    }

    /// [`DIGITS`] digits of a key from an index on.
    fn number(&self, key: &[u8], from: usize) -> u64 {
        (from..from + DIGITS).fold(0, |number, at| {
            let bytes = self.kinds(at).bytes();
            number * bytes.len() as u64 + digit(&bytes, key.get(at))
        })
    }

    /// Where no key had a byte, a name goes on.
    fn kinds(&self, at: usize) -> Kinds {
        self.kinds.get(at).copied().unwrap_or(Kinds::NAMES)
    }
}

/// Which of these first bytes of digits is the last that is not behind a byte. What lies before all of
/// them counts as the lowest, and so does the end of a key.
fn digit(bytes: &[u8], byte: Option<&u8>) -> u64 {
    let byte = byte.copied().unwrap_or_default();
    let behind = bytes.partition_point(|first| *first <= byte);
    behind.saturating_sub(1) as u64
}

/// A set of kinds of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Kinds(u8);

impl Kinds {
    const DIGITS: u8 = 1 << 3;
    const LETTERS: u8 = 1 << 4;
    const OTHERS: u8 = 1 << 5;
    /// Keys that end before.
    const ENDS: u8 = 1 << 6;
    const NAMES: Self = Self(Self::DIGITS | Self::LETTERS | Self::ENDS);

    fn add(&mut self, byte: Option<&u8>) {
        self.0 |= match byte {
            None => Self::ENDS,
            Some(byte @ b'-'..=b'/') => 1 << (byte - b'-'),
            Some(b'0'..=b'9') => Self::DIGITS,
            Some(b'a'..=b'z') => Self::LETTERS,
            Some(_) => Self::OTHERS,
        };
    }

    /// The digits of such bytes, each by the first byte that it stands for, in their order: one for
    /// each byte of a name, and one for all bytes between two of those. Never less than two, so that
    /// every sum ends.
    fn bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.0 & (Self::DIGITS | Self::LETTERS) == 0 || self.0 & Self::ENDS != 0 {
            bytes.push(0);
        }
        bytes.extend((b'-'..=b'/').filter(|byte| self.0 & 1 << (byte - b'-') != 0));
        for (kind, of_it) in [
            (Self::DIGITS, b'0'..=b'9'),
            (Self::OTHERS, b':'..=b':'),
            (Self::LETTERS, b'a'..=b'z'),
            (Self::OTHERS, b'{'..=b'{'),
        ] {
            if self.0 & kind != 0 {
                bytes.extend(of_it);
            }
        }
        if bytes.len() < 2 {
            bytes.push(b'0');
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stride(keys: &[Vec<u8>]) -> Option<Stride> {
        let record = |key: &Vec<u8>| Record {
            key: key.clone().into(),
            value: "".into(),
            mod_revision: 1,
            create_revision: 1,
            lease: 0,
        };
        Stride::measure(&keys.iter().map(record).collect::<Vec<_>>())
    }

    #[test]
    fn digits_keep_the_order_of_bytes() {
        for kinds in 0..1 << 7 {
            let bytes = Kinds(kinds).bytes();
            assert!(bytes.is_sorted_by(|one, next| one < next), "{bytes:?}");
            assert!((0..=u8::MAX).is_sorted_by_key(|byte| digit(&bytes, Some(&byte))));
            for (number, first) in bytes.iter().enumerate() {
                assert_eq!(digit(&bytes, Some(first)), number as u64);
            }
        }
    }

    #[test]
    fn what_is_numbered_is_cut_where_it_should_be() {
        let keys: Vec<_> = (400..900)
            .map(|n| format!("/s/a-{n:05}").into_bytes())
            .collect();
        let place = stride(&keys).unwrap().ahead(b"/s/a-00900", 3, 400).unwrap();
        assert!(b"/s/a-01250"[..] < place[..] && place[..] < b"/s/a-01350"[..]);
        assert!(stride(&keys[..1]).is_none());
    }

    proptest! {
        #[test]
        fn a_place_ahead_is_ahead_and_in_the_directory(
            from in prop::collection::vec(any::<u8>(), 0..40),
            near in prop::collection::vec(any::<u8>(), 0..40),
            keys in 1..5000i64,
            growths in 0..30u32,
        ) {
            let mut both = [&from, &near].map(|rest| [b"/s/", rest.as_slice()].concat());
            let from = both[0].clone();
            both.sort();
            let mut stride = stride(&both).unwrap();
            for times in 0..growths {
                stride.grow(times);
            }
            if let Some(place) = stride.ahead(&from, 3, keys) {
                prop_assert!(place > from && place.starts_with(b"/s/"), "{place:?}");
            }
        }

        #[test]
        fn a_stride_that_grows_leaves_the_directory(
            from in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let from = [b"/s/", from.as_slice()].concat();
            let mut stride = stride(&[from.clone(), [&from[..], b"\0"].concat()]).unwrap();
            for times in 0..40 {
                stride.grow(times);
            }
            prop_assert_eq!(stride.ahead(&from, 3, 100), None);
        }
    }
}
