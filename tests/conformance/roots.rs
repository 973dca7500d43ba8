//! Roots outside of the daemon's process, each on its real server.

mod pkcs11;
