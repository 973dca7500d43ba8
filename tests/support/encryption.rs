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
    /// A KMS v2 plugin: the provider's name and the plugin's socket.
    Kms(&'a str, &'a Path),
    /// The same, with a `timeout`.
    KmsWithin(&'a str, &'a Path, &'a str),
    /// A KMS v1 plugin, likewise.
    KmsV1(&'a str, &'a Path),
}

/// The 32 bytes of the key with this name.
pub(crate) fn secret(name: &str) -> [u8; 32] {
    Sha256::digest(name).into()
}

/// Puts an EncryptionConfiguration in place of `file`, in one step as an apiserver that watches it
/// should see it.
pub(crate) fn write(file: &Path, resources: &[&str], providers: &[Provider<'_>]) {
    let mut text = String::from(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources:\n",
    );
    for resource in resources {
        text += &format!("  - '{resource}'\n");
    }
    text += "  providers:\n";
    for provider in providers {
        text += &match provider {
            Provider::Identity => "  - identity: {}\n".to_owned(),
            Provider::AesCbc(name) => keyed("aescbc", name),
            Provider::AesGcm(name) => keyed("aesgcm", name),
            Provider::Kms(name, socket) => kms("v2", name, socket),
            Provider::KmsWithin(name, socket, timeout) => {
                kms("v2", name, socket) + &format!("      timeout: {timeout}\n")
            }
            Provider::KmsV1(name, socket) => kms("v1", name, socket),
        };
    }
    let next = file.with_extension("next");
    fs::write(&next, text).unwrap();
    fs::rename(&next, file).unwrap();
}

fn keyed(provider: &str, name: &str) -> String {
    let secret = BASE64_STANDARD.encode(secret(name));
    format!("  - {provider}:\n      keys:\n      - name: '{name}'\n        secret: {secret}\n")
}

fn kms(version: &str, name: &str, socket: &Path) -> String {
    let socket = socket.display();
    format!(
        "  - kms:\n      apiVersion: {version}\n      name: '{name}'\n      endpoint: unix://{socket}\n"
    )
}
