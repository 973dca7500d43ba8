//! The fields of the file (`pkg/apis/apiserver/v1/types_encryption.go`), before any rule but types.

use super::{
    decode::{Decode, Path, Report},
    error::Problem,
};
use crate::config::{
    go,
    yaml::{self, Document, Node, Text, Value},
};

#[derive(Default)]
pub(super) struct Schema {
    api_version: Text,
    kind: Text,
    pub(super) resources: Vec<ResourceConfiguration>,
}

#[derive(Default)]
pub(super) struct ResourceConfiguration {
    pub(super) resources: Vec<Text>,
    pub(super) providers: Vec<ProviderConfiguration>,
}

#[derive(Default)]
pub(super) struct ProviderConfiguration {
    pub(super) aesgcm: Option<Keys>,
    pub(super) aescbc: Option<Keys>,
    pub(super) secretbox: Option<Keys>,
    pub(super) identity: Option<Identity>,
    pub(super) kms: Option<Kms>,
}

#[derive(Default)]
pub(super) struct Keys {
    pub(super) keys: Vec<Key>,
}

#[derive(Default)]
pub(super) struct Key {
    pub(super) name: Text,
    pub(super) secret: Text,
}

#[derive(Default)]
pub(super) struct Identity;

#[derive(Default)]
pub(super) struct Kms {
    pub(super) api_version: Text,
    pub(super) name: Text,
    pub(super) cache_size: Option<i32>,
    pub(super) endpoint: Text,
    pub(super) timeout: Option<Nanoseconds>,
}

/// A Go duration.
#[derive(Default, Clone, Copy)]
pub(super) struct Nanoseconds(pub(super) i64);

impl Schema {
    /// Reads the fields of a file; what is wrong goes to the report.
    pub(super) fn read(bytes: &[u8], report: &mut Report) -> Self {
        let mut schema = Self::default();
        if bytes.is_empty() {
            report.add(&Path::Root, Problem::Empty);
            return schema;
        }
        let document = match yaml::parse(bytes) {
            Ok(document) => document,
            Err(error) => {
                report.add(&Path::Root, Problem::Syntax(error));
                return schema;
            }
        };
        match recognize(&document) {
            Some(problem) => report.add(&Path::Root, problem),
            None => {
                let Document {
                    root, duplicates, ..
                } = document;
                schema.decode(&root, &Path::Root, report);
                let strict = report.is_strict();
                for line in duplicates.into_iter().filter(|_| strict) {
                    report.push(String::new(), Some(line), Problem::DuplicateField);
                }
            }
        }
        schema
    }
}

/// What is wrong with kind and apiVersion. They are read apart from the rest and by another decoder
/// (`serializer/json/meta.go`), to which upper and lower case are the same; the last one counts.
fn recognize(document: &Document) -> Option<Problem> {
    let mut entries: Vec<&(Text, Node)> = match &document.root.value {
        Value::Mapping(entries) => entries.iter().collect(),
        Value::Null => Vec::new(),
        _ => return Some(Problem::WrongKind),
    };
    if document.is_yaml {
        // The conversion to JSON loses the order of the file.
        entries.sort_by(|(one, _), (other, _)| one.expose().cmp(other.expose()));
    }
    let (mut kind, mut version) = ("", "");
    for (key, node) in entries {
        let field = match fold(key.expose()).as_str() {
            "kind" => &mut kind,
            "apiversion" => &mut version,
            _ => continue,
        };
        match &node.value {
            Value::String(text) => *field = text.expose(),
            Value::Null => {}
            _ => return Some(Problem::WrongKind),
        }
    }
    match (version, kind) {
        (_, "") => Some(Problem::MissingKind),
        ("" | "/", _) => Some(Problem::MissingVersion),
        ("apiserver.config.k8s.io/v1", "EncryptionConfiguration") => None,
        // An early mistake in the documentation that is still honoured.
        ("v1" | "/v1", "EncryptionConfig") => None,
        _ => Some(Problem::WrongKind),
    }
}

/// Lower case as `encoding/json` compares names, to which two signs beyond ASCII are letters of it.
fn fold(name: &str) -> String {
    name.chars()
        .map(|char| match char {
            '\u{212a}' => 'k',
            '\u{17f}' => 's',
            _ => char.to_ascii_lowercase(),
        })
        .collect()
}

/// Decodes a struct: its fields by their names in the file.
macro_rules! object {
    ($type:ty { $($name:literal => $field:ident),* }) => {
        impl Decode for $type {
            fn decode(&mut self, node: &Node, at: &Path<'_>, report: &mut Report) {
                for (name, node) in report.entries(node, at) {
                    match name.expose() {
                        $($name => self.$field.decode(node, &at.field($name), report),)*
                        _ => report.unknown(node, at, &[$($name),*]),
                    }
                }
            }
        }
    };
}

object!(Schema { "apiVersion" => api_version, "kind" => kind, "resources" => resources });
object!(ResourceConfiguration { "resources" => resources, "providers" => providers });
object!(ProviderConfiguration {
    "aesgcm" => aesgcm, "aescbc" => aescbc, "secretbox" => secretbox, "identity" => identity, "kms" => kms
});
object!(Keys { "keys" => keys });
object!(Key { "name" => name, "secret" => secret });
object!(Identity {});
object!(Kms {
    "apiVersion" => api_version, "name" => name, "cachesize" => cache_size, "endpoint" => endpoint, "timeout" => timeout
});

impl Decode for Nanoseconds {
    fn decode(&mut self, node: &Node, at: &Path<'_>, report: &mut Report) {
        let mut text = Text::default();
        text.decode(node, at, report);
        match (&node.value, go::duration::parse(text.expose())) {
            (Value::String(_), None) => report.add(at, Problem::Duration),
            (_, nanos) => self.0 = nanos.unwrap_or_default(),
        }
    }
}
