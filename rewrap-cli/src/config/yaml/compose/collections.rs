//! What is in sequences and mappings: what may be left out, and what must stand between.

use super::{Composer, Entry, NodeId, Place};
use crate::config::yaml::{SyntaxError, scan::TokenKind};

impl Composer<'_> {
    pub(super) fn block_sequence(&mut self) -> Result<Vec<NodeId>, SyntaxError> {
        self.scanner.take();
        let mut elements = Vec::new();
        while self.skip_if(&TokenKind::BlockEntry)? {
            elements.push(match self.peek()? {
                TokenKind::BlockEntry | TokenKind::BlockEnd => self.empty()?,
                _ => self.node(Place::Block)?,
            });
        }
        match self.skip_if(&TokenKind::BlockEnd)? {
            true => Ok(elements),
            false => Err(self.error("did not find expected '-' indicator")),
        }
    }

    pub(super) fn indentless_sequence(&mut self) -> Result<Vec<NodeId>, SyntaxError> {
        let mut elements = Vec::new();
        while self.skip_if(&TokenKind::BlockEntry)? {
            elements.push(match self.peek()? {
                TokenKind::BlockEntry | TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd => {
                    self.empty()?
                }
                _ => self.node(Place::Block)?,
            });
        }
        Ok(elements)
    }

    pub(super) fn block_mapping(&mut self) -> Result<Vec<Entry>, SyntaxError> {
        self.scanner.take();
        let mut entries = Vec::new();
        while self.skip_if(&TokenKind::Key)? {
            let key = self.block_mapping_node()?;
            let value = match self.skip_if(&TokenKind::Value)? {
                true => self.block_mapping_node()?,
                false => self.empty()?,
            };
            entries.push((key, value));
        }
        match self.skip_if(&TokenKind::BlockEnd)? {
            true => Ok(entries),
            false => Err(self.error("did not find expected key")),
        }
    }

    fn block_mapping_node(&mut self) -> Result<NodeId, SyntaxError> {
        match self.peek()? {
            TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd => self.empty(),
            _ => self.node(Place::BlockMapping),
        }
    }

    pub(super) fn flow_sequence(&mut self) -> Result<Vec<NodeId>, SyntaxError> {
        self.scanner.take();
        let mut elements = Vec::new();
        while !self.ends_flow(&TokenKind::FlowSequenceEnd, elements.is_empty())? {
            let line = self.line()?;
            elements.push(match self.skip_if(&TokenKind::Key)? {
                true => self.mapping(line, None, Self::pair)?,
                false => self.node(Place::Flow)?,
            });
        }
        Ok(elements)
    }

    /// The only entry of a mapping without braces.
    fn pair(&mut self) -> Result<Vec<Entry>, SyntaxError> {
        let key = match self.peek()? {
            TokenKind::Value | TokenKind::FlowEntry | TokenKind::FlowSequenceEnd => {
                // go-yaml loses this token, as libyaml does.
                self.scanner.take();
                self.empty()?
            }
            _ => self.node(Place::Flow)?,
        };
        let value = self.flow_value(&TokenKind::FlowSequenceEnd)?;
        Ok(vec![(key, value)])
    }

    pub(super) fn flow_mapping(&mut self) -> Result<Vec<Entry>, SyntaxError> {
        self.scanner.take();
        let mut entries = Vec::new();
        while !self.ends_flow(&TokenKind::FlowMappingEnd, entries.is_empty())? {
            entries.push(if self.skip_if(&TokenKind::Key)? {
                let key = match self.peek()? {
                    TokenKind::Value | TokenKind::FlowEntry | TokenKind::FlowMappingEnd => {
                        self.empty()?
                    }
                    _ => self.node(Place::Flow)?,
                };
                (key, self.flow_value(&TokenKind::FlowMappingEnd)?)
            } else {
                (self.node(Place::Flow)?, self.empty()?)
            });
        }
        Ok(entries)
    }

    /// Reads the end of a flow collection, or the comma before its next element.
    fn ends_flow(&mut self, end: &TokenKind, first: bool) -> Result<bool, SyntaxError> {
        if self.skip_if(end)? {
            return Ok(true);
        }
        if !first && !self.skip_if(&TokenKind::FlowEntry)? {
            return Err(self.error(match end {
                TokenKind::FlowMappingEnd => "did not find expected ',' or '}'",
                _ => "did not find expected ',' or ']'",
            }));
        }
        // A comma may stand behind the last one.
        self.skip_if(end)
    }

    fn flow_value(&mut self, end: &TokenKind) -> Result<NodeId, SyntaxError> {
        if !self.skip_if(&TokenKind::Value)? {
            return self.empty();
        }
        match self.peek()? {
            TokenKind::FlowEntry => self.empty(),
            token if token == end => self.empty(),
            _ => self.node(Place::Flow),
        }
    }
}
