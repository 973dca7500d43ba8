use super::Writer;
use crate::loader::{tree::Tree, words};

impl Writer<'_> {
    /// `indent` is that of the mapping around it; None in flow style.
    pub(super) fn scalar(&mut self, tree: &Tree, indent: Option<usize>) {
        if !self.json && self.alias() {
            return;
        }
        if !self.json {
            self.anchor();
        }
        let text = match tree {
            Tree::Raw(text) => {
                self.out.push_str(text);
                return;
            }
            Tree::Text(text) => text,
            Tree::Sequence(_) | Tree::Mapping(_) => return self.flow(tree),
        };
        if self.json {
            return self.double(text);
        }
        let simple = !text.is_empty()
            && text
                .chars()
                .all(|char| char.is_ascii_alphanumeric() || "./:_-+=".contains(char))
            && !text.ends_with(':')
            && !words::SLIPPERY.contains(&text.as_str());
        match (indent, self.dice.below(8)) {
            (Some(indent), 0) if self.lively => self.literal(text, indent),
            (_, 0..6) if simple => self.out.push_str(text),
            (_, 0) if self.lively => self.out.push_str(text),
            (_, 1..5) if !text.contains(|char: char| char.is_control()) => {
                self.out += &format!("'{}'", text.replace('\'', "''"));
            }
            _ => self.double(text),
        }
    }

    fn double(&mut self, text: &str) {
        self.out.push('"');
        for char in text.chars() {
            let code = u32::from(char);
            match char {
                '"' | '\\' => self.out.extend(['\\', char]),
                '\n' => self.out.push_str("\\n"),
                ' '..='~' if !self.one_in(60) => self.out.push(char),
                _ if code <= 0xff && !self.json && self.dice.below(2) == 0 => {
                    self.out += &format!("\\x{code:02x}");
                }
                _ if code > 0xffff && !self.json => self.out += &format!("\\U{code:08x}"),
                _ if code >= 0x80 && self.dice.below(2) == 0 => self.out.push(char),
                _ => {
                    for unit in char.encode_utf16(&mut [0; 2]) {
                        self.out += &format!("\\u{unit:04x}");
                    }
                }
            }
        }
        self.out.push('"');
    }

    fn literal(&mut self, text: &str, indent: usize) {
        let deeper = " ".repeat(indent + self.indent);
        self.out
            .push_str(self.dice.pick(&["|", "|-", "|+", ">", ">-", "| # c"]));
        for line in text.split('\n') {
            self.out += &format!("\n{deeper}{line}");
        }
    }
}
