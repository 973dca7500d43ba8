//! Where Go's standard library decides what a value in a file means.

pub(crate) mod base64;
pub(crate) mod bool;
pub(crate) mod csv;
pub(crate) mod duration;
pub(crate) mod time;
pub(crate) mod url;

#[cfg(test)]
mod tests;
