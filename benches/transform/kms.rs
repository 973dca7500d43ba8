//! One DEK source of a KMS v2 provider, as a run has it.

use kms_proto::{Annotations, DekSource, DekSourceType, EncryptedDekSource};
use rewrap_cli::stored::{DekRef, FreshDekSource, KnownDeks, ReadDek, WriteDek};

/// The provider's name.
pub(crate) const PROVIDER: &str = "bench";

/// A seed, to write with and to read with.
pub(crate) struct Kms {
    pub(crate) seed: DekSource,
    pub(crate) write: WriteDek,
    pub(crate) known: KnownDeks,
}

impl Kms {
    pub(crate) fn new() -> Self {
        let fresh = FreshDekSource::generate().expect("randomness");
        let copy = || DekSource::new(fresh.source().expose().to_vec());
        let (seed, source) = (copy(), copy());
        // As long as those of `kms-plugin` with a local key.
        let encrypted = EncryptedDekSource {
            ciphertext: vec![0xa5; 73].try_into().expect("not too long"),
            key_id: "rf-local-00112233445566778899aabbccddeeff"
                .parse()
                .expect("a key id"),
            annotations: Annotations::default(),
        };
        let kind = DekSourceType::HkdfSha256XnonceAesGcmSeed;
        let write = WriteDek::v2(PROVIDER.into(), kind, fresh, encrypted);
        let mut known = KnownDeks::default();
        known.insert(DekRef::clone(write.reference()), Ok(ReadDek::new(source)));
        Self { seed, write, known }
    }
}
