use super::{
    TokenKind,
    cursor::{Cursor, Fold},
};
use crate::config::yaml::SyntaxError;

impl Cursor<'_> {
    /// A scalar without quotes; `indent` is the least column of its further lines.
    pub(super) fn plain(&mut self, indent: isize, flow: bool) -> Result<TokenKind, SyntaxError> {
        let mut text = String::new();
        let mut fold = Fold::default();
        while self.document_indicator().is_none() && self.byte(0) != b'#' {
            while !self.is_blankz(0) && !self.ends_plain(flow) {
                fold.join(&mut text);
                self.read(&mut text);
            }
            if !self.is_blank(0) && !self.is_break(0) {
                break;
            }
            while self.is_blank(0) || self.is_break(0) {
                if fold.broken && self.byte(0) == b'\t' && (self.column as isize) < indent {
                    return Err(self.error("found a tab character that violates indentation"));
                }
                fold.read_one(self);
            }
            if !flow && (self.column as isize) < indent {
                break;
            }
        }
        self.after_break = fold.broken;
        Ok(TokenKind::Scalar {
            text: text.into(),
            plain: true,
        })
    }

    fn ends_plain(&self, flow: bool) -> bool {
        match self.byte(0) {
            b':' => self.is_blankz(1),
            b',' | b'?' | b'[' | b']' | b'{' | b'}' => flow,
            _ => false,
        }
    }
}
