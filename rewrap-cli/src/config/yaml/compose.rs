//! Events to a graph: what the text says, before aliases are followed.

use std::{collections::HashMap, panic};

use libyaml_safer::{Encoding, Event, EventData, Parser};

use super::{MAX_DEPTH, SyntaxError, Text};

/// The nodes of a document. Aliases are indices: a graph of any shape is dropped without recursion.
pub(super) struct Graph {
    nodes: Vec<GraphNode>,
    /// None if the stream has no document.
    pub(super) root: Option<NodeId>,
}

pub(super) type NodeId = usize;

pub(super) struct GraphNode {
    pub(super) line: u32,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    Scalar(Scalar),
    Sequence(Vec<NodeId>),
    Mapping(Vec<(NodeId, NodeId)>),
    Alias(NodeId),
}

pub(super) struct Scalar {
    pub(super) text: Text,
    pub(super) tag: Option<String>,
    /// Plain or tagged `!`. Of a plain scalar without a tag the text decides what it is.
    pub(super) implicit: bool,
}

impl Graph {
    pub(super) fn node(&self, id: NodeId) -> &GraphNode {
        &self.nodes[id]
    }
}

/// Composes the first document of a stream.
pub(super) fn compose(text: &str) -> Result<Graph, SyntaxError> {
    // The scanner has assertions that odd input reaches, such as a tag that touches a comma. What it
    // says there is fixed text; nothing outlives the attempt.
    panic::catch_unwind(|| Composer::new(text).document())
        .unwrap_or_else(|_| Err(SyntaxError::new("the text is no YAML that can be read", 0)))
}

struct Composer<'t> {
    parser: Parser<&'t [u8]>,
    nodes: Vec<GraphNode>,
    anchors: HashMap<String, NodeId>,
}

impl<'t> Composer<'t> {
    fn new(text: &'t str) -> Self {
        let mut parser = Parser::new();
        parser.set_encoding(Encoding::Utf8);
        parser.set_input(text.as_bytes());
        Self {
            parser,
            nodes: Vec::new(),
            anchors: HashMap::new(),
        }
    }

    fn document(mut self) -> Result<Graph, SyntaxError> {
        let root = loop {
            let event = self.event()?;
            match event.data {
                EventData::StreamStart { .. } => {}
                EventData::DocumentStart {
                    version_directive, ..
                } => {
                    if version_directive.is_some_and(|v| (v.major, v.minor) != (1, 1)) {
                        return Err(SyntaxError::new("found incompatible YAML document", 1));
                    }
                    let first = self.event()?;
                    let root = self.node(first, 0)?;
                    // The end is read too: what stands there may be broken.
                    self.event()?;
                    break Some(root);
                }
                _ => break None,
            }
        };
        Ok(Graph {
            nodes: self.nodes,
            root,
        })
    }

    fn event(&mut self) -> Result<Event, SyntaxError> {
        self.parser.parse().map_err(|error| {
            let line = error.problem_mark().map_or(0, |mark| mark.line + 1);
            SyntaxError::new(error.problem(), u32::try_from(line).unwrap_or(0))
        })
    }

    fn node(&mut self, event: Event, depth: usize) -> Result<NodeId, SyntaxError> {
        let line = u32::try_from(event.start_mark.line + 1).unwrap_or(0);
        if depth > MAX_DEPTH {
            return Err(SyntaxError::new("values are nested too deep", line));
        }
        match event.data {
            EventData::Scalar {
                anchor,
                tag,
                value,
                plain_implicit,
                ..
            } => {
                let scalar = Scalar {
                    text: value.into(),
                    tag: tag.filter(|tag| !tag.is_empty()),
                    implicit: plain_implicit,
                };
                Ok(self.add(line, Kind::Scalar(scalar), anchor))
            }
            EventData::SequenceStart { anchor, .. } => {
                let id = self.add(line, Kind::Sequence(Vec::new()), anchor);
                let mut elements = Vec::new();
                while let Some(element) = self.next(depth)? {
                    elements.push(element);
                }
                self.nodes[id].kind = Kind::Sequence(elements);
                Ok(id)
            }
            EventData::MappingStart { anchor, .. } => {
                let id = self.add(line, Kind::Mapping(Vec::new()), anchor);
                let mut entries = Vec::new();
                while let Some(key) = self.next(depth)? {
                    let value = self.next(depth)?;
                    entries.extend(value.map(|value| (key, value)));
                }
                self.nodes[id].kind = Kind::Mapping(entries);
                Ok(id)
            }
            EventData::Alias { anchor } => match self.anchors.get(&anchor) {
                Some(target) => Ok(self.add(line, Kind::Alias(*target), None)),
                None => Err(SyntaxError::new("an alias names an unknown anchor", line)),
            },
            _ => Err(SyntaxError::new("a value is missing", line)),
        }
    }

    /// The next child of a collection; none at its end.
    fn next(&mut self, depth: usize) -> Result<Option<NodeId>, SyntaxError> {
        let event = self.event()?;
        match event.data {
            EventData::SequenceEnd | EventData::MappingEnd => Ok(None),
            _ => self.node(event, depth + 1).map(Some),
        }
    }

    /// An anchor is known from here on, inside its own node too; a later one of the same name wins.
    fn add(&mut self, line: u32, kind: Kind, anchor: Option<String>) -> NodeId {
        let id = self.nodes.len();
        self.nodes.push(GraphNode { line, kind });
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, id);
        }
        id
    }
}
