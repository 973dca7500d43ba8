//! Files as the Kubernetes serializers read them: JSON if the first character is `{`, else YAML 1.1,
//! of which only the first document counts, converted to JSON.
//!
//! The rules are those of `sigs.k8s.io/yaml` (go-yaml v2) and of
//! `k8s.io/apimachinery/pkg/runtime/serializer/json`, which are the same in every release. Three points
//! that no sensible file meets are judged more strictly: see [`SyntaxError::is_stricter`].

mod compose;
mod expand;
mod json;
mod resolve;
mod scan;
mod text;

use std::rc::Rc;

use zeroize::Zeroizing;

/// How deep values may nest, aliases followed.
const MAX_DEPTH: usize = 100;

const TOO_DEEP: &str = "values are nested too deep";

/// Reads the first document of a file.
///
/// # Errors
/// If the text is neither JSON nor YAML, or means something that JSON cannot say.
pub(crate) fn parse(bytes: &[u8]) -> Result<Document, SyntaxError> {
    if text::is_json(bytes) {
        return json::parse(bytes);
    }
    expand::expand(&compose::compose(&text::decode(bytes)?)?)
}

/// A parsed document.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) root: Node,
    /// Whether it is YAML and no JSON.
    pub(crate) is_yaml: bool,
    /// The lines of keys that an earlier entry of the same mapping has already. Of two such entries
    /// the later is kept if the document is YAML; both, in order, if it is JSON.
    pub(crate) duplicates: Vec<u32>,
}

/// A value of JSON and the line, counted from 1, where it begins.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) line: u32,
    pub(crate) value: Value,
}

/// A value as JSON has it; a number is kept as it would be written there.
#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Bool,
    Number(Text),
    String(Text),
    Sequence(Vec<Node>),
    Mapping(Vec<(Text, Node)>),
    /// What YAML can say and JSON cannot, and why; in no parsed document.
    Unsayable(&'static str),
}

/// A scalar: shared where an alias repeats it, wiped when dropped, never printed. Compared only as a
/// key of a mapping.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Text(Rc<Zeroizing<String>>);

impl Text {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Rc::new(Zeroizing::new(text)))
    }
}

impl std::hash::Hash for Text {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.expose().hash(state);
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Text([REDACTED])")
    }
}

impl Node {
    /// The last entry of a mapping under a key, unless it is null.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Value::Mapping(entries) = &self.value else {
            return None;
        };
        entries
            .iter()
            .rfind(|(name, _)| name.expose() == key)
            .map(|(_, node)| node)
            .filter(|node| !matches!(node.value, Value::Null))
    }

    /// The elements of a sequence; none if this is something else.
    pub(crate) fn elements(&self) -> &[Self] {
        match &self.value {
            Value::Sequence(nodes) => nodes,
            _ => &[],
        }
    }

    /// The text of a string.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text.expose()),
            _ => None,
        }
    }
}

/// Why a file is neither JSON nor YAML that JSON can express.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}{}", Line(*line))]
pub struct SyntaxError {
    problem: &'static str,
    /// 0 where it is not known.
    line: u32,
}

impl SyntaxError {
    fn new(problem: &'static str, line: u32) -> Self {
        Self { problem, line }
    }

    /// Whether Kubernetes may accept the file all the same. It lets values nest up to 10,000 levels
    /// instead of 100; it does not look at what stands well behind the first document, be it text or
    /// not; and a second byte order mark makes it skip the first characters of lines.
    pub fn is_stricter(&self) -> bool {
        [TOO_DEEP, text::NOT_UTF8, text::CONTROL, text::SECOND_MARK].contains(&self.problem)
    }

    /// The line, counted from 1, if it is known.
    pub fn line(&self) -> Option<u32> {
        (self.line != 0).then_some(self.line)
    }
}

struct Line(u32);

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => Ok(()),
            line => write!(f, " (line {line})"),
        }
    }
}

#[cfg(test)]
mod tests;
