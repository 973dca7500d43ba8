//! A KMS v2 plugin for kube-apiserver.
//!
//! The apiserver asks it, over a Unix socket, to wrap and unwrap the seeds from which it derives the
//! keys of the objects it stores. The life of a call: [`socket`] accepts a connection if the kernel
//! vouches for the peer, and makes the words of older apiservers acceptable ([`socket::authority`]);
//! [`grpc`] turns messages into types, [`service`] takes one snapshot of the [`keyring`] and asks a
//! [`kek`], which lives in a [`root`].
//!
//! Around that, [`daemon`] builds everything from a [`config`], [`watch`] replaces the keyring when
//! the files change, [`admin`], [`metrics`] and [`http`] say how it goes.

// The heart: no tonic, no sockets.
pub mod kek;
pub mod keyring;
pub mod local_kek;
pub mod root;
pub mod roots;
pub mod service;
pub mod state;

// The outside.
pub mod admin;
pub mod grpc;
pub mod http;
pub mod metrics;
pub mod socket;
pub mod watch;

// The door and the house-keeping.
pub mod check;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod file;
pub mod load;
pub mod log;
pub mod status;

mod chain;
mod fields;
mod notify;

#[cfg(test)]
#[path = "../../tests/support/damage.rs"]
mod damage;
