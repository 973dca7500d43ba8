//! EncryptionConfigurations, as an operator would write them.

use std::{fs, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

/// One provider of an EncryptionConfiguration.
#[derive(Clone, Copy)]
pub(crate) enum Provider<'a> {
    /// Nothing encrypts.
    Identity,
    /// `aescbc` with the [`secret`] of this key.
    AesCbc(&'a str),
    /// `aesgcm` with the [`secret`] of this key.
    AesGcm(&'a str),
    /// A local transformer with these keys.
    Local(Local, &'a [Key<'a>]),
    /// A KMS v2 plugin: the provider's name and the plugin's socket.
    Kms(&'a str, &'a Path),
    /// The same, with a `timeout`.
    KmsWithin(&'a str, &'a Path, &'a str),
    /// A KMS v1 plugin, likewise.
    KmsV1(&'a str, &'a Path),
}

/// The transformers that have their keys in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Local {
    AesCbc,
    AesGcm,
    Secretbox,
}

/// A key of a [`Local`] transformer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key<'a> {
    /// Its name in the file.
    pub(crate) name: &'a str,
    /// The name whose [`secret`] it has.
    pub(crate) secret: &'a str,
    /// How much of that.
    pub(crate) bytes: usize,
}

impl<'a> Key<'a> {
    /// A key of 32 bytes with the secret of its own name.
    pub(crate) const fn new(name: &'a str) -> Self {
        Self::with(name, name)
    }

    /// A key of 32 bytes with the secret of another name.
    pub(crate) const fn with(name: &'a str, secret: &'a str) -> Self {
        Self {
            name,
            secret,
            bytes: 32,
        }
    }
}

/// One entry of an EncryptionConfiguration: resources and their providers.
pub(crate) type Entry<'a> = (&'a [&'a str], &'a [Provider<'a>]);

/// The 32 bytes of the key with this name.
pub(crate) fn secret(name: &str) -> [u8; 32] {
    Sha256::digest(name).into()
}

/// Puts an EncryptionConfiguration of one entry in place of `file`, in one step as an apiserver that
/// watches it should see it.
pub(crate) fn write(file: &Path, resources: &[&str], providers: &[Provider<'_>]) {
    write_entries(file, &[(resources, providers)]);
}

/// The same with all these entries.
pub(crate) fn write_entries(file: &Path, entries: &[Entry<'_>]) {
    let mut text = String::from(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n",
    );
    for (resources, providers) in entries {
        text += "- resources:\n";
        for resource in *resources {
            text += &format!("  - '{resource}'\n");
        }
        text += "  providers:\n";
        text.extend(providers.iter().copied().map(element));
    }
    let next = file.with_extension("next");
    fs::write(&next, text).unwrap();
    fs::rename(&next, file).unwrap();
}

/// A provider as an element of a list.
fn element(provider: Provider<'_>) -> String {
    match provider {
        Provider::Identity => "  - identity: {}\n".to_owned(),
        Provider::AesCbc(name) => keyed(Local::AesCbc, &[Key::new(name)]),
        Provider::AesGcm(name) => keyed(Local::AesGcm, &[Key::new(name)]),
        Provider::Local(transformer, keys) => keyed(transformer, keys),
        Provider::Kms(name, socket) => kms("v2", name, socket),
        Provider::KmsWithin(name, socket, timeout) => {
            kms("v2", name, socket) + &format!("      timeout: {timeout}\n")
        }
        Provider::KmsV1(name, socket) => kms("v1", name, socket),
    }
}

fn keyed(transformer: Local, keys: &[Key<'_>]) -> String {
    let transformer = match transformer {
        Local::AesCbc => "aescbc",
        Local::AesGcm => "aesgcm",
        Local::Secretbox => "secretbox",
    };
    let mut text = format!("  - {transformer}:\n      keys:\n");
    for key in keys {
        let secret = BASE64_STANDARD.encode(&secret(key.secret)[..key.bytes]);
        text += &format!("      - name: '{}'\n        secret: {secret}\n", key.name);
    }
    text
}

fn kms(version: &str, name: &str, socket: &Path) -> String {
    let socket = socket.display();
    format!(
        "  - kms:\n      apiVersion: {version}\n      name: '{name}'\n      endpoint: unix://{socket}\n"
    )
}
