//! What leaks most is brought to the current key first.
//!
//! Resources come in the order of [`Areas`](crate::area::Areas): Secrets first, what changes all the
//! time last. Within a resource etcd delivers the objects in the order of their keys, and what kind of
//! Secret one is, it tells when it is opened: so the order holds within a page, of which one is worked
//! on and one is read ahead, and no Secret is read twice for it.

use crate::{
    area::{Area, Content},
    stored::{OpenError, Opened, State, object::SecretTraits},
};

/// Types of Secrets that open doors by themselves, wherever they are tried. The keys of sealed-secrets
/// are of type TLS.
const KEYS_AND_TOKENS: [&str; 2] = ["kubernetes.io/service-account-token", "kubernetes.io/tls"];

/// Whether an object goes before the others of its page.
pub(super) fn leaks_most(area: &Area, outcome: &Result<Opened, OpenError>) -> bool {
    let Content::Objects { resource, .. } = &area.content else {
        return false;
    };
    let is_secret = &*resource.resource == "secrets" && resource.group.is_empty();
    let Ok(opened) = outcome else {
        return false;
    };
    is_secret
        && opened.state != State::Current
        && SecretTraits::of(opened.plaintext.expose())
            .is_some_and(|secret| KEYS_AND_TOKENS.contains(&&*secret.secret_type))
}
