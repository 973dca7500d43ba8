//! Text to tokens, to the letter of go-yaml v2 (`scannerc.go`), which in turn is libyaml's scanner
//! with changes of its own: what differs decides whether kube-apiserver accepts a file.
//!
//! Tokens are made only as they are asked for: what stands behind the first document is not looked
//! at.

mod block;
mod cursor;
mod plain;
mod quoted;
mod structure;
mod tag;

use std::collections::VecDeque;

use self::{cursor::Cursor, structure::SimpleKey};
use super::{SyntaxError, Text};

/// A token and the line, counted from 1, where it begins.
pub(super) struct Token {
    pub(super) line: u32,
    pub(super) kind: TokenKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenKind {
    StreamEnd,
    VersionDirective { major: u8, minor: u8 },
    TagDirective { handle: String, prefix: String },
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(String),
    Anchor(String),
    Tag { handle: String, suffix: String },
    Scalar { text: Text, plain: bool },
}

pub(super) struct Scanner<'t> {
    cursor: Cursor<'t>,
    queue: VecDeque<Token>,
    /// How many tokens were taken from the queue.
    taken: usize,
    /// The column of the innermost block collection; -1 outside of all.
    indent: isize,
    indents: Vec<isize>,
    /// Whether a key may begin here without `?`.
    key_allowed: bool,
    /// For the block context and each open flow collection, where a key may have begun.
    keys: Vec<Option<SimpleKey>>,
    ended: bool,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            cursor: Cursor::new(text),
            queue: VecDeque::new(),
            taken: 0,
            indent: -1,
            indents: Vec::new(),
            key_allowed: true,
            keys: vec![None],
            ended: false,
        }
    }

    /// The next token, which stays; the last is [`TokenKind::StreamEnd`].
    pub(super) fn peek(&mut self) -> Result<&Token, SyntaxError> {
        while !self.ended && (self.queue.is_empty() || self.head_may_be_key()?) {
            self.fetch()?;
        }
        self.queue
            .front()
            .ok_or_else(|| SyntaxError::new("the text ends too soon", self.cursor.line))
    }

    /// Takes the token that was peeked at.
    pub(super) fn take(&mut self) -> Option<Token> {
        self.taken += 1;
        self.queue.pop_front()
    }

    /// Adds at least one token to the queue.
    fn fetch(&mut self) -> Result<(), SyntaxError> {
        self.skip_to_token();
        self.unroll(self.cursor.column as isize);
        let here = &self.cursor;
        if here.at_end() {
            return self.stream_end();
        }
        let first = here.byte(0);
        if here.column == 0 {
            if first == b'%' {
                self.leave_block()?;
                return self.token(Cursor::directive);
            }
            match here.document_indicator() {
                Some(b'-') => return self.document_indicator(TokenKind::DocumentStart),
                Some(_) => return self.document_indicator(TokenKind::DocumentEnd),
                None => {}
            }
        }
        let flow = self.in_flow();
        let spaced = here.is_blankz(1);
        match first {
            b'[' => self.flow_start(TokenKind::FlowSequenceStart),
            b'{' => self.flow_start(TokenKind::FlowMappingStart),
            b']' => self.flow_end(TokenKind::FlowSequenceEnd),
            b'}' => self.flow_end(TokenKind::FlowMappingEnd),
            b',' => {
                self.drop_key()?;
                self.key_allowed = true;
                self.indicator(TokenKind::FlowEntry)
            }
            b'-' if spaced => self.block_entry(),
            b'?' if flow || spaced => self.key(),
            b':' if flow || spaced => self.value(),
            b'*' => self.content(|cursor| Ok(TokenKind::Alias(cursor.anchor()?))),
            b'&' => self.content(|cursor| Ok(TokenKind::Anchor(cursor.anchor()?))),
            b'!' => self.content(Cursor::tag),
            b'\'' => self.content(Cursor::single_quoted),
            b'"' => self.content(Cursor::double_quoted),
            b'|' | b'>' if !flow => {
                self.drop_key()?;
                self.key_allowed = true;
                let indent = self.indent;
                self.token(|cursor| cursor.block(indent))
            }
            b'%' | b'@' | b'`' | b'|' | b'>' | b'\t' => Err(self
                .cursor
                .error("found character that cannot start any token")),
            _ => {
                let indent = self.indent + 1;
                self.content(|cursor| cursor.plain(indent, flow))?;
                // Behind a line break, a key may begin.
                self.key_allowed = self.cursor.after_break;
                Ok(())
            }
        }
    }

    /// Skips blanks, comments and line breaks. A tab is no blank where a key may begin.
    fn skip_to_token(&mut self) {
        loop {
            let tabs = self.in_flow() || !self.key_allowed;
            while self.cursor.byte(0) == b' ' || tabs && self.cursor.byte(0) == b'\t' {
                self.cursor.skip();
            }
            self.cursor.skip_comment();
            if !self.cursor.is_break(0) {
                return;
            }
            self.cursor.skip_line();
            if !self.in_flow() {
                self.key_allowed = true;
            }
        }
    }

    /// A token that ends where `scan` leaves the cursor.
    fn token(
        &mut self,
        scan: impl FnOnce(&mut Cursor<'t>) -> Result<TokenKind, SyntaxError>,
    ) -> Result<(), SyntaxError> {
        let line = self.cursor.line;
        let kind = scan(&mut self.cursor)?;
        self.queue.push_back(Token { line, kind });
        Ok(())
    }

    /// A token of one character.
    fn indicator(&mut self, kind: TokenKind) -> Result<(), SyntaxError> {
        self.token(|cursor| {
            cursor.skip();
            Ok(kind)
        })
    }

    /// What may be a key, or stand before it.
    fn content(
        &mut self,
        scan: impl FnOnce(&mut Cursor<'t>) -> Result<TokenKind, SyntaxError>,
    ) -> Result<(), SyntaxError> {
        self.save_key()?;
        self.key_allowed = false;
        self.token(scan)
    }
}
