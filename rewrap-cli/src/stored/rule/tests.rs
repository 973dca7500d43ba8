//! Values of real kube-apiservers, altered values, and the rules of reading and of staleness.

use std::collections::HashMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use kms_proto::DekSource;
use zeroize::Zeroizing;

use super::*;
use crate::stored::{
    dek::{DekRef, DekSources, Step, UnwrapError},
    object::NotAnObject,
};

mod golden;

/// The outcomes of a plugin that "wraps" by base64, as Kubernetes' own test plugin does.
#[derive(Default)]
struct Base64Plugin {
    known: HashMap<DekRef, Result<DekSource, UnwrapError>>,
    asked: usize,
}

impl DekSources for Base64Plugin {
    fn get(&self, dek: &DekRef) -> Option<Result<&DekSource, &UnwrapError>> {
        self.known.get(dek).map(Result::as_ref)
    }
}

impl Base64Plugin {
    fn unwrap(&mut self, dek: DekRef) {
        let ciphertext = match &dek {
            DekRef::V1 { cipher, .. } => cipher,
            DekRef::V2 { source, .. } => source.ciphertext.as_bytes(),
        };
        let outcome = BASE64_STANDARD
            .decode(ciphertext)
            .map(DekSource::new)
            .map_err(|error| UnwrapError::new(&error));
        self.asked += 1;
        assert!(self.known.insert(dek, outcome).is_none(), "asked twice");
    }

    fn open_if(
        &mut self,
        rule: &Rule,
        path: &[u8],
        value: &[u8],
        current: &CurrentKeys,
        accept: impl Fn(&[u8]) -> Result<(), NotAnObject>,
    ) -> Result<Opened, OpenError> {
        loop {
            match rule.open_if(path, value, current, self, &accept) {
                Step::Done(outcome) => return outcome,
                Step::Need(dek) => self.unwrap(dek),
            }
        }
    }
}

fn key(name: &str, secret: &[u8]) -> NamedKey {
    NamedKey::new(name, Zeroizing::new(secret.to_vec()))
}

/// Takes any AES-CBC plaintext for right, as kube-apiserver does.
fn anything(_: &[u8]) -> Result<(), NotAnObject> {
    Ok(())
}
