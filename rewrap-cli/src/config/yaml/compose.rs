//! Tokens to a graph: what the text says, before aliases are followed (go-yaml's `parserc.go`).

mod collections;

use std::collections::HashMap;

use super::{
    MAX_DEPTH, SyntaxError, TOO_DEEP, Text,
    scan::{Scanner, TokenKind},
};

/// The nodes of a document. Aliases are indices: a graph of any shape is dropped without recursion.
pub(super) struct Graph {
    nodes: Vec<GraphNode>,
    /// None if the stream has no document.
    pub(super) root: Option<NodeId>,
}

pub(super) type NodeId = usize;

/// A key and its value.
type Entry = (NodeId, NodeId);

pub(super) struct GraphNode {
    pub(super) line: u32,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    Scalar(Scalar),
    Sequence(Vec<NodeId>),
    Mapping(Vec<Entry>),
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
    let mut composer = Composer {
        scanner: Scanner::new(text),
        nodes: Vec::new(),
        anchors: HashMap::new(),
        handles: HashMap::new(),
        depth: 0,
    };
    Ok(Graph {
        root: composer.document()?,
        nodes: composer.nodes,
    })
}

struct Composer<'t> {
    scanner: Scanner<'t>,
    nodes: Vec<GraphNode>,
    anchors: HashMap<String, NodeId>,
    /// What stands for the handles of tags.
    handles: HashMap<String, String>,
    depth: usize,
}

/// Where a node stands, which decides what it may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Flow,
    Block,
    /// Of a block mapping, where a sequence needs no deeper indentation.
    BlockMapping,
}

/// What stands before the content of a node.
struct Properties {
    line: u32,
    anchor: Option<String>,
    tag: Option<String>,
}

impl Composer<'_> {
    fn document(&mut self) -> Result<Option<NodeId>, SyntaxError> {
        let explicit = match self.peek()? {
            TokenKind::StreamEnd => return Ok(None),
            TokenKind::VersionDirective { .. }
            | TokenKind::TagDirective { .. }
            | TokenKind::DocumentStart => true,
            _ => false,
        };
        self.directives()?;
        if explicit && !self.skip_if(&TokenKind::DocumentStart)? {
            return Err(self.error("did not find expected <document start>"));
        }
        let root = match self.peek()? {
            TokenKind::VersionDirective { .. }
            | TokenKind::TagDirective { .. }
            | TokenKind::DocumentStart
            | TokenKind::DocumentEnd
            | TokenKind::StreamEnd
                if explicit =>
            {
                self.empty()?
            }
            _ => self.node(Place::Block)?,
        };
        // What ends it must be a token, but may be any.
        self.peek()?;
        Ok(Some(root))
    }

    fn directives(&mut self) -> Result<(), SyntaxError> {
        let mut versions = 0;
        loop {
            match self.peek()? {
                TokenKind::VersionDirective { major: 1, minor: 1 } if versions == 0 => {
                    versions += 1
                }
                TokenKind::VersionDirective { .. } if versions > 0 => {
                    return Err(self.error("found duplicate %YAML directive"));
                }
                TokenKind::VersionDirective { .. } => {
                    return Err(self.error("found incompatible YAML document"));
                }
                TokenKind::TagDirective { handle, prefix } => {
                    let (handle, prefix) = (handle.clone(), prefix.clone());
                    if self.handles.insert(handle, prefix).is_some() {
                        return Err(self.error("found duplicate %TAG directive"));
                    }
                }
                _ => break,
            }
            self.scanner.take();
        }
        for (handle, prefix) in [("!", "!"), ("!!", "tag:yaml.org,2002:")] {
            let handle = self.handles.entry(handle.to_owned());
            handle.or_insert_with(|| prefix.to_owned());
        }
        Ok(())
    }

    fn node(&mut self, place: Place) -> Result<NodeId, SyntaxError> {
        if self.depth > MAX_DEPTH {
            return Err(self.error(TOO_DEEP));
        }
        self.depth += 1;
        let node = self.node_here(place);
        self.depth -= 1;
        node
    }

    fn node_here(&mut self, place: Place) -> Result<NodeId, SyntaxError> {
        if let TokenKind::Alias(name) = self.peek()? {
            let name = name.clone();
            let line = self.line()?;
            self.scanner.take();
            return match self.anchors.get(&name) {
                Some(target) => Ok(self.add(line, Kind::Alias(*target), None)),
                None => Err(SyntaxError::new("an alias names an unknown anchor", line)),
            };
        }
        let Properties { line, anchor, tag } = self.properties()?;
        let block = place != Place::Flow;
        match self.peek()? {
            TokenKind::Scalar { text, plain } => {
                let scalar = Scalar {
                    text: text.clone(),
                    implicit: *plain && tag.is_none() || tag.as_deref() == Some("!"),
                    tag,
                };
                self.scanner.take();
                Ok(self.add(line, Kind::Scalar(scalar), anchor))
            }
            TokenKind::BlockEntry if place == Place::BlockMapping => {
                self.sequence(line, anchor, Self::indentless_sequence)
            }
            TokenKind::BlockSequenceStart if block => {
                self.sequence(line, anchor, Self::block_sequence)
            }
            TokenKind::FlowSequenceStart => self.sequence(line, anchor, Self::flow_sequence),
            TokenKind::BlockMappingStart if block => {
                self.mapping(line, anchor, Self::block_mapping)
            }
            TokenKind::FlowMappingStart => self.mapping(line, anchor, Self::flow_mapping),
            _ if anchor.is_some() || tag.is_some() => {
                let scalar = Scalar {
                    text: Text::default(),
                    implicit: tag.is_none(),
                    tag,
                };
                Ok(self.add(line, Kind::Scalar(scalar), anchor))
            }
            _ => Err(self.error("did not find expected node content")),
        }
    }

    /// An anchor and a tag, in any order, each at most once.
    fn properties(&mut self) -> Result<Properties, SyntaxError> {
        let mut properties = Properties {
            line: self.line()?,
            anchor: None,
            tag: None,
        };
        loop {
            match self.peek()? {
                TokenKind::Anchor(name) if properties.anchor.is_none() => {
                    properties.anchor = Some(name.clone());
                }
                TokenKind::Tag { handle, suffix } if properties.tag.is_none() => {
                    let (handle, suffix) = (handle.clone(), suffix.clone());
                    let tag = match self.handles.get(&handle) {
                        _ if handle.is_empty() => suffix,
                        Some(prefix) => format!("{prefix}{suffix}"),
                        None => return Err(self.error("found undefined tag handle")),
                    };
                    properties.tag = Some(tag);
                }
                _ => return Ok(properties),
            }
            self.scanner.take();
        }
    }

    fn sequence(
        &mut self,
        line: u32,
        anchor: Option<String>,
        elements: fn(&mut Self) -> Result<Vec<NodeId>, SyntaxError>,
    ) -> Result<NodeId, SyntaxError> {
        // Known before its elements: one of them may be an alias of it.
        let id = self.add(line, Kind::Sequence(Vec::new()), anchor);
        self.nodes[id].kind = Kind::Sequence(elements(self)?);
        Ok(id)
    }

    fn mapping(
        &mut self,
        line: u32,
        anchor: Option<String>,
        entries: fn(&mut Self) -> Result<Vec<Entry>, SyntaxError>,
    ) -> Result<NodeId, SyntaxError> {
        let id = self.add(line, Kind::Mapping(Vec::new()), anchor);
        self.nodes[id].kind = Kind::Mapping(entries(self)?);
        Ok(id)
    }

    /// A node of which nothing stands in the text.
    fn empty(&mut self) -> Result<NodeId, SyntaxError> {
        let line = self.line()?;
        let scalar = Scalar {
            text: Text::default(),
            tag: None,
            implicit: true,
        };
        Ok(self.add(line, Kind::Scalar(scalar), None))
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

    fn peek(&mut self) -> Result<&TokenKind, SyntaxError> {
        self.scanner.peek().map(|token| &token.kind)
    }

    fn line(&mut self) -> Result<u32, SyntaxError> {
        self.scanner.peek().map(|token| token.line)
    }

    /// Takes the next token if it is this one.
    fn skip_if(&mut self, kind: &TokenKind) -> Result<bool, SyntaxError> {
        let found = self.peek()? == kind;
        if found {
            self.scanner.take();
        }
        Ok(found)
    }

    fn error(&mut self, problem: &'static str) -> SyntaxError {
        let line = self.line().unwrap_or(0);
        SyntaxError::new(problem, line)
    }
}
