//! The contract between kube-apiserver, a KMS plugin and the bytes that end up in etcd.
//!
//! Types, codecs and limits only: no sockets, no runtime, no policy. Both programs of this
//! repository depend on it and never on each other.
//!
//! * [`EncryptedObject`] is what a `kms v2` value in etcd holds behind its prefix; it contains an
//!   [`EncryptedDekSource`].
//! * [`EncryptedDekSource`] is what a plugin's Encrypt answers: a [`Ciphertext`], the [`KeyId`]
//!   that made it, its [`Annotations`].
//! * [`Envelope`] is the wrapped local KEK in the annotations of our own plugin, with the
//!   [`RootVersion`]s that wrapped it.
//! * [`DekSource`] is the secret that was wrapped. It is wiped when dropped and cannot be printed,
//!   cloned or compared.
//! * [`Prefix`] is the text before every encrypted value in etcd.
//! * [`inventory`] are the documents that say what is stored under which key.
//! * [`wire`] holds the generated messages and services. Everything that arrives in one of them is
//!   turned into the types above before it is used: their constructors are the rules kube-apiserver
//!   enforces.

pub mod inventory;
pub mod wire;

mod annotations;
mod codec;
mod dek;
mod fields;
mod key_id;
mod local_kek;
mod object;
mod prefix;

pub use annotations::{Annotations, AnnotationsError};
pub use dek::{
    Ciphertext, CiphertextError, DekSource, DekSourceType, EncryptedDekSource,
    EncryptedDekSourceError, EncryptedDekSourceRef, UnknownDekSourceType,
};
pub use key_id::{KeyId, KeyIdError};
pub use local_kek::{
    ANNOTATION as LOCAL_KEK_ANNOTATION, Envelope, EnvelopeError, KekId, RootVersion,
    RootVersionError, WrappedKek,
};
pub use object::{EncryptedObject, EncryptedObjectError};
pub use prefix::{ENCRYPTED_PREFIX, Prefix};

/// The value of `StatusResponse.version` that every apiserver from 1.27 on accepts.
///
/// 1.27 and 1.28 refuse `v2`; newer ones accept both but pin the first answer they saw
/// (`k8s.io/apiserver/pkg/server/options/encryptionconfig/config.go`).
pub const STATUS_VERSION: &str = "v2beta1";

/// The only value of `StatusResponse.healthz` that an apiserver takes as healthy; compared byte by
/// byte.
pub const HEALTHZ_OK: &str = "ok";
