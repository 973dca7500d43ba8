//! The little of a kubeconfig that is needed to read one object.

use std::{
    io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::config::{ReadError, read};

/// A client certificate and its key.
pub(super) type ClientPem = (Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>);

/// Credentials of the current context, as PEM and bytes.
pub(super) struct Context {
    pub(super) ca: Option<Zeroizing<Vec<u8>>>,
    pub(super) client: Option<ClientPem>,
    pub(super) token: Option<Zeroizing<Vec<u8>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    current_context: String,
    #[serde(default)]
    contexts: Vec<NamedContext>,
    #[serde(default)]
    clusters: Vec<NamedCluster>,
    #[serde(default)]
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: ContextRef,
}

#[derive(Deserialize)]
struct ContextRef {
    cluster: String,
    user: String,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Cluster {
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: User,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    #[serde(rename = "client-certificate")]
    client_certificate: Option<PathBuf>,
    #[serde(rename = "client-certificate-data")]
    client_certificate_data: Option<String>,
    #[serde(rename = "client-key")]
    client_key: Option<PathBuf>,
    #[serde(rename = "client-key-data")]
    client_key_data: Option<Zeroizing<String>>,
    token: Option<Zeroizing<String>>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
}

/// Reads the current context of a kubeconfig.
pub(super) fn current_context(bytes: &[u8]) -> Result<Context, KubeconfigError> {
    let text = str::from_utf8(bytes).map_err(|_| KubeconfigError::Malformed { line: None })?;
    let options = serde_saphyr::options! { with_snippet: false };
    let File {
        current_context,
        contexts,
        clusters,
        users,
    } = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        // No word of the parser's is kept: it may quote the line with a key.
        let line = error.location().map(|location| location.line());
        KubeconfigError::Malformed { line }
    })?;
    let context = contexts
        .into_iter()
        .find(|named| named.name == current_context)
        .ok_or(KubeconfigError::Missing("current-context"))?
        .context;
    let cluster = clusters
        .into_iter()
        .find(|named| named.name == context.cluster)
        .ok_or(KubeconfigError::Missing("cluster of the current context"))?
        .cluster;
    let user = users
        .into_iter()
        .find(|named| named.name == context.user)
        .ok_or(KubeconfigError::Missing("user of the current context"))?
        .user;
    Ok(Context {
        ca: data_or_file(
            "certificate-authority-data",
            cluster.certificate_authority_data.as_deref(),
            cluster.certificate_authority.as_deref(),
        )?,
        client: client(&user)?,
        token: token(user)?,
    })
}

fn client(user: &User) -> Result<Option<ClientPem>, KubeconfigError> {
    let cert = data_or_file(
        "client-certificate-data",
        user.client_certificate_data.as_deref(),
        user.client_certificate.as_deref(),
    )?;
    let key = data_or_file(
        "client-key-data",
        user.client_key_data.as_ref().map(|data| data.as_str()),
        user.client_key.as_deref(),
    )?;
    Ok(cert.zip(key))
}

fn token(user: User) -> Result<Option<Zeroizing<Vec<u8>>>, KubeconfigError> {
    match (user.token, user.token_file) {
        (Some(token), _) => Ok(Some(Zeroizing::new(token.as_bytes().to_vec()))),
        (None, Some(path)) => read_named("tokenFile", &path).map(Some),
        (None, None) => Ok(None),
    }
}

/// kubectl's own order: inlined data, of the field of this name, wins over a file.
fn data_or_file(
    field: &'static str,
    data: Option<&str>,
    path: Option<&Path>,
) -> Result<Option<Zeroizing<Vec<u8>>>, KubeconfigError> {
    match (data, path) {
        (Some(data), _) => STANDARD
            .decode(data.trim())
            .map(|bytes| Some(Zeroizing::new(bytes)))
            .map_err(|_| KubeconfigError::Base64(field)),
        (None, Some(path)) => read_named(field.trim_end_matches("-data"), path).map(Some),
        (None, None) => Ok(None),
    }
}

fn read_named(field: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, KubeconfigError> {
    read(path).map_err(|error| KubeconfigError::File {
        field,
        source: match error {
            ReadError::Io { source, .. } => source,
            ReadError::TooLarge(_) => io::Error::other("it is larger than 1 MiB"),
        },
    })
}

/// Why a kubeconfig gives no credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KubeconfigError {
    /// A field whose data is no base64.
    #[error("its {0} is no base64")]
    Base64(&'static str),
    /// A file it names could not be read. Its path is not told: where a key stands in the field for a
    /// file, the path is the key.
    #[error("the file that its {field} names cannot be read")]
    File {
        /// Which file.
        field: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Not YAML of a kubeconfig.
    #[error("it is no valid kubeconfig{}", line.map_or_else(String::new, |line| format!(" (line {line})")))]
    Malformed {
        /// Where, counted from 1, if it is known.
        line: Option<u64>,
    },
    /// Something that is needed is not there.
    #[error("it has no {0}")]
    Missing(&'static str),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        chain::Chain,
        damage::{damaged, tells},
    };

    const CONFIG: &str = "
current-context: a
contexts: [{name: a, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: 'https://x', certificate-authority-data: Q0E=}}]
users: [{name: u, user: {token: t0ken}}]
";

    #[test]
    fn the_current_context_is_read() {
        let context = current_context(CONFIG.as_bytes()).unwrap();
        assert_eq!(context.ca.unwrap().as_slice(), b"CA");
        assert_eq!(context.token.unwrap().as_slice(), b"t0ken");
        assert!(context.client.is_none());
    }

    #[test]
    fn what_is_missing_is_named_and_nothing_is_quoted() {
        let error = |text: &str| current_context(text.as_bytes()).err().unwrap().to_string();
        assert_eq!(
            error(&CONFIG.replace("user: u", "user: v")),
            "it has no user of the current context"
        );
        assert_eq!(
            error("users: [{name: u, user: {token: [t0ken]}}]"),
            "it is no valid kubeconfig (line 1)"
        );
        assert_eq!(
            error(&CONFIG.replace("Q0E=", "Q0E")),
            "its certificate-authority-data is no base64"
        );
    }

    #[test]
    fn a_key_in_the_place_of_a_file_is_not_quoted() {
        let config = with_secrets().replace("client-key-data", "client-key");
        let error = current_context(config.as_bytes()).err().unwrap();
        let said = Chain(&error).to_string();
        assert!(
            said.starts_with("the file that its client-key names cannot be read: No such file")
        );
        assert!(!tells(&format!("{said} {error:?}"), KEY));
    }

    const SECRET: &str = "h4nt3r-2x-h4nt3r-2y";
    /// The base64 of a secret.
    const KEY: &str = "aDRudDNyLTJ4LWg0bnQzci0yeQ==";

    fn with_secrets() -> String {
        let user =
            format!("token: {SECRET}, client-certificate-data: Q0E=, client-key-data: {KEY}");
        CONFIG.replace("token: t0ken", &user)
    }

    fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
        if let Err(error) = current_context(bytes) {
            let said = format!("{} {error:?}", Chain(&error));
            prop_assert!(!tells(&said, SECRET) && !tells(&said, KEY), "{said}");
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn a_damaged_file_never_panics_and_is_never_quoted(bytes in damaged(with_secrets())) {
            check(&bytes)?;
        }

        #[test]
        fn nor_does_any_other(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            check(&bytes)?;
        }
    }

    #[test]
    fn the_file_that_is_damaged_is_good() {
        let context = current_context(with_secrets().as_bytes()).unwrap();
        assert_eq!(context.token.unwrap().as_slice(), SECRET.as_bytes());
        assert_eq!(context.client.unwrap().1.as_slice(), SECRET.as_bytes());
    }
}
