//! What a transit engine says of a key.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The types of key that authenticate associated data. OpenBao has the last.
const AEADS: [&str; 4] = [
    "aes256-gcm96",
    "aes128-gcm96",
    "chacha20-poly1305",
    "xchacha20-poly1305",
];

/// The properties of a key.
#[derive(Deserialize)]
pub(super) struct Key {
    #[serde(rename = "type")]
    kind: String,
    derived: bool,
    latest_version: u64,
    /// The second of each version's making, for the types that are of use here.
    keys: BTreeMap<String, Value>,
    exportable: bool,
    deletion_allowed: bool,
    allow_plaintext_backup: bool,
}

impl Key {
    /// The latest version, and the second of its making.
    ///
    /// # Errors
    /// Why the key is of no use here.
    pub(super) fn latest(&self) -> Result<(u64, u64), String> {
        let Self {
            kind,
            derived,
            latest_version,
            keys,
            ..
        } = self;
        if !AEADS.contains(&kind.as_str()) {
            return Err(format!(
                "a key of type {kind} does not bind a ciphertext to its place; make one of type {}",
                AEADS[0]
            ));
        }
        if *derived {
            return Err("the key is derived; make one without `derived`".to_owned());
        }
        keys.get(&latest_version.to_string())
            .and_then(Value::as_u64)
            .map(|made| (*latest_version, made))
            .ok_or_else(|| {
                format!("does not say when version {latest_version} of the key was made")
            })
    }

    /// What an operator will regret.
    pub(super) fn regrets(&self) -> Vec<String> {
        let Self {
            kind,
            exportable,
            deletion_allowed,
            allow_plaintext_backup,
            ..
        } = self;
        let mut regrets = Vec::new();
        let mut say = |is: bool, what: &str| {
            if is {
                regrets.push(what.to_owned());
            }
        };
        say(
            *exportable,
            "the key is exportable: whoever may export it can decrypt without Vault, and this cannot be undone; make another key",
        );
        say(
            *allow_plaintext_backup,
            "the key has allow_plaintext_backup: whoever may back it up can decrypt without Vault, and this cannot be undone; make another key",
        );
        say(
            *deletion_allowed,
            "the key has deletion_allowed: one call can destroy it, and all that it protects; set it to false",
        );
        say(
            kind == "aes128-gcm96",
            "the key has 128 bits and wraps keys of 256; make one of type aes256-gcm96",
        );
        regrets
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As Vault 1.21 answers.
    fn key(changes: &[(&str, Value)]) -> Key {
        let mut key = json!({
            "allow_plaintext_backup": false, "auto_rotate_period": 0, "deletion_allowed": false,
            "derived": false, "exportable": false, "imported_key": false,
            "keys": {"2": 1_795_546_118, "3": 1_795_546_119}, "latest_version": 3,
            "min_available_version": 0, "min_decryption_version": 2, "min_encryption_version": 0, "name": "k",
            "supports_decryption": true, "supports_derivation": true, "supports_encryption": true,
            "supports_signing": false, "type": "aes256-gcm96"
        });
        for (field, value) in changes {
            key[*field] = value.clone();
        }
        serde_json::from_value(key).unwrap()
    }

    #[test]
    fn a_version_has_a_number_and_a_time() {
        assert_eq!(key(&[]).latest(), Ok((3, 1_795_546_119)));
        assert_eq!(key(&[]).regrets(), [""; 0]);
    }

    #[test]
    fn a_key_that_cannot_bind_is_of_no_use() {
        let rsa = [
            ("type", json!("rsa-2048")),
            (
                "keys",
                json!({"3": {"creation_time": "2026-11-24T18:48:38Z"}}),
            ),
        ];
        for (changes, reason) in [
            (&rsa[..], "of type rsa-2048"),
            (&[("derived", json!(true))], "is derived"),
            (&[("latest_version", json!(4))], "when version 4"),
        ] {
            let refused = key(changes).latest().unwrap_err();
            assert!(refused.contains(reason), "{refused}");
        }
    }

    #[test]
    fn what_gives_the_key_away_is_regretted() {
        for (field, value) in [
            ("exportable", json!(true)),
            ("allow_plaintext_backup", json!(true)),
            ("deletion_allowed", json!(true)),
            ("type", json!("aes128-gcm96")),
        ] {
            assert_eq!(key(&[(field, value)]).regrets().len(), 1, "{field}");
        }
    }
}
