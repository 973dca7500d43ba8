use std::fmt;

use kms_proto::DekSource;

use crate::stored::transformer::kms_v2::Seed;

/// An unwrapped DEK source, ready to open values with: what is the same for every value is done once.
pub struct ReadDek {
    source: DekSource,
    /// The source, ready to derive keys from; `None` where it is too short to be a seed.
    seed: Option<Seed>,
}

impl ReadDek {
    /// Takes over what a plugin unwrapped, whatever its length: only a value says what it is for.
    pub fn new(source: DekSource) -> Self {
        Self {
            seed: Seed::new(source.expose()),
            source,
        }
    }

    /// The secret, as it was unwrapped.
    pub(in crate::stored) fn source(&self) -> &DekSource {
        &self.source
    }

    pub(in crate::stored) fn seed(&self) -> Option<&Seed> {
        self.seed.as_ref()
    }
}

impl fmt::Debug for ReadDek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadDek([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_prints_no_secret() {
        let dek = ReadDek::new(DekSource::new(b"hunter2".to_vec()));
        assert_eq!(format!("{dek:?}"), "ReadDek([REDACTED])");
    }

    #[test]
    fn only_32_bytes_and_more_are_a_seed() {
        let has_seed = |len| ReadDek::new(DekSource::new(vec![7; len])).seed().is_some();
        assert!(!has_seed(0));
        assert!(!has_seed(DekSource::SEED_LEN - 1));
        assert!(has_seed(DekSource::SEED_LEN));
        assert!(has_seed(DekSource::SEED_LEN + 1));
    }
}
