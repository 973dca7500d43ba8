//! What stored bytes mean: pure functions of bytes, rule and the DEK sources known so far. No
//! network, no clock, no configuration files.

pub mod resource;
pub mod rule;

pub use resource::GroupResource;
pub use rule::{KmsName, NamedKey, Provider, Rule};
