//! What a token means for those around it: where block collections begin and end, and what turns out to
//! be a key once its colon is found.

use super::{Cursor, Scanner, Token, TokenKind};
use crate::config::yaml::{SyntaxError, TOO_DEEP};

/// How deep go-yaml lets collections nest.
const MAX_LEVELS: usize = 10_000;

/// The longest key that needs no `?`, in characters.
const MAX_SIMPLE_KEY: usize = 1024;

/// What will have been a key if a colon follows.
#[derive(Clone, Copy)]
pub(super) struct SimpleKey {
    /// In block context at the column of the mapping: a colon has to follow.
    required: bool,
    /// The number of the token, counted from the first of the stream.
    token: usize,
    index: usize,
    line: u32,
    column: usize,
}

impl Scanner<'_> {
    /// Whether something may still be put before the first token: a key, and the start of a mapping.
    pub(super) fn head_may_be_key(&mut self) -> Result<bool, SyntaxError> {
        match self
            .keys
            .iter()
            .position(|key| key.is_some_and(|key| key.token == self.taken))
        {
            Some(level) => self.holds(level),
            None => Ok(false),
        }
    }

    /// Whether a possible key still can be one; it has to end on its line.
    fn holds(&mut self, level: usize) -> Result<bool, SyntaxError> {
        let Some(key) = self.keys[level] else {
            return Ok(false);
        };
        let Cursor { line, index, .. } = self.cursor;
        if key.line == line && key.index + MAX_SIMPLE_KEY >= index {
            return Ok(true);
        }
        self.keys[level] = None;
        self.require_none(key).map(|()| false)
    }

    fn require_none(&self, key: SimpleKey) -> Result<(), SyntaxError> {
        match key.required {
            true => Err(self.cursor.error("could not find expected ':'")),
            false => Ok(()),
        }
    }

    pub(super) fn stream_end(&mut self) -> Result<(), SyntaxError> {
        self.cursor.column = 0;
        self.leave_block()?;
        self.ended = true;
        self.token(|_| Ok(TokenKind::StreamEnd))
    }

    pub(super) fn document_indicator(&mut self, kind: TokenKind) -> Result<(), SyntaxError> {
        self.leave_block()?;
        self.token(|cursor| {
            (0..3).for_each(|_| cursor.skip());
            Ok(kind)
        })
    }

    pub(super) fn leave_block(&mut self) -> Result<(), SyntaxError> {
        self.unroll(-1);
        self.drop_key()?;
        self.key_allowed = false;
        Ok(())
    }

    pub(super) fn in_flow(&self) -> bool {
        self.keys.len() > 1
    }

    pub(super) fn flow_start(&mut self, kind: TokenKind) -> Result<(), SyntaxError> {
        self.save_key()?;
        self.keys.push(None);
        if self.keys.len() > MAX_LEVELS {
            return Err(self.cursor.error(TOO_DEEP));
        }
        self.key_allowed = true;
        self.indicator(kind)
    }

    pub(super) fn flow_end(&mut self, kind: TokenKind) -> Result<(), SyntaxError> {
        self.drop_key()?;
        if self.in_flow() {
            self.keys.pop();
        }
        self.key_allowed = false;
        self.indicator(kind)
    }

    pub(super) fn block_entry(&mut self) -> Result<(), SyntaxError> {
        // In flow context the parser refuses it.
        self.begin_block(
            TokenKind::BlockSequenceStart,
            "block sequence entries are not allowed in this context",
        )?;
        self.drop_key()?;
        self.key_allowed = true;
        self.indicator(TokenKind::BlockEntry)
    }

    pub(super) fn key(&mut self) -> Result<(), SyntaxError> {
        self.begin_block(
            TokenKind::BlockMappingStart,
            "mapping keys are not allowed in this context",
        )?;
        self.drop_key()?;
        self.key_allowed = !self.in_flow();
        self.indicator(TokenKind::Key)
    }

    pub(super) fn value(&mut self) -> Result<(), SyntaxError> {
        let level = self.keys.len() - 1;
        let holds = self.holds(level)?;
        match self.keys[level] {
            Some(key) if holds => {
                let SimpleKey { line, column, .. } = key;
                let at = key.token.saturating_sub(self.taken).min(self.queue.len());
                let kind = TokenKind::Key;
                self.queue.insert(at, Token { line, kind });
                self.roll(column, at, TokenKind::BlockMappingStart, line)?;
                self.keys[level] = None;
                self.key_allowed = false;
            }
            _ => {
                self.begin_block(
                    TokenKind::BlockMappingStart,
                    "mapping values are not allowed in this context",
                )?;
                self.key_allowed = !self.in_flow();
            }
        }
        self.indicator(TokenKind::Value)
    }

    /// An indicator of a block collection, which begins here if none at this column has.
    fn begin_block(&mut self, kind: TokenKind, problem: &'static str) -> Result<(), SyntaxError> {
        if self.in_flow() {
            return Ok(());
        }
        if !self.key_allowed {
            return Err(self.cursor.error(problem));
        }
        self.roll(self.cursor.column, self.queue.len(), kind, self.cursor.line)
    }

    fn roll(
        &mut self,
        column: usize,
        at: usize,
        kind: TokenKind,
        line: u32,
    ) -> Result<(), SyntaxError> {
        let column = column as isize;
        if self.in_flow() || self.indent >= column {
            return Ok(());
        }
        self.indents.push(self.indent);
        self.indent = column;
        if self.indents.len() > MAX_LEVELS {
            return Err(self.cursor.error(TOO_DEEP));
        }
        self.queue.insert(at, Token { line, kind });
        Ok(())
    }

    /// Ends the block collections that are further to the right.
    pub(super) fn unroll(&mut self, column: isize) {
        while !self.in_flow() && self.indent > column {
            let Cursor { line, .. } = self.cursor;
            let kind = TokenKind::BlockEnd;
            self.queue.push_back(Token { line, kind });
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    pub(super) fn save_key(&mut self) -> Result<(), SyntaxError> {
        if !self.key_allowed {
            return Ok(());
        }
        self.drop_key()?;
        let Cursor {
            index,
            line,
            column,
            ..
        } = self.cursor;
        let level = self.keys.len() - 1;
        self.keys[level] = Some(SimpleKey {
            required: !self.in_flow() && self.indent == column as isize,
            token: self.taken + self.queue.len(),
            index,
            line,
            column,
        });
        Ok(())
    }

    /// What stood at this level was no key.
    pub(super) fn drop_key(&mut self) -> Result<(), SyntaxError> {
        let level = self.keys.len() - 1;
        match self.keys[level].take() {
            Some(key) => self.require_none(key),
            None => Ok(()),
        }
    }
}
