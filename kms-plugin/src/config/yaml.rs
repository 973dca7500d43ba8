use serde::de::DeserializeOwned;
use serde_saphyr::{
    DuplicateKeyPolicy, Error, Location, MergeKeyPolicy, budget, from_str_with_options, options,
};

/// Names longer than this, or with anything but letters, are not shown: they may be no names.
const MAX_SHOWN_NAME: usize = 24;

/// Parses one YAML document. No aliases, no merge keys, no duplicate or unknown fields.
pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    let options = options! {
        budget: budget! { max_aliases: 0, max_anchors: 0, max_depth: 16, max_nodes: 10_000 },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    };
    from_str_with_options(text, options).map_err(|error| YamlError::new(&error))
}

/// Why a text is no YAML document of the right shape.
///
/// Says where and what, in our own words: the messages of the parser quote the text, and the text
/// may be a key that was taken for a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub struct YamlError {
    line: u64,
    column: u64,
    what: String,
}

impl YamlError {
    fn new(error: &Error) -> Self {
        let location = error.location().unwrap_or(Location::UNKNOWN);
        Self {
            line: location.line(),
            column: location.column(),
            what: describe(error.without_snippet()),
        }
    }
}

fn describe(error: &Error) -> String {
    match error {
        Error::AliasError { error, .. } | Error::WithSnippet { error, .. } => describe(error),
        Error::Budget { .. } => {
            "the document is too large or nested too deeply, or has anchors and aliases, which are refused".to_owned()
        }
        Error::DuplicateMappingKey { key, .. } => {
            format!("the field {} is given twice", shown(key.as_deref()))
        }
        Error::Eof { .. } => "the document ends too early".to_owned(),
        Error::InvalidScalar { ty, .. } => format!("this is no {ty}"),
        Error::MultipleDocuments { .. } => "there is a second document".to_owned(),
        Error::SerdeInvalidType { expected, .. } | Error::SerdeInvalidValue { expected, .. } => {
            format!("expected {expected}")
        }
        Error::SerdeMissingField { field, .. } => format!("the field `{field}` is missing"),
        Error::SerdeUnknownField {
            field, expected, ..
        } => format!(
            "the field {} is unknown here; expected {}",
            shown(Some(field)),
            expected.join(", ")
        ),
        Error::Unexpected { expected, .. } => format!("expected {expected}"),
        _ => "this is no valid YAML".to_owned(),
    }
}

fn shown(name: Option<&str>) -> String {
    match name {
        Some(name)
            if name.len() <= MAX_SHOWN_NAME
                && name.bytes().all(|byte| byte.is_ascii_alphabetic()) =>
        {
            format!("`{name}`")
        }
        _ => "on this line".to_owned(),
    }
}
