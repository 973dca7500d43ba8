//! A tree written down: block style, flow style or JSON, with every liberty that YAML gives.

mod scalar;

use super::tree::Tree;
use crate::support::dice::Dice;

/// Writes a whole file.
pub(super) fn write(tree: &Tree, lively: bool, dice: &mut Dice) -> Vec<u8> {
    let json = dice.below(8) == 0;
    let mut writer = Writer {
        out: String::new(),
        json,
        lively,
        nodes: tree.len(),
        indent: dice.pick(&[1, 2, 2, 2, 4, 7]),
        anchors: 0,
        dice,
    };
    match json || writer.one_in(6) {
        true => writer.flow(tree),
        false => writer.block(tree, 0),
    }
    writer.out.push('\n');
    let Writer { mut out, dice, .. } = writer;
    if lively && dice.below(4) == 0 {
        surround(&mut out, dice);
    }
    if lively && dice.below(12) == 0 {
        out = out.replace('\n', "\r\n");
    }
    match if lively { dice.below(60) } else { 2 } {
        0 => out.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        1 => out.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        _ => out.into_bytes(),
    }
}

/// A tree in block style, in flow style and in JSON.
pub(super) fn ways(tree: &Tree) -> [Vec<u8>; 3] {
    [0, 1, 2].map(|way| {
        let mut writer = Writer {
            out: String::new(),
            json: way == 2,
            lively: false,
            nodes: 1,
            indent: 2,
            anchors: 0,
            dice: &mut Dice::from(0),
        };
        match way {
            0 => writer.block(tree, 0),
            _ => writer.flow(tree),
        }
        // Flow style begins like JSON.
        let start = if way == 1 { "--- " } else { "" };
        format!("{start}{}\n", writer.out).into_bytes()
    })
}

/// What stands before and behind the document.
fn surround(out: &mut String, dice: &mut Dice) {
    let mut before = |text: &str| out.insert_str(0, text);
    match dice.below(12) {
        0 => before("---\n"),
        1 => before("--- "),
        2 => before("# a comment\n"),
        3 => before(dice.pick(&[
            "%YAML 1.1\n---\n",
            "%YAML 1.2\n---\n",
            "%YAML 1.0\n---\n",
            "%TAG ! tag:x,2026:\n---\n",
            "%X y\n---\n",
            "%YAML 1.1\n",
            "%YAML 1.1\n%YAML 1.1\n---\n",
            "%TAG !e! tag:yaml.org,2002:\n---\n",
            "%YAML 1.1 # c\n---\n",
        ])),
        4 => before(dice.pick(&[
            "\n", " ", "  \n", "\t", "\t\n", "\u{a0}", "\u{85}", "\u{b}", "\u{3000}",
        ])),
        5 => before("...\n"),
        _ => {}
    }
    if dice.below(8) == 0 {
        out.insert(0, '\u{feff}');
    }
    match dice.below(8) {
        0 => out.push_str("---\nother: document\n"),
        1 => out.push_str("...\n"),
        2 => out.push_str(dice.pick(&[
            "...\n---\n{",
            "---\n[",
            "}",
            "]",
            "x",
            "x: y\n",
            "  # c",
            "--- # c\n...\n",
            "... x\n",
            "%YAML 1.1\n",
            "\t",
            "\t\n",
            "\u{0}",
            " {}",
            "{}",
            ",",
            "---",
            "\n\n\n",
            "-",
            "- a\n",
        ])),
        _ => {}
    }
}

struct Writer<'d> {
    out: String,
    json: bool,
    /// Whether it takes liberties.
    lively: bool,
    nodes: usize,
    indent: usize,
    anchors: usize,
    dice: &'d mut Dice,
}

impl Writer<'_> {
    /// Whether to take a liberty: one time in so many in a small file, more seldom in a large one.
    fn one_in(&mut self, many: usize) -> bool {
        self.lively && self.dice.below(many * self.nodes) < 15
    }

    /// In a place where the line is begun already with `indent` blanks.
    fn block(&mut self, tree: &Tree, indent: usize) {
        match tree {
            Tree::Mapping(entries) if !entries.is_empty() => {
                for (number, (key, value)) in entries.iter().enumerate() {
                    if number > 0 {
                        self.line(indent);
                    }
                    self.key(key);
                    self.value(value, indent);
                }
            }
            Tree::Sequence(elements) if !elements.is_empty() => {
                for (number, element) in elements.iter().enumerate() {
                    if number > 0 {
                        self.line(indent);
                    }
                    self.out.push('-');
                    match element {
                        Tree::Mapping(entries) if !entries.is_empty() && !self.one_in(6) => {
                            self.out.push(' ');
                            self.block(element, indent + 2);
                        }
                        _ => self.value(element, indent),
                    }
                }
            }
            _ => self.scalar(tree, Some(indent)),
        }
    }

    fn key(&mut self, key: &Tree) {
        if self.one_in(60) {
            self.out.push_str("? ");
            self.flow(key);
            self.line(0);
        } else {
            self.flow(key);
            if self.one_in(30) {
                self.out.push(' ');
            }
        }
        self.out.push(':');
    }

    /// Behind a colon or a dash.
    fn value(&mut self, tree: &Tree, indent: usize) {
        self.gap();
        let empty = match tree {
            Tree::Sequence(elements) => elements.is_empty(),
            Tree::Mapping(entries) => entries.is_empty(),
            Tree::Text(_) | Tree::Raw(_) => {
                return self.scalar(tree, Some(indent));
            }
        };
        if self.alias() {
            return;
        }
        self.anchor();
        if empty || self.one_in(6) {
            return self.flow(tree);
        }
        self.comment();
        // A sequence may stand at the same depth as its key.
        let deeper = match tree {
            Tree::Sequence(_) if self.dice.below(2) == 0 => indent,
            _ => indent + self.indent,
        };
        self.line(deeper);
        self.block(tree, deeper);
    }

    fn flow(&mut self, tree: &Tree) {
        if !matches!(tree, Tree::Text(_) | Tree::Raw(_)) {
            if self.alias() {
                return;
            }
            self.anchor();
        }
        match tree {
            Tree::Text(_) | Tree::Raw(_) => self.scalar(tree, None),
            Tree::Sequence(elements) => {
                self.out.push('[');
                for (number, element) in elements.iter().enumerate() {
                    self.comma(number);
                    self.flow(element);
                }
                self.out.push(']');
            }
            Tree::Mapping(entries) => {
                self.out.push('{');
                for (number, (key, value)) in entries.iter().enumerate() {
                    self.comma(number);
                    self.flow(key);
                    self.out.push(':');
                    if !self.json || self.dice.below(2) == 0 {
                        self.gap();
                    }
                    self.flow(value);
                }
                self.out.push('}');
            }
        }
    }

    fn comma(&mut self, number: usize) {
        if number > 0 {
            self.out.push(',');
            if self.dice.below(8) == 0 {
                self.out.push('\n');
            }
            self.gap();
        }
    }

    fn gap(&mut self) {
        let gap = match self.one_in(20) {
            true => self.dice.pick(&["  ", "\t", " \t", "\t "]),
            false => " ",
        };
        self.out.push_str(gap);
    }

    fn line(&mut self, indent: usize) {
        self.comment();
        self.out.push('\n');
        if self.one_in(40) {
            self.out.push_str(self.dice.pick(&[
                "\n",
                "  \n",
                "# c\n",
                "    # c\n",
                "\t\n",
                "\t# c\n",
            ]));
        }
        let off = match self.one_in(150) {
            true => 1,
            false => 0,
        };
        self.out.push_str(&" ".repeat(indent + off));
    }

    fn comment(&mut self) {
        if !self.json && self.one_in(40) {
            self.out
                .push_str(self.dice.pick(&[" # a: comment", " #", "\t# c", " # é"]));
        }
    }

    fn anchor(&mut self) {
        if !self.json && self.one_in(25) {
            self.anchors += 1;
            self.out += &format!("&a{} ", self.anchors);
        }
    }

    fn alias(&mut self) -> bool {
        let stands = self.anchors > 0 && !self.json && self.one_in(12);
        if stands {
            self.out += &format!("*a{} ", 1 + self.dice.below(self.anchors));
        }
        stands
    }
}
