//!
//! Pure, bytes in and values out, but for [`read`]. What these files hold is secret: every scalar is
//! wiped when it is dropped, and errors consist of our own words, field names of the schema, indices
//! and line numbers; they never repeat a byte of a file.

pub mod encryption;
pub mod manifest;

mod go;
mod read;
mod yaml;

pub use encryption::{EncryptionConfig, KubernetesVersion, ParseOptions};
pub use manifest::Manifest;
pub use read::{ReadError, read};
pub use yaml::SyntaxError;
