//! Anchors, tags and directives.

use super::{TokenKind, cursor::Cursor};
use crate::config::yaml::SyntaxError;

impl Cursor<'_> {
    /// The name behind `&` or `*`.
    pub(super) fn anchor(&mut self) -> Result<String, SyntaxError> {
        self.skip();
        let mut name = String::new();
        self.read_alphas(&mut name);
        let ends = self.is_blankz(0)
            || matches!(
                self.byte(0),
                b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`'
            );
        match name.is_empty() || !ends {
            true => Err(self.error("did not find expected alphabetic or numeric character")),
            false => Ok(name),
        }
    }

    pub(super) fn tag(&mut self) -> Result<TokenKind, SyntaxError> {
        let (handle, suffix) = if self.byte(1) == b'<' {
            self.skip();
            self.skip();
            let uri = self.uri(None)?;
            if self.byte(0) != b'>' {
                return Err(self.error("did not find the expected '>'"));
            }
            self.skip();
            (String::new(), uri)
        } else {
            let handle = self.tag_handle(false)?;
            if handle.len() > 1 && handle.ends_with('!') {
                let suffix = self.uri(None)?;
                (handle, suffix)
            } else {
                match self.uri(Some(&handle))? {
                    // The tag `!` alone.
                    suffix if suffix.is_empty() => (String::new(), "!".to_owned()),
                    suffix => ("!".to_owned(), suffix),
                }
            }
        };
        match self.is_blankz(0) {
            true => Ok(TokenKind::Tag { handle, suffix }),
            false => Err(self.error("did not find expected whitespace or line break")),
        }
    }

    /// `!`, `!!`, `!name!`; outside of directives also `!name`, the begin of a tag.
    fn tag_handle(&mut self, directive: bool) -> Result<String, SyntaxError> {
        if self.byte(0) != b'!' {
            return Err(self.error("did not find expected '!'"));
        }
        let mut handle = String::new();
        self.read(&mut handle);
        self.read_alphas(&mut handle);
        if self.byte(0) == b'!' {
            self.read(&mut handle);
        } else if directive && handle != "!" {
            return Err(self.error("did not find expected '!'"));
        }
        Ok(handle)
    }

    /// The rest of a tag of which the handle is read already, or a whole one.
    fn uri(&mut self, handle: Option<&str>) -> Result<String, SyntaxError> {
        let mut uri = handle.map_or(String::new(), |handle| handle[1..].to_owned());
        let mut found = handle.is_some();
        loop {
            if self.byte(0) == b'%' {
                self.uri_escape(&mut uri)?;
            } else if self.is_alpha() || b";/?:@&=+$,.!~*'()[]".contains(&self.byte(0)) {
                self.read(&mut uri);
            } else {
                break;
            }
            found = true;
        }
        match found {
            true => Ok(uri),
            false => Err(self.error("did not find expected tag URI")),
        }
    }

    /// The escaped bytes of one character.
    fn uri_escape(&mut self, uri: &mut String) -> Result<(), SyntaxError> {
        let mut bytes = Vec::new();
        let mut width = 1;
        while bytes.len() < width {
            let digit = |ahead| char::from(self.byte(ahead)).to_digit(16);
            let byte = match (self.byte(0), digit(1), digit(2)) {
                (b'%', Some(high), Some(low)) => (high << 4 | low) as u8,
                _ => return Err(self.error("did not find URI escaped octet")),
            };
            if bytes.is_empty() {
                width = match byte {
                    0..=0x7f => 1,
                    0xc0..=0xdf => 2,
                    0xe0..=0xef => 3,
                    0xf0..=0xf7 => 4,
                    _ => return Err(self.error("found an incorrect leading UTF-8 octet")),
                };
            } else if byte & 0xc0 != 0x80 {
                return Err(self.error("found an incorrect trailing UTF-8 octet"));
            }
            bytes.push(byte);
            (0..3).for_each(|_| self.skip());
        }
        // What is no character is in no tag that means something.
        uri.push_str(&String::from_utf8_lossy(&bytes));
        Ok(())
    }

    pub(super) fn directive(&mut self) -> Result<TokenKind, SyntaxError> {
        self.skip();
        let mut name = String::new();
        self.read_alphas(&mut name);
        if name.is_empty() {
            return Err(self.error("could not find expected directive name"));
        }
        if !self.is_blankz(0) {
            return Err(self.error("found unexpected non-alphabetical character"));
        }
        self.skip_blanks();
        let kind = match name.as_str() {
            "YAML" => self.version()?,
            "TAG" => self.tag_directive()?,
            _ => return Err(self.error("found unknown directive name")),
        };
        self.skip_blanks();
        self.skip_comment();
        if !self.is_breakz(0) {
            return Err(self.error("did not find expected comment or line break"));
        }
        self.skip_line();
        Ok(kind)
    }

    fn version(&mut self) -> Result<TokenKind, SyntaxError> {
        let major = self.version_number()?;
        if self.byte(0) != b'.' {
            return Err(self.error("did not find expected digit or '.' character"));
        }
        self.skip();
        let minor = self.version_number()?;
        Ok(TokenKind::VersionDirective { major, minor })
    }

    /// Two digits at most.
    fn version_number(&mut self) -> Result<u8, SyntaxError> {
        let mut digits = String::new();
        while self.byte(0).is_ascii_digit() {
            self.read(&mut digits);
        }
        match digits.len() {
            1 | 2 => Ok(digits.parse().unwrap_or(u8::MAX)),
            0 => Err(self.error("did not find expected version number")),
            _ => Err(self.error("found extremely long version number")),
        }
    }

    fn tag_directive(&mut self) -> Result<TokenKind, SyntaxError> {
        let handle = self.tag_handle(true)?;
        if !self.is_blank(0) {
            return Err(self.error("did not find expected whitespace"));
        }
        self.skip_blanks();
        let prefix = self.uri(None)?;
        match self.is_blankz(0) {
            true => Ok(TokenKind::TagDirective { handle, prefix }),
            false => Err(self.error("did not find expected whitespace or line break")),
        }
    }
}
