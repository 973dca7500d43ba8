//! The settings of a PKCS#11 root.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::config::{ConfigError, absolute, duration, field, is_label, require};

/// `CKA_LABEL` may be longer; more does not fit into a [`RootVersion`](crate::root::remote::RootVersion).
const MAX_LABEL_LEN: usize = 64;
const MAX_ENCODED_LABEL_LEN: usize = 96;
/// In bytes, not in digits.
const MAX_ID_LEN: usize = 32;
/// The lengths of the fields of a token, blank-padded (PKCS#11 3.1, `CK_TOKEN_INFO`).
const MAX_TOKEN_LABEL_LEN: usize = 32;
const MAX_SERIAL_LEN: usize = 16;
const DEFAULT_TIMEOUT: &str = "10s";
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(100);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Which key of which token, by which module, and how to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The vendor's shared object: absolute.
    pub module: PathBuf,
    /// Which token.
    pub token: Token,
    /// Which keys of it.
    pub key: Key,
    /// How local KEKs are wrapped.
    pub mechanism: Mechanism,
    /// The file that holds the user PIN: absolute.
    pub pin_file: PathBuf,
    /// The whole environment of the module.
    pub environment: BTreeMap<String, String>,
    /// How long the module may take to load, and how long to answer.
    pub timeout: Duration,
}

/// How the token is found among those that the module shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Token {
    /// By its label.
    Label(String),
    /// By its serial number.
    Serial(String),
}

/// The versions of one key: AES keys of one label, told apart by `CKA_ID`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// `CKA_LABEL` of all versions.
    pub label: String,
    /// `CKA_ID` of those that are used, in lower-case hexadecimal digits; the first wraps. If empty, all
    /// with the label are used, and the one with the highest number wraps.
    pub ids: Vec<String>,
}

/// How a token wraps a local KEK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// AES-GCM (`CKM_AES_GCM`), bound by authenticated data.
    AesGcm,
    /// AES key wrap (`CKM_AES_KEY_WRAP`, RFC 3394) of the local KEK, a hash of what it is bound to and random
    /// bytes: ten blocks of 64 bits, so that no padding is needed, on whose form vendors differ.
    AesKeyWrap,
    /// AES-GCM where token and key allow it, else AES key wrap.
    Auto,
}

/// What may be written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Written {
    module: PathBuf,
    token_label: Option<String>,
    token_serial: Option<String>,
    key_label: String,
    #[serde(default)]
    key_ids: Vec<String>,
    mechanism: Option<Mechanism>,
    pin_file: PathBuf,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    timeout: Option<String>,
}

impl Written {
    /// What may be relied on; `at` is where this stands in the file.
    pub(crate) fn check(self, at: &str) -> Result<Config, ConfigError> {
        let name = |field: &str| format!("{at}.{field}");
        let token = match (self.token_label, self.token_serial) {
            (Some(label), None) => {
                words(&label, MAX_TOKEN_LABEL_LEN, name("tokenLabel"))?;
                Token::Label(label)
            }
            (None, Some(serial)) => {
                words(&serial, MAX_SERIAL_LEN, name("tokenSerial"))?;
                Token::Serial(serial)
            }
            _ => {
                return Err(field(
                    at,
                    "must have either `tokenLabel` or `tokenSerial`; `pkcs11-tool --module FILE --list-token-slots` shows both",
                ));
            }
        };
        words(&self.key_label, MAX_LABEL_LEN, name("keyLabel"))?;
        require(
            escape(&self.key_label).len() <= MAX_ENCODED_LABEL_LEN,
            name("keyLabel"),
            || "has too many characters that are neither letters nor digits".to_owned(),
        )?;
        let mut ids: Vec<String> = Vec::with_capacity(self.key_ids.len());
        for (index, written) in self.key_ids.into_iter().enumerate() {
            let at = name(&format!("keyIds[{index}]"));
            let id = written.to_ascii_lowercase();
            let whole = hex::decode(&id).is_ok_and(|bytes| (1..=MAX_ID_LEN).contains(&bytes.len()));
            require(whole, at.as_str(), || {
                format!(
                    "must be 1 to {MAX_ID_LEN} bytes in hexadecimal digits, quoted, such as \"01\""
                )
            })?;
            require(!ids.contains(&id), at, || "is listed already".to_owned())?;
            ids.push(id);
        }
        for (variable, value) in &self.environment {
            let sound =
                !variable.is_empty() && !variable.contains(['=', '\0']) && !value.contains('\0');
            require(sound, name("environment"), || {
                "must map names without `=` to values".to_owned()
            })?;
        }
        let timeout = duration(self.timeout.as_deref().unwrap_or(DEFAULT_TIMEOUT))
            .filter(|timeout| (SHORTEST_TIMEOUT..=LONGEST_TIMEOUT).contains(timeout))
            .ok_or_else(|| {
                field(
                    name("timeout"),
                    "must be a number and ms, s or m, from 100ms to 1m, such as 10s",
                )
            })?;
        Ok(Config {
            module: absolute(self.module, name("module"))?,
            token,
            key: Key {
                label: self.key_label,
                ids,
            },
            mechanism: self.mechanism.unwrap_or(Mechanism::Auto),
            pin_file: absolute(self.pin_file, name("pinFile"))?,
            environment: self.environment,
            timeout,
        })
    }
}

fn words(text: &str, max_len: usize, at: String) -> Result<(), ConfigError> {
    require(is_label(text, max_len), at, || {
        format!("must have 1 to {max_len} printable ASCII characters and no space at either end")
    })
}

/// A label or serial number as it stands in a [`RootVersion`](crate::root::remote::RootVersion): whatever could
/// be mistaken there is percent-encoded (RFC 3986).
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(byte.into());
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
