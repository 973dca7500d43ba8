//! Local KEKs under roots: 256-bit keys that are made here, wrap DEK sources here, and travel with what
//! they wrapped, themselves wrapped by one root or several.
//!
//! So a root is asked once for each local KEK, not for each DEK source, and a control plane goes on while
//! its roots are away. A key id names the versions of the roots' keys that wrapped the local KEK, never
//! the local KEK itself (KEP-3299).
//!
//! [`UnderRoots`] is the KEK that the keyring sees. Behind it a keeper, a task of its own, sees that there is
//! a local KEK that wraps; the opened ones are held in memory, and [`state_dir`] has what outlives the process.
//! A [`guarded`] root is asked one call at a time, and what it answers moves its [`Outage`].

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use kms_proto::{
    Annotations, DekSource, EncryptedDekSource, Envelope, KekId, KeyId,
    LOCAL_KEK_ANNOTATION as ANNOTATION,
};
use sha2::{Digest, Sha256};

use crate::{
    fields,
    kek::{KekError, Sealer},
    root::{local::KeyMaterial, remote::Binding},
};

mod copies;
pub mod guarded;
mod held;
mod keeper;
mod outage;
mod shared;
pub mod state_dir;
mod under_roots;

pub use copies::SealedCopies;
pub use outage::{Outage, Standing};
pub use shared::{Phase, Settings};
pub use under_roots::UnderRoots;

/// Names this construction in every key id and ciphertext made with it.
const LABEL: &[u8] = b"ringfence/local-kek/v1";

/// A local KEK that nobody has: 128 and 256 random bits.
///
/// # Errors
/// The operating system gave no random bytes.
pub(crate) fn fresh() -> Result<(KekId, KeyMaterial), getrandom::Error> {
    let (mut id, mut key) = ([0; 16], Box::new([0; 32]));
    getrandom::fill(&mut id)?;
    getrandom::fill(&mut *key)?;
    Ok((KekId(id), KeyMaterial::new(key)))
}

/// What binds a wrapped local KEK to its place.
pub(crate) fn binding(id: KekId, context: &str) -> Binding {
    Binding {
        context: context.to_owned(),
        kek: id.0,
    }
}

/// An opened local KEK. Wiped when dropped.
pub struct LocalKek {
    envelope: Envelope,
    material: KeyMaterial,
    sealer: Sealer,
    uses: AtomicU64,
}

impl LocalKek {
    /// The key that stands in `envelope`, opened.
    pub(crate) fn new(envelope: Envelope, material: KeyMaterial, context: &str) -> Self {
        Self {
            sealer: Sealer::new(material.expose(), LABEL, context),
            envelope,
            material,
            uses: AtomicU64::new(0),
        }
    }

    /// The same key as the roots wrapped it in another envelope of its id.
    pub(crate) fn under(&self, envelope: Envelope, context: &str) -> Self {
        debug_assert_eq!(envelope.id(), self.id());
        let material = KeyMaterial::new(Box::new(*self.material.expose()));
        Self::new(envelope, material, context)
    }

    /// Which it is.
    pub(crate) fn id(&self) -> KekId {
        self.envelope.id()
    }

    /// It as the roots wrapped it.
    pub(crate) fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The secret.
    pub(crate) fn material(&self) -> &KeyMaterial {
        &self.material
    }

    /// How many DEK sources it wrapped since it was opened here.
    pub(crate) fn uses(&self) -> u64 {
        self.uses.load(Ordering::Relaxed)
    }

    /// Wraps a DEK source under the key id of the roots that wrapped this key.
    pub(crate) fn wrap(&self, dek: &DekSource, epoch: u32) -> Result<EncryptedDekSource, KekError> {
        self.uses.fetch_add(1, Ordering::Relaxed);
        let annotations = Annotations::new([(ANNOTATION.to_owned(), self.envelope.to_bytes())])
            .expect("an envelope is within the limits of annotations");
        self.sealer
            .wrap(dek, key_id(&self.envelope, epoch), annotations)
    }

    /// Unwraps a DEK source.
    pub(crate) fn unwrap(&self, wrapped: &EncryptedDekSource) -> Result<DekSource, KekError> {
        self.sealer.unwrap(wrapped)
    }
}

impl fmt::Debug for LocalKek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKek")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

/// `rf-root-` and the first 128 bits of SHA-256 over label, epoch and the versions of the roots' keys that wrapped,
/// in the order of their words, each after its length. Whatever the configuration calls a root, and in
/// whichever order it lists them, it is the same.
pub(crate) fn key_id(envelope: &Envelope, epoch: u32) -> KeyId {
    let mut versions: Vec<&str> = envelope
        .versions()
        .map(|version| version.as_str())
        .collect();
    versions.sort_unstable();
    let epoch = epoch.to_be_bytes();
    let head = [LABEL, &epoch];
    let hash = Sha256::digest(fields::encode(
        head.into_iter()
            .chain(versions.into_iter().map(str::as_bytes)),
    ));
    format!("rf-root-{}", hex::encode(&hash[..16]))
        .parse()
        .expect("40 characters are a key id")
}

#[cfg(test)]
mod tests;
