use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use zeroize::Zeroizing;

use crate::stored::transformer::aes_gcm::GcmKey;

/// A key of a local provider with the name that stands in the stored values.
///
/// Shared, wiped when the last user drops it, and never printed.
#[derive(Clone)]
pub struct NamedKey {
    name: Arc<str>,
    secret: Arc<Secret>,
}

struct Secret {
    bytes: Zeroizing<Vec<u8>>,
    /// Made when it is first asked for: making it takes as long as opening a small value.
    gcm: OnceLock<Option<GcmKey>>,
}

impl NamedKey {
    /// Takes over a decoded key; whoever builds a [`Provider`](super::Provider) has checked its length.
    pub fn new(name: &str, secret: Zeroizing<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            secret: Arc::new(Secret {
                bytes: secret,
                gcm: OnceLock::new(),
            }),
        }
    }

    /// The name, as in the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same name, shared.
    pub(super) fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    /// The key itself.
    pub fn expose(&self) -> &[u8] {
        &self.secret.bytes
    }

    /// The same, ready for AES-GCM; `None` where it has another length than that takes.
    pub(super) fn gcm(&self) -> Option<&GcmKey> {
        let ready = || GcmKey::new(&self.secret.bytes);
        self.secret.gcm.get_or_init(ready).as_ref()
    }
}

impl fmt::Debug for NamedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
