//! Reproducible chance: the same seed, the same choices.

use std::time::{SystemTime, UNIX_EPOCH};

/// A splitmix64 generator.
pub(crate) struct Dice(u64);

impl Dice {
    /// With the seed in `RINGFENCE_SEED`, else a new one, which is printed.
    pub(crate) fn new() -> Self {
        let seed = match std::env::var("RINGFENCE_SEED") {
            Ok(seed) => seed.parse().unwrap(),
            Err(_) => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .subsec_nanos()
                .into(),
        };
        eprintln!("RINGFENCE_SEED={seed}");
        Self(seed)
    }

    /// With a seed of the test's own.
    pub(crate) fn from(seed: u64) -> Self {
        Self(seed)
    }

    /// What gives the same choices again.
    pub(crate) fn seed(&self) -> u64 {
        self.0
    }

    /// Another generator that makes other choices.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.below(usize::MAX) as u64)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }

    /// One of the list.
    pub(crate) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// This many bytes.
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        std::iter::repeat_with(|| self.below(256) as u8)
            .take(length)
            .collect()
    }
}
