//! What stored bytes mean: pure functions of bytes, rule and the DEK sources known so far. No
//! network, no clock, no configuration files.
//!
//! * [`resource`] says what lies under an etcd key;
//! * [`rule`] opens a value, says whether it is stale, and seals it anew;
//! * [`dek`] is the seam to whoever unwraps DEK sources;
//! * [`object`] says whether decrypted bytes are the object that their key names.

pub mod dek;
pub mod object;
pub mod resource;
pub mod rule;

mod transformer;

pub use dek::{
    DekRef, DekSources, DekView, FreshDekSource, KmsName, Known, KnownDeks, ReadDek, Step,
    UnwrapError, WriteDek,
};
pub use object::{Identity, NotAnObject, identify};
pub use resource::{Crds, EtcdPrefix, Existence, GroupResource, Location, ObjectKey, Scope};
pub use rule::{
    Class, CurrentKey, CurrentKeys, NamedKey, OpenError, Opened, Provider, ProviderKind, Reason,
    Reasons, Rule, SealError, State, WrittenWith,
};
pub use transformer::{OpenCause, Plaintext};
