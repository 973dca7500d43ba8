//! Roots outside of the plugin's process, each on the real thing.

use kms_plugin::root::{
    local::KeyMaterial,
    remote::{Binding, RootError},
};

mod age;
mod aws_kms;
mod pkcs11;
mod suite;
mod vault;

/// A local KEK of random bytes.
fn local_kek() -> KeyMaterial {
    let mut bytes = Box::new([0; 32]);
    getrandom::fill(&mut *bytes).unwrap();
    KeyMaterial::new(bytes)
}

/// Of a context, with a random id.
fn binding(context: &str) -> Binding {
    let mut kek = [0; 16];
    getrandom::fill(&mut kek).unwrap();
    Binding {
        context: context.to_owned(),
        kek,
    }
}

/// The class of an error, and its words if they are of another.
#[track_caller]
fn unreachable<T>(result: Result<T, RootError>) -> String {
    match result {
        Err(error @ RootError::Unreachable { .. }) => error.to_string(),
        Err(error) => panic!("not unreachable, but {error}"),
        Ok(_) => panic!("not unreachable, but answered"),
    }
}

/// As [`unreachable`].
#[track_caller]
fn refused<T>(result: Result<T, RootError>) -> String {
    match result {
        Err(error @ RootError::Refused { .. }) => error.to_string(),
        Err(error) => panic!("not refused, but {error}"),
        Ok(_) => panic!("not refused, but answered"),
    }
}

/// As [`unreachable`].
#[track_caller]
fn corrupt<T>(result: Result<T, RootError>) -> String {
    match result {
        Err(error @ RootError::Corrupt { .. }) => error.to_string(),
        Err(error) => panic!("not corrupt, but {error}"),
        Ok(_) => panic!("not corrupt, but answered"),
    }
}
