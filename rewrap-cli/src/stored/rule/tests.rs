//! Values of real kube-apiservers, altered values, and the rules of reading and of staleness.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use kms_proto::{Annotations, DekSource, DekSourceType, EncryptedDekSource};
use zeroize::Zeroizing;

use super::*;
use crate::stored::{
    dek::{
        DekRef, DekSources, DekView, FreshDekSource, Known, KnownDeks, ReadDek, Step, UnwrapError,
        WriteDek,
    },
    object::{self, NotAnObject},
};

mod altered;
mod golden;
mod order;
mod round_trip;
mod staleness;
mod wrong_key;

/// The outcomes of a plugin that "wraps" by base64, as Kubernetes' own test plugin does.
#[derive(Default)]
struct Base64Plugin {
    known: KnownDeks,
    asked: usize,
}

impl DekSources for Base64Plugin {
    fn get(&self, dek: &DekView<'_>) -> Option<Result<Known<'_>, &UnwrapError>> {
        self.known.get(dek)
    }

    fn by_ending(&self, provider: &KmsName, ending: &[u8]) -> Option<Known<'_>> {
        self.known.by_ending(provider, ending)
    }
}

impl Base64Plugin {
    fn unwrap(&mut self, dek: DekRef) {
        let outcome = BASE64_STANDARD
            .decode(dek.ciphertext())
            .map(|bytes| ReadDek::new(DekSource::new(bytes)))
            .map_err(|error| UnwrapError::new(&error));
        self.asked += 1;
        assert!(self.known.insert(dek, outcome), "asked twice");
    }

    /// Opens as production does.
    fn open(&mut self, rule: &Rule, path: &[u8], value: &[u8]) -> Result<Opened, OpenError> {
        let current = CurrentKeys::default();
        self.open_if(rule, path, value, &current, |plaintext| {
            object::identify_at(plaintext, path).map(drop)
        })
    }

    /// Opens with another judgement of what AES-CBC yields.
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

/// Where [`SECRET`] lies.
const PATH: &[u8] = b"/registry/secrets/default/s";
const SECRET: &[u8] =
    br#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"default"}}"#;

/// What a plugin that wraps by base64 answers to a fresh DEK source.
fn write_dek(provider: &str, kind: DekSourceType, key_id: &str) -> WriteDek {
    let source = FreshDekSource::generate().unwrap();
    let encrypted = EncryptedDekSource {
        ciphertext: BASE64_STANDARD
            .encode(source.source().expose())
            .into_bytes()
            .try_into()
            .unwrap(),
        key_id: key_id.parse().unwrap(),
        annotations: Annotations::new([("a.example.io".to_owned(), vec![7])]).unwrap(),
    };
    WriteDek::v2(provider.into(), kind, source, encrypted)
}

/// The same of KMS v1.
fn write_dek_v1(provider: &str) -> WriteDek {
    let source = FreshDekSource::generate().unwrap();
    let cipher = BASE64_STANDARD.encode(source.source().expose());
    WriteDek::v1(&provider.into(), source, cipher.as_bytes()).unwrap()
}

/// Takes any AES-CBC plaintext for right, as kube-apiserver does.
fn anything(_: &[u8]) -> Result<(), NotAnObject> {
    Ok(())
}
