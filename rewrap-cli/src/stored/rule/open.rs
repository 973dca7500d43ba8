use std::sync::Arc;

use kms_proto::EncryptedObject;

use super::{
    Attempt, CurrentKeys, KmsName, NamedKey, OpenError, Provider, ProviderKind, Reason, Reasons,
    Rule, State, WrittenWith, strip_name,
};
use crate::stored::{
    dek::{DekSources, DekView, Known, Step, UnwrapError},
    object::{self, NotAnObject},
    transformer::{OpenCause, Plaintext, aes_cbc, identity, kms_v1, kms_v2, secretbox},
};

/// An opened value.
#[derive(Debug)]
pub struct Opened {
    /// The object as kube-apiserver serialised it.
    pub plaintext: Plaintext,
    /// Who wrote it.
    pub written_with: WrittenWith,
    /// What it is, compared with what the rule would write.
    pub state: State,
}

impl Rule {
    /// Opens a stored value as kube-apiserver does: every provider whose prefix the value has, in
    /// order, and within it every key whose name follows; the first that succeeds counts, and an
    /// error only means that the next one is tried.
    ///
    /// One thing is judged more strictly. AES-CBC is not authenticated: a wrong key passes once in
    /// 256 times, and kube-apiserver returns the garbage. Here such a result counts only if it is a
    /// Kubernetes object of this etcd key; otherwise the attempt has failed.
    ///
    /// `path` is the whole etcd key as kube-apiserver knows it: it is authenticated. `current`
    /// decides whether a KMS v2 value is stale.
    ///
    /// # Errors
    /// The cause of every attempt, or that no prefix matched.
    pub fn open(
        &self,
        path: &[u8],
        value: &[u8],
        current: &CurrentKeys,
        deks: &impl DekSources,
    ) -> Step<Result<Opened, OpenError>> {
        self.open_if(path, value, current, deks, |plaintext| {
            object::identify_at(plaintext, path).map(drop)
        })
    }

    /// [`Self::open`] with another judgement of what AES-CBC yields.
    pub(super) fn open_if(
        &self,
        path: &[u8],
        value: &[u8],
        current: &CurrentKeys,
        deks: &impl DekSources,
        accept: impl Fn(&[u8]) -> Result<(), NotAnObject>,
    ) -> Step<Result<Opened, OpenError>> {
        let mut attempts = Vec::new();
        for (index, provider) in self.providers.iter().enumerate() {
            let kind = provider.kind();
            let Some(body) = value.strip_prefix(kind.prefix().as_bytes()) else {
                continue;
            };
            let found = match provider {
                // Its error is forgotten: the value may be anybody's.
                Provider::Identity => identity::open(body).ok().map(Found::plain),
                Provider::AesCbc(keys) => {
                    with_keys(kind, keys, body, &mut attempts, |key, body| {
                        aes_cbc::open(key.expose(), body, &accept)
                    })
                }
                Provider::AesGcm(keys) => {
                    with_keys(kind, keys, body, &mut attempts, |key, body| {
                        key.gcm()
                            .ok_or_else(|| OpenCause::KeyLength(key.expose().len()))?
                            .open(path, body)
                    })
                }
                Provider::Secretbox(keys) => {
                    with_keys(kind, keys, body, &mut attempts, |key, body| {
                        secretbox::open(key.expose(), body)
                    })
                }
                Provider::KmsV1(name) | Provider::KmsV2(name) => {
                    let Some(body) = strip_name(body, name) else {
                        continue;
                    };
                    let step = if kind == ProviderKind::KmsV1 {
                        with_kms_v1(name, path, body, deks, &accept)
                    } else {
                        with_kms_v2(name, path, body, current, deks)
                    };
                    match step {
                        Ok(Step::Need(dek)) => return Step::Need(dek),
                        Ok(Step::Done(found)) => Some(found),
                        Err(cause) => {
                            attempts.push(Attempt::new(kind, Some(name), cause));
                            None
                        }
                    }
                }
            };
            if let Some(found) = found {
                return Step::Done(Ok(found.by(kind, index)));
            }
        }
        Step::Done(Err(self.failure(attempts)))
    }

    pub(super) fn failure(&self, attempts: Vec<Attempt>) -> OpenError {
        if !attempts.is_empty() {
            return OpenError::Attempts(attempts);
        }
        match self.providers[..] {
            [Provider::Identity] => OpenError::Encrypted,
            _ => OpenError::NoMatchingPrefix,
        }
    }
}

/// Tries every key whose name the body begins with.
fn with_keys(
    kind: ProviderKind,
    keys: &[NamedKey],
    body: &[u8],
    attempts: &mut Vec<Attempt>,
    open: impl Fn(&NamedKey, &[u8]) -> Result<Plaintext, OpenCause>,
) -> Option<Found> {
    let mut matching = 0;
    for (index, key) in keys.iter().enumerate() {
        let Some(body) = strip_name(body, key.name()) else {
            continue;
        };
        matching += 1;
        match open(key, body) {
            Ok(plaintext) => {
                let mut reasons = Reasons::default();
                reasons.add_if(index != 0, Reason::Key);
                return Some(Found {
                    plaintext,
                    written_with: WrittenWith::Key {
                        provider: kind,
                        name: Arc::clone(key.shared_name()),
                    },
                    reasons,
                    knowable: true,
                });
            }
            Err(cause) => attempts.push(Attempt::new(kind, Some(key.shared_name()), cause)),
        }
    }
    if matching == 0 {
        attempts.push(Attempt::no_matching_key(kind));
    }
    None
}

fn with_kms_v1(
    name: &KmsName,
    path: &[u8],
    body: &[u8],
    deks: &impl DekSources,
    accept: impl Fn(&[u8]) -> Result<(), NotAnObject>,
) -> Result<Step<Found>, OpenCause> {
    let (cipher, payload) = kms_v1::split(body)?;
    let dek = DekView::V1 {
        provider: name,
        cipher,
    };
    let Some(known) = deks.get(&dek) else {
        return Ok(Step::Need(dek.to_ref()));
    };
    let Known { reference, dek } = known.map_err(not_unwrapped)?;
    let kms_v1::Opened { plaintext, legacy } = kms_v1::open(dek.source(), path, payload, accept)?;
    let mut reasons = Reasons::default();
    reasons.add_if(legacy, Reason::LegacyPayload);
    Ok(Step::Done(Found {
        plaintext,
        written_with: WrittenWith::Dek(reference.clone()),
        reasons,
        knowable: false,
    }))
}

fn with_kms_v2(
    name: &KmsName,
    path: &[u8],
    body: &[u8],
    current: &CurrentKeys,
    deks: &impl DekSources,
) -> Result<Step<Found>, OpenCause> {
    let (data, known) = if let Some(found) = by_ending(name, body, deks) {
        found
    } else {
        let object = EncryptedObject::decode(body).map_err(OpenCause::Envelope)?;
        let data = object.encrypted_data();
        let dek = DekView::v2(name, object);
        let Some(known) = deks.get(&dek) else {
            return Ok(Step::Need(dek.to_ref()));
        };
        (data, known.map_err(not_unwrapped)?)
    };
    let Known { reference, dek } = known;
    let plaintext = kms_v2::open(dek, reference.kind(), path, data)?;
    let (reasons, knowable) = current.judge(reference);
    Ok(Step::Done(Found {
        plaintext,
        written_with: WrittenWith::Dek(reference.clone()),
        reasons,
        knowable,
    }))
}

/// The shortcut for values that end like the last one: their envelope need not be decoded.
fn by_ending<'v, 'd>(
    name: &KmsName,
    body: &'v [u8],
    deks: &'d impl DekSources,
) -> Option<(&'v [u8], Known<'d>)> {
    let (data, ending) = EncryptedObject::split(body)?;
    Some((data, deks.by_ending(name, ending)?))
}

fn not_unwrapped(error: &UnwrapError) -> OpenCause {
    OpenCause::Unwrap(error.clone())
}

/// A success, before it is known which provider of the rule it was.
struct Found {
    plaintext: Plaintext,
    written_with: WrittenWith,
    reasons: Reasons,
    knowable: bool,
}

impl Found {
    fn plain(plaintext: Plaintext) -> Self {
        Self {
            plaintext,
            written_with: WrittenWith::Nothing,
            reasons: Reasons::default(),
            knowable: true,
        }
    }

    fn by(self, provider: ProviderKind, index: usize) -> Opened {
        let Self {
            plaintext,
            written_with,
            reasons,
            knowable,
        } = self;
        Opened {
            plaintext,
            written_with,
            state: State::of(provider, index, reasons, knowable),
        }
    }
}
