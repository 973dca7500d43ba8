//! Roots outside of the daemon's process, each on its real server.

mod age;
mod pkcs11;
