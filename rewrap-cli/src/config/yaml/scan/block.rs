use super::{TokenKind, cursor::Cursor};
use crate::config::yaml::SyntaxError;

impl Cursor<'_> {
    /// A scalar behind `|` or `>`; `around` is the column of the collection that it is in.
    pub(super) fn block(&mut self, around: isize) -> Result<TokenKind, SyntaxError> {
        let literal = self.byte(0) == b'|';
        self.skip();
        let (chomping, increment) = self.block_header()?;
        let indent = increment.map(|increment| (around.max(0) + increment) as usize);
        let mut text = String::new();
        // The break behind the last line, and the empty lines that follow.
        let mut last = None;
        let (mut indent, mut empty) = self.block_breaks(indent, around)?;
        let mut indented = false;
        while self.column == indent && !self.at_end() {
            let blank = self.is_blank(0);
            match last {
                Some('\n') if !literal && !indented && !blank => {
                    if empty.is_empty() {
                        text.push(' ');
                    }
                }
                last => text.extend(last),
            }
            text.push_str(&empty);
            indented = blank;
            while !self.is_breakz(0) {
                self.read(&mut text);
            }
            last = self.skip_line();
            (indent, empty) = self.block_breaks(Some(indent), around)?;
        }
        if chomping != Some(b'-') {
            text.extend(last);
        }
        if chomping == Some(b'+') {
            text.push_str(&empty);
        }
        Ok(TokenKind::Scalar {
            text: text.into(),
            plain: false,
        })
    }

    /// The chomping indicator and the depth of indentation, in any order, and the rest of the line.
    fn block_header(&mut self) -> Result<(Option<u8>, Option<isize>), SyntaxError> {
        let mut chomping = None;
        let mut increment = None;
        for _ in 0..2 {
            match self.byte(0) {
                byte @ (b'+' | b'-') if chomping.is_none() => chomping = Some(byte),
                b'0' if increment.is_none() => {
                    return Err(self.error("found an indentation indicator equal to 0"));
                }
                byte @ b'1'..=b'9' if increment.is_none() => {
                    increment = Some(isize::from(byte - b'0'));
                }
                _ => break,
            }
            self.skip();
        }
        self.skip_blanks();
        self.skip_comment();
        if !self.is_breakz(0) {
            return Err(self.error("did not find expected comment or line break"));
        }
        self.skip_line();
        Ok((chomping, increment))
    }

    /// Reads over empty lines and indentation, of which the first line decides how deep it is.
    fn block_breaks(
        &mut self,
        indent: Option<usize>,
        around: isize,
    ) -> Result<(usize, String), SyntaxError> {
        let mut breaks = String::new();
        let mut deepest = 0;
        loop {
            let within = |column| indent.is_none_or(|indent| column < indent);
            while within(self.column) && self.byte(0) == b' ' {
                self.skip();
            }
            deepest = deepest.max(self.column);
            if within(self.column) && self.byte(0) == b'\t' {
                return Err(
                    self.error("found a tab character where an indentation space is expected")
                );
            }
            match self.skip_line() {
                Some(char) => breaks.push(char),
                None => break,
            }
        }
        let found = deepest.max((around + 1).max(1) as usize);
        Ok((indent.unwrap_or(found), breaks))
    }
}
