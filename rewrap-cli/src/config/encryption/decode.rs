//! Values into fields, as the Kubernetes JSON decoder does it (`sigs.k8s.io/json`): names are
//! case-sensitive, null leaves a plain field as it is and empties a list or an optional one, and
//! decoding goes on after a wrong type.

use std::{collections::HashMap, fmt};

use super::error::{ConfigError, ConfigErrors, Problem};
use crate::config::yaml::{Node, Text, Value};

/// A field that a value can be decoded into. A second value for the same field finds the first.
pub(super) trait Decode: Default {
    fn decode(&mut self, node: &Node, at: &Path<'_>, report: &mut Report);
}

/// Where a value stands, in the words of the schema alone.
#[derive(Clone, Copy)]
pub(super) enum Path<'p> {
    Root,
    Field(&'p Self, &'static str),
    Index(&'p Self, usize),
}

impl<'p> Path<'p> {
    pub(super) fn field(&'p self, name: &'static str) -> Self {
        Self::Field(self, name)
    }

    pub(super) fn index(&'p self, index: usize) -> Self {
        Self::Index(self, index)
    }

    fn parent(&self) -> Option<&'p Self> {
        match self {
            Self::Root => None,
            Self::Field(parent, _) | Self::Index(parent, _) => Some(parent),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// What was found, and on which line every field stands.
pub(super) struct Report {
    strict: bool,
    lines: HashMap<String, u32>,
    errors: Vec<ConfigError>,
}

impl Report {
    pub(super) fn new(strict: bool) -> Self {
        Self {
            strict,
            lines: HashMap::new(),
            errors: Vec::new(),
        }
    }

    /// Whether unknown fields and duplicate keys are errors.
    pub(super) fn is_strict(&self) -> bool {
        self.strict
    }

    pub(super) fn add(&mut self, at: &Path<'_>, problem: Problem) {
        let line = self.line(at);
        self.push(at.to_string(), line, problem);
    }

    pub(super) fn push(&mut self, path: String, line: Option<u32>, problem: Problem) {
        self.errors.push(ConfigError {
            path,
            line,
            problem,
        });
    }

    /// The line of a field, or of the nearest one around it that the file has.
    pub(super) fn line(&self, at: &Path<'_>) -> Option<u32> {
        let mut at = Some(at);
        while let Some(path) = at {
            if let Some(line) = self.lines.get(&path.to_string()) {
                return Some(*line);
            }
            at = path.parent();
        }
        None
    }

    pub(super) fn check(&mut self) -> Result<(), ConfigErrors> {
        match self.errors.is_empty() {
            true => Ok(()),
            false => Err(ConfigErrors(std::mem::take(&mut self.errors))),
        }
    }

    /// The entries of a mapping, for a field of a struct type.
    pub(super) fn entries<'n>(&mut self, node: &'n Node, at: &Path<'_>) -> &'n [(Text, Node)] {
        self.locate(node, at);
        match &node.value {
            Value::Mapping(entries) => entries,
            Value::Null => &[],
            _ => {
                self.wrong_type(node, at, "object");
                &[]
            }
        }
    }

    pub(super) fn unknown(&mut self, node: &Node, at: &Path<'_>, known: &'static [&'static str]) {
        if self.strict {
            self.push(
                at.to_string(),
                Some(node.line),
                Problem::UnknownField(known),
            );
        }
    }

    fn locate(&mut self, node: &Node, at: &Path<'_>) {
        self.lines.insert(at.to_string(), node.line);
    }

    fn wrong_type(&mut self, node: &Node, at: &Path<'_>, wanted: &'static str) {
        let found = match node.value {
            Value::Null => "null",
            Value::Bool => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Sequence(_) => "array",
            Value::Mapping(_) => "object",
            Value::Unsayable(_) => "nothing",
        };
        self.add(at, Problem::Type { found, wanted });
    }
}

impl Decode for Text {
    fn decode(&mut self, node: &Node, at: &Path<'_>, report: &mut Report) {
        report.locate(node, at);
        match &node.value {
            Value::String(text) => *self = text.clone(),
            Value::Null => {}
            _ => report.wrong_type(node, at, "string"),
        }
    }
}

impl Decode for i32 {
    fn decode(&mut self, node: &Node, at: &Path<'_>, report: &mut Report) {
        report.locate(node, at);
        let number = match &node.value {
            Value::Number(text) => text.expose().parse().ok(),
            Value::Null => Some(*self),
            _ => None,
        };
        match number {
            Some(number) => *self = number,
            None => report.wrong_type(node, at, "int32"),
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(&mut self, node: &Node, at: &Path<'_>, report: &mut Report) {
        match node.value {
            Value::Null => *self = None,
            _ => self.get_or_insert_default().decode(node, at, report),
        }
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(&mut self, node: &Node, at: &Path<'_>, report: &mut Report) {
        report.locate(node, at);
        match &node.value {
            Value::Sequence(elements) => {
                self.clear();
                for (index, element) in elements.iter().enumerate() {
                    let mut value = T::default();
                    value.decode(element, &at.index(index), report);
                    self.push(value);
                }
            }
            Value::Null => self.clear(),
            _ => report.wrong_type(node, at, "list"),
        }
    }
}
