use super::{
    TokenKind,
    cursor::{Cursor, Fold},
};
use crate::config::yaml::SyntaxError;

impl Cursor<'_> {
    pub(super) fn single_quoted(&mut self) -> Result<TokenKind, SyntaxError> {
        self.quoted(b'\'')
    }

    pub(super) fn double_quoted(&mut self) -> Result<TokenKind, SyntaxError> {
        self.quoted(b'"')
    }

    fn quoted(&mut self, quote: u8) -> Result<TokenKind, SyntaxError> {
        self.skip();
        let mut text = String::new();
        loop {
            if self.document_indicator().is_some() {
                return Err(self.error("found unexpected document indicator"));
            }
            if self.at_end() {
                return Err(self.error("found unexpected end of stream"));
            }
            let mut fold = Fold::default();
            while !self.is_blankz(0) {
                let byte = self.byte(0);
                if quote == b'\'' && byte == quote && self.byte(1) == quote {
                    text.push('\'');
                    self.skip();
                    self.skip();
                } else if byte == quote {
                    break;
                } else if quote == b'"' && byte == b'\\' && self.is_break(1) {
                    // The break is none; what indents the next line is not part of the text.
                    self.skip();
                    self.skip_line();
                    fold.broken = true;
                    break;
                } else if quote == b'"' && byte == b'\\' {
                    text.push(self.escape()?);
                } else {
                    self.read(&mut text);
                }
            }
            if self.byte(0) == quote {
                self.skip();
                return Ok(TokenKind::Scalar {
                    text: text.into(),
                    plain: false,
                });
            }
            fold.read(self);
            fold.join(&mut text);
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        self.skip();
        let (char, digits) = match self.byte(0) {
            b'0' => ('\0', 0),
            b'a' => ('\u{7}', 0),
            b'b' => ('\u{8}', 0),
            b't' | b'\t' => ('\t', 0),
            b'n' => ('\n', 0),
            b'v' => ('\u{b}', 0),
            b'f' => ('\u{c}', 0),
            b'r' => ('\r', 0),
            b'e' => ('\u{1b}', 0),
            byte @ (b' ' | b'"' | b'\'' | b'\\') => (char::from(byte), 0),
            b'N' => ('\u{85}', 0),
            b'_' => ('\u{a0}', 0),
            b'L' => ('\u{2028}', 0),
            b'P' => ('\u{2029}', 0),
            b'x' => ('\0', 2),
            b'u' => ('\0', 4),
            b'U' => ('\0', 8),
            _ => return Err(self.error("found unknown escape character")),
        };
        self.skip();
        if digits == 0 {
            return Ok(char);
        }
        let mut code = 0;
        for _ in 0..digits {
            let digit = char::from(self.byte(0)).to_digit(16);
            code = code * 16
                + digit.ok_or_else(|| self.error("did not find expected hexdecimal number"))?;
            self.skip();
        }
        char::from_u32(code)
            .ok_or_else(|| self.error("found invalid Unicode character escape code"))
    }
}
