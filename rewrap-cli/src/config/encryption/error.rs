use std::fmt;

use crate::config::yaml::SyntaxError;

/// Why kube-apiserver would refuse a file: every finding, in the order in which it looks.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub(super) Vec<ConfigError>);

impl ConfigErrors {
    /// The findings; there is at least one.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigErrors {
    /// One finding a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// One finding.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub(super) path: String,
    pub(super) line: Option<u32>,
    pub(super) problem: Problem,
}

impl ConfigError {
    /// The field as Kubernetes prints it, such as `resources[0].providers[1].aescbc.keys[0].secret`;
    /// empty where the whole file is meant.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The line, counted from 1, where it is known.
    pub fn line(&self) -> Option<u32> {
        self.line
    }

    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl fmt::Display for ConfigError {
    /// `<path>: <what Kubernetes says> (line <n>)`; values stand as `REDACTED`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            problem,
        } = self;
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        f.write_str(problem.class())?;
        write!(f, "{problem}")?;
        match line {
            Some(line) => write!(f, " (line {line})"),
            None => Ok(()),
        }
    }
}

/// What can be wrong with a file. The texts are Kubernetes' own where it has one that shows nothing of
/// the file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// No byte in it.
    #[error("the encryption provider configuration file is empty")]
    Empty,
    /// Neither JSON nor YAML.
    #[error("{0}")]
    Syntax(SyntaxError),
    /// No `kind`, or it is empty.
    #[error("the kind is not set; it should be EncryptionConfiguration")]
    MissingKind,
    /// No `apiVersion`, or it is empty.
    #[error("the apiVersion is not set; it should be apiserver.config.k8s.io/v1")]
    MissingVersion,
    /// A kind that is no EncryptionConfiguration.
    #[error("the kind is not EncryptionConfiguration of apiserver.config.k8s.io/v1")]
    WrongKind,
    /// A value of another type than the field's.
    #[error("cannot unmarshal {found} into a field of type {wanted}")]
    Type {
        /// The type in the file.
        found: &'static str,
        /// The type of the field.
        wanted: &'static str,
    },
    /// A string that is no Go duration.
    #[error("the duration is not valid; write it as 3s, 100ms or 1m30s")]
    Duration,
    /// A field that the schema does not have; refused since Kubernetes 1.31.
    #[error("unknown field; known here: {}", .0.join(", "))]
    UnknownField(&'static [&'static str]),
    /// A key that stands twice in one mapping; refused since Kubernetes 1.31.
    #[error("a key is already set in its mapping")]
    DuplicateField,
    /// An empty list.
    #[error("at least one {0} is required")]
    AtLeastOne(&'static str),
    /// A string that must not be empty.
    #[error("{0} is a mandatory field for a {1}")]
    Mandatory(&'static str, &'static str),
    /// An element of `providers` with no kind.
    #[error(
        "provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity"
    )]
    NoProvider,
    /// An element of `providers` with several kinds.
    #[error(
        "more than one provider specified in a single element, should split into different list elements"
    )]
    SeveralProviders,
    /// A secret that is not standard base64 with padding.
    #[error("secrets must be base64 encoded")]
    Base64,
    /// A key of another length than the cipher takes.
    #[error("secret is not of the expected length, got {got}, expected one of {expected:?}")]
    KeyLength {
        /// Bytes after decoding.
        got: usize,
        /// What the cipher takes.
        expected: &'static [usize],
    },
    /// A name with an upper-case letter.
    #[error("resource name should not contain capital letters")]
    CapitalLetters,
    /// `*` alone.
    #[error(
        "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources"
    )]
    Star,
    /// A resource that only etcd knows.
    #[error("resources which do not have REST API/s cannot be encrypted")]
    NoRestApi,
    /// The group `events.k8s.io`.
    #[error(
        "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the config file"
    )]
    EventsGroup,
    /// The group `extensions`.
    #[error("'extensions' group has been removed and cannot be used for encryption")]
    ExtensionsGroup,
    /// `<resource>.*`.
    #[error("encrypting the same resource across groups is not supported")]
    AcrossGroups,
    /// The same resource twice in one list.
    #[error("the same resource cannot be specified multiple times")]
    DuplicateResource,
    /// A wildcard beside what it covers.
    #[error(
        "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they will be masked"
    )]
    Overlap,
    /// A wildcard of an earlier entry covers it.
    #[error("the resource is masked by the earlier rule {by}")]
    Masked {
        /// The path of that rule.
        by: String,
    },
    /// A `:` in the name of a kms v2 provider.
    #[error("invalid KMS provider name, must not contain ':'")]
    KmsName,
    /// A name that an earlier kms provider has.
    #[error("duplicate KMS provider name, names must be unique")]
    DuplicateKmsName,
    /// A timeout of zero or less.
    #[error("timeout should be a positive value")]
    Timeout,
    /// Not a URL.
    #[error("invalid endpoint for kms provider, error: {0}")]
    Endpoint(&'static str),
    /// A URL of another scheme than `unix`.
    #[error("unsupported scheme for KMS provider, only unix is supported")]
    EndpointScheme,
    /// A path that gRPC cannot connect to.
    #[error(
        "cannot connect to the endpoint: its unescaped path is parsed as part of a URL again: {0}"
    )]
    EndpointDial(&'static str),
    /// A cache size for kms v2.
    #[error("cachesize is not supported in v2")]
    CacheSizeV2,
    /// A cache size of zero for kms v1.
    #[error("cachesize should be a positive value, or negative to disable")]
    CacheSize,
    /// Neither v1 nor v2.
    #[error("unsupported apiVersion for KMS provider, only v1 and v2 are supported")]
    KmsApiVersion,
    /// kms v1 without its feature gate.
    #[error(
        "KMSv1 is off in this release unless kube-apiserver has --feature-gates=KMSv1=true; use KMSv2 instead"
    )]
    KmsV1Gate,
}

impl Problem {
    /// How Kubernetes introduces the text (`field.ErrorType`).
    fn class(&self) -> &'static str {
        match self {
            Self::Empty
            | Self::Syntax(_)
            | Self::MissingKind
            | Self::MissingVersion
            | Self::WrongKind
            | Self::Type { .. }
            | Self::Duration
            | Self::UnknownField(_)
            | Self::DuplicateField
            | Self::EndpointDial(_)
            | Self::Masked { .. }
            | Self::KmsV1Gate => "",
            Self::Mandatory("endpoint", _) => "Invalid value: \"\": ",
            Self::AtLeastOne(_) | Self::Mandatory(..) => "Required value: ",
            _ => "Invalid value: \"REDACTED\": ",
        }
    }
}
