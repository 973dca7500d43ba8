//! A root for tests.

use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::root::remote::{RemoteRoot, RootError, RootVersion};

/// A root in this process that does as it is told. What real roots answer is tried with real ones; this is for
/// what follows from their answers.
#[derive(Debug, Clone)]
pub(super) struct Puppet(Arc<Mutex<Strings>>);

#[derive(Debug)]
struct Strings {
    kind: &'static str,
    key: [u8; 32],
    version: u32,
    /// The version whose work it refuses to open, if any.
    retired: Option<u32>,
    is_offline: bool,
    mood: Mood,
    calls: Vec<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    Silent,
    Refusing,
    /// To unwrap, and nothing else.
    WrapsOnly,
    /// Of its key it tells, and of nothing else.
    TellsOnly,
    /// Silent where it is to unwrap.
    Forgetful,
}

impl Puppet {
    pub(super) fn new(seed: u8) -> Self {
        Self::of("puppet", seed)
    }

    pub(super) fn of(kind: &'static str, seed: u8) -> Self {
        Self(Arc::new(Mutex::new(Strings {
            kind,
            key: [seed; 32],
            version: 1,
            retired: None,
            is_offline: false,
            mood: Mood::Well,
            calls: Vec::new(),
        })))
    }

    /// One that wraps only, and is never away.
    pub(super) fn offline(seed: u8) -> Self {
        let puppet = Self::new(seed);
        puppet.0.lock().unwrap().is_offline = true;
        puppet
    }

    pub(super) fn set(&self, mood: Mood) {
        self.0.lock().unwrap().mood = mood;
    }

    pub(super) fn rotate(&self) {
        self.0.lock().unwrap().version += 1;
    }

    /// Deletes its key and makes another, which looks the same from outside.
    pub(super) fn replace(&self) {
        self.0.lock().unwrap().key[1] ^= 1;
    }

    pub(super) fn retire(&self, version: u32) {
        self.0.lock().unwrap().retired = Some(version);
    }

    pub(super) fn count(&self, call: &str) -> usize {
        let strings = self.0.lock().unwrap();
        strings.calls.iter().filter(|other| **other == call).count()
    }

    fn call(&self, call: &'static str) -> Result<(Sealer, RootVersion), RootError> {
        let mut strings = self.0.lock().unwrap();
        strings.calls.push(call);
        match strings.mood {
            Mood::Silent => return Err(RootError::unreachable("told to be silent")),
            // Reading of the key is allowed still.
            Mood::Refusing if call != "version" => {
                return Err(RootError::Refused {
                    what: "told to refuse".to_owned(),
                });
            }
            Mood::WrapsOnly if call == "unwrap" => {
                return Err(RootError::Refused {
                    what: "told to wrap only".to_owned(),
                });
            }
            Mood::TellsOnly if call != "version" => {
                return Err(RootError::unreachable("told to tell only"));
            }
            Mood::Forgetful if call == "unwrap" => {
                return Err(RootError::unreachable("told to forget"));
            }
            _ => {}
        }
        let key = format!("k{}", strings.key[0]);
        let version = RootVersion::new(strings.kind, &key, &strings.version.to_string());
        Ok((
            Sealer::new(&strings.key, b"puppet", "puppet"),
            version.unwrap(),
        ))
    }
}

fn place(binding: &Binding) -> KeyId {
    format!("{}/{:?}", binding.context, binding.kek)
        .parse()
        .unwrap()
}

#[async_trait]
impl RemoteRoot for Puppet {
    fn kind(&self) -> &'static str {
        self.0.lock().unwrap().kind
    }

    fn is_offline(&self) -> bool {
        self.0.lock().unwrap().is_offline
    }

    async fn version(&self) -> Result<RootVersion, RootError> {
        Ok(self.call("version")?.1)
    }

    async fn wrap(&self, kek: &KeyMaterial, binding: &Binding) -> Result<WrappedKek, RootError> {
        let (sealer, version) = self.call("wrap")?;
        let key = DekSource::new(kek.expose().to_vec());
        let wrapped = sealer.wrap(&key, place(binding), Annotations::default());
        Ok(WrappedKek {
            version,
            ciphertext: wrapped.unwrap().ciphertext.as_bytes().to_vec(),
        })
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedKek,
        binding: &Binding,
    ) -> Result<KeyMaterial, RootError> {
        // What is plainly none of its own it does not even ask about.
        if wrapped.ciphertext.len() < 32 {
            return Err(RootError::Corrupt {
                what: "too short".to_owned(),
            });
        }
        let (sealer, _) = self.call("unwrap")?;
        let retired = self.0.lock().unwrap().retired;
        if retired.is_some_and(|version| wrapped.version.as_str().ends_with(&format!("#{version}")))
        {
            return Err(RootError::Refused {
                what: "that version is retired".to_owned(),
            });
        }
        let source = EncryptedDekSource {
            ciphertext: wrapped.ciphertext.clone().try_into().unwrap(),
            key_id: place(binding),
            annotations: Annotations::default(),
        };
        let opened = sealer.unwrap(&source).map_err(|_| RootError::Corrupt {
            what: "not mine".to_owned(),
        })?;
        Ok(KeyMaterial::new(Box::new(
            opened.expose().try_into().unwrap(),
        )))
    }

    async fn review(&self) -> Result<Vec<String>, RootError> {
        Ok(Vec::new())
    }
}
