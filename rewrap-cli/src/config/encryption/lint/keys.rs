//! Keys that are called by two names, and names that two keys are called by.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::Regret;
use crate::stored::NamedKey;

/// SHA-256 of a key: keys themselves are not compared.
type Digested = [u8; 32];

/// The keys so far.
#[derive(Default)]
pub(super) struct Keys {
    /// Where the key of a provider and name first stood, and what it is.
    names: HashMap<(&'static str, String), (Digested, String)>,
    /// Where a key first stood: its provider, name and place.
    materials: HashMap<Digested, (&'static str, String, String)>,
}

impl Keys {
    /// What there is to regret about the next key.
    pub(super) fn add(&mut self, provider: &'static str, key: &NamedKey, at: &str) -> Vec<Regret> {
        let name = key.name().to_owned();
        let digest: Digested = Sha256::digest(key.expose()).into();
        let mut regrets = Vec::new();
        let named = self.names.entry((provider, name.clone()));
        let (known, place) = named.or_insert_with(|| (digest, at.to_owned()));
        if *known != digest {
            regrets.push(Regret::SameName {
                name: name.clone(),
                at: place.clone(),
            });
        }
        let material = self.materials.entry(digest);
        let (cipher, other, place) =
            material.or_insert_with(|| (provider, name.clone(), at.to_owned()));
        let at = place.clone();
        if *cipher != provider {
            regrets.push(Regret::SameKeyOtherCipher { name, cipher, at });
        } else if *other != name {
            let other = other.clone();
            regrets.push(Regret::SameKey { name, other, at });
        }
        regrets
    }
}
