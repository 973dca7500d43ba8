use std::time::Duration;

use crate::stored::GroupResource;

/// What there is to regret: why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Regret {
    /// No entry covers Secrets.
    #[error("no entry covers secrets: they are stored in plain text; add secrets to an entry")]
    SecretsNotCovered,
    /// Identity writes Secrets.
    #[error(
        "identity comes first: new and changed secrets are stored in plain text; put what shall \
         encrypt them before it"
    )]
    SecretsInPlainText,
    /// Identity writes although something that encrypts stands behind it.
    #[error(
        "identity comes first: new and changed objects are stored in plain text, and what stands \
         behind it only reads; put what shall encrypt them before it"
    )]
    PlainText,
    /// aescbc writes.
    #[error(
        "aescbc writes here; it is not authenticated: who can write to etcd can alter what is \
         stored, and learn it; put kms v2 or secretbox before it and rewrap"
    )]
    AesCbcWrites,
    /// aesgcm writes.
    #[error(
        "aesgcm writes here; its random nonces allow about 200,000 writes a key, then the key must be \
         rotated; prefer kms v2 or secretbox"
    )]
    AesGcmWrites,
    /// kms v1.
    #[error("kms v1 is deprecated and off by default since Kubernetes 1.29; move to kms v2")]
    KmsV1,
    /// No socket can be behind the endpoint.
    #[error("the endpoint has no absolute path; write it as unix:///path/to/socket")]
    NoSocketPath,
    /// An abstract socket.
    #[error(
        "an abstract socket has no owner and no mode: whoever shares the network namespace can take \
         the name, or ask the plugin; use unix:///path/to/socket"
    )]
    AbstractSocket,
    /// A call may take longer than kube-apiserver waits for a new configuration.
    #[error(
        "a call may take {} s: while the plugin is away a health check hangs as long, and after a \
         change of the file kube-apiserver waits up to {} s (twice the sum of all timeouts) for it; the \
         default is 3s",
        timeout.as_secs(), grace.as_secs()
    )]
    SlowKms {
        /// Of the provider.
        timeout: Duration,
        /// Of the whole file.
        grace: Duration,
    },
    /// Two kms v1 providers, or one behind a kms v2 provider, of one name.
    #[error(
        "the KMS provider at {0} has the same name; nothing tells whose a value is, and with \
         --encryption-provider-config-automatic-reload the file is refused; give it a name of its own"
    )]
    SameKmsName(String),
    /// The same key under two names.
    #[error(
        "the key {name:?} is the same as {other:?} at {at}: a rotation from one to the other changes \
         nothing; make a new key"
    )]
    SameKey {
        /// The name here.
        name: String,
        /// The name there.
        other: String,
        /// Where.
        at: String,
    },
    /// The same key for two ciphers.
    #[error(
        "the key {name:?} is the same as that of {cipher} at {at}; a key is for one cipher only: make a \
         new one"
    )]
    SameKeyOtherCipher {
        /// The name here.
        name: String,
        /// The provider there.
        cipher: &'static str,
        /// Where.
        at: String,
    },
    /// Two keys under one name.
    #[error(
        "the name {name:?} stands for another key at {at}; values carry nothing but the name, so \
         nothing tells which of them protects what; give each key a name of its own"
    )]
    SameName {
        /// The name of both.
        name: String,
        /// Where the other stands.
        at: String,
    },
    /// A name with a blank in it.
    #[error(
        "there is a blank in the name, and in that of no resource: this line has no effect; take it \
         out"
    )]
    BlankInName,
    /// A name that no resource has.
    #[error(
        "no resource has such a name: this line has no effect; {}",
        meant.as_ref().map_or_else(
            || "write it as secrets or deployments.apps, see kubectl api-resources".to_owned(),
            |meant| format!("did you mean {meant}?")
        )
    )]
    InertName {
        /// What may have been meant.
        meant: Option<GroupResource>,
    },
    /// A resource that is served, but not stored or not encrypted.
    #[error(
        "kube-apiserver does not store such objects, or never encrypts them: this line has no effect; \
         take it out"
    )]
    NeverEncrypted,
    /// Objects that this configuration cannot read.
    #[error(
        "{objects} stored {resource} are under {key}, which cannot be read with this file: kube-apiserver \
         would fail to list them; add it as the last provider or key, or rewrap them first"
    )]
    StillNeeded {
        /// Of which resource.
        resource: String,
        /// How many.
        objects: u64,
        /// Provider and name.
        key: String,
    },
}
