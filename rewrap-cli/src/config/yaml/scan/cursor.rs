use crate::config::yaml::SyntaxError;

/// A place in the text.
pub(super) struct Cursor<'t> {
    text: &'t str,
    /// In bytes.
    at: usize,
    /// In characters, as columns are.
    pub(super) index: usize,
    pub(super) column: usize,
    /// Counted from 1.
    pub(super) line: u32,
    /// Whether the plain scalar that was read last has a line break behind it.
    pub(super) after_break: bool,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            index: 0,
            column: 0,
            line: 1,
            after_break: false,
        }
    }

    pub(super) fn error(&self, problem: &'static str) -> SyntaxError {
        SyntaxError::new(problem, self.line)
    }

    fn rest(&self, skip: usize) -> &'t str {
        self.text.get(self.at + skip..).unwrap_or_default()
    }

    pub(super) fn at_end(&self) -> bool {
        self.at == self.text.len()
    }

    /// A byte of the text ahead; 0 behind its end, as no text holds one.
    pub(super) fn byte(&self, ahead: usize) -> u8 {
        let bytes = self.text.as_bytes();
        bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    pub(super) fn char(&self) -> Option<char> {
        self.rest(0).chars().next()
    }

    pub(super) fn is_blank(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), b' ' | b'\t')
    }

    pub(super) fn is_break(&self, ahead: usize) -> bool {
        let char = self.rest(ahead).chars().next();
        matches!(char, Some('\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}'))
    }

    /// A line break or the end.
    pub(super) fn is_breakz(&self, ahead: usize) -> bool {
        self.is_break(ahead) || self.at + ahead >= self.text.len()
    }

    /// A blank, a line break or the end.
    pub(super) fn is_blankz(&self, ahead: usize) -> bool {
        self.is_blank(ahead) || self.is_breakz(ahead)
    }

    /// Whether letters of anchors, tags and directives are here.
    pub(super) fn is_alpha(&self) -> bool {
        matches!(self.byte(0), b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'-')
    }

    /// The first character of `---` or `...` at the begin of a line.
    pub(super) fn document_indicator(&self) -> Option<u8> {
        let rest = self.rest(0);
        let found = self.column == 0
            && (rest.starts_with("---") || rest.starts_with("..."))
            && self.is_blankz(3);
        found.then(|| self.byte(0))
    }

    /// Goes on by a character that is no line break.
    pub(super) fn skip(&mut self) {
        if let Some(char) = self.char() {
            self.at += char.len_utf8();
            self.index += 1;
            self.column += 1;
        }
    }

    pub(super) fn skip_blanks(&mut self) {
        while self.is_blank(0) {
            self.skip();
        }
    }

    pub(super) fn skip_comment(&mut self) {
        if self.byte(0) == b'#' {
            while !self.is_breakz(0) {
                self.skip();
            }
        }
    }

    /// Goes on to the next line if a break is here; gives back what it stands for in a text.
    pub(super) fn skip_line(&mut self) -> Option<char> {
        let char = self.char().filter(|_| self.is_break(0))?;
        let len = match self.rest(0).starts_with("\r\n") {
            true => 2,
            false => 1,
        };
        self.at += if len == 2 { 2 } else { char.len_utf8() };
        self.index += len;
        self.column = 0;
        self.line += 1;
        Some(match char {
            '\u{2028}' | '\u{2029}' => char,
            _ => '\n',
        })
    }

    /// Takes over a character that is no line break.
    pub(super) fn read(&mut self, text: &mut String) {
        text.extend(self.char());
        self.skip();
    }

    /// Takes over as many letters as there are.
    pub(super) fn read_alphas(&mut self, text: &mut String) {
        while self.is_alpha() {
            self.read(text);
        }
    }
}

/// Line breaks and blanks between the words of a scalar: what they become is known at the next word.
#[derive(Default)]
pub(super) struct Fold {
    blanks: String,
    /// The first line break.
    first: Option<char>,
    /// Those behind it.
    more: String,
    /// Whether blanks are indentation now.
    pub(super) broken: bool,
}

impl Fold {
    /// Reads over blanks and line breaks.
    pub(super) fn read(&mut self, cursor: &mut Cursor<'_>) {
        while cursor.is_blank(0) || cursor.is_break(0) {
            self.read_one(cursor);
        }
    }

    pub(super) fn read_one(&mut self, cursor: &mut Cursor<'_>) {
        match cursor.skip_line() {
            Some(char) if self.broken => self.more.push(char),
            Some(char) => {
                self.blanks.clear();
                self.first = Some(char);
                self.broken = true;
            }
            None if self.broken => cursor.skip(),
            None => cursor.read(&mut self.blanks),
        }
    }

    /// Adds what was read: one line break is a blank, more are one less.
    pub(super) fn join(&mut self, text: &mut String) {
        match (self.broken, self.first) {
            (true, Some('\n')) if self.more.is_empty() => text.push(' '),
            (true, Some('\n')) => text.push_str(&self.more),
            (true, first) => {
                text.extend(first);
                text.push_str(&self.more);
            }
            (false, _) => text.push_str(&self.blanks),
        }
        *self = Self::default();
    }
}
