//! One thing wrong, or only strange.

use super::{tree::Tree, words};
use crate::support::dice::Dice;

/// Changes a node, key or value, or what a collection holds.
pub(super) fn tree(root: &mut Tree, dice: &mut Dice) {
    let number = dice.below(root.len());
    let copied = root.node(dice.below(root.len())).cloned();
    let Some(node) = root.node(number) else {
        unreachable!("the number is below the length");
    };
    let taken = std::mem::replace(node, Tree::raw("~"));
    *node = match dice.below(9) {
        // Null in each place.
        0 => Tree::raw(dice.pick(&["~", "null", ""])),
        1 => Tree::raw(dice.pick(words::RAW)),
        2 => Tree::text(dice.pick(words::SLIPPERY)),
        3 => Tree::raw(dice.pick(words::SLIPPERY)),
        4 => Tree::text(dice.pick(words::FIELDS)),
        5 => copied.unwrap_or(taken),
        6 => Tree::Sequence(vec![taken]),
        _ => collection(taken, copied, dice),
    };
}

/// An element more or less, or in another place.
fn collection(node: Tree, copied: Option<Tree>, dice: &mut Dice) -> Tree {
    match node {
        Tree::Sequence(mut elements) if !elements.is_empty() => {
            let at = dice.below(elements.len());
            match dice.below(4) {
                0 => drop(elements.remove(at)),
                1 => elements.insert(at, elements[at].clone()),
                2 => elements.extend(copied),
                _ => elements.rotate_left(at),
            }
            Tree::Sequence(elements)
        }
        Tree::Mapping(mut entries) if !entries.is_empty() => {
            let at = dice.below(entries.len());
            let (key, value) = entries[at].clone();
            match dice.below(6) {
                0 => drop(entries.remove(at)),
                // A duplicate, of the same value or of another.
                1 => entries.push((key, value)),
                2 => entries.insert(at, (key, copied.unwrap_or(value))),
                3 => entries.push((Tree::text(dice.pick(words::FIELDS)), value)),
                4 => entries[at].0 = Tree::text(dice.pick(words::FIELDS)),
                _ => {
                    entries.remove(at);
                    let merged = Tree::Mapping(vec![(key, value)]);
                    let merged = match dice.below(3) {
                        0 => {
                            Tree::Sequence(vec![merged, copied.unwrap_or_else(|| Tree::raw("*t"))])
                        }
                        _ => merged,
                    };
                    let at = dice.below(entries.len() + 1);
                    entries.insert(at, (Tree::raw("<<"), merged));
                }
            }
            Tree::Mapping(entries)
        }
        node => node,
    }
}

/// Puts a field among those of the root.
pub(super) fn insert(root: &mut Tree, (name, value): (&str, Tree), dice: &mut Dice) {
    if let Tree::Mapping(entries) = root {
        let at = dice.below(entries.len() + 1);
        entries.insert(at, (Tree::text(name), value));
    }
}

/// A value of any form and depth.
pub(super) fn wild(depth: usize, dice: &mut Dice) -> Tree {
    match dice.below(if depth == 0 { 4 } else { 8 }) {
        0 | 1 => Tree::raw(dice.pick(words::RAW)),
        2 => Tree::raw(dice.pick(words::SLIPPERY)),
        3 => Tree::text(dice.pick(words::SLIPPERY)),
        4 | 5 => Tree::Sequence((0..dice.below(4)).map(|_| wild(depth - 1, dice)).collect()),
        _ => Tree::Mapping(
            (0..dice.below(4))
                .map(|_| (wild(depth.min(1) - 1, dice), wild(depth - 1, dice)))
                .collect(),
        ),
    }
}

/// Some text that may be YAML, in a place where a value is due.
pub(super) fn soup(dice: &mut Dice) -> String {
    let list = [words::TOKENS, words::RAW, words::SLIPPERY];
    (0..1 + dice.below(10))
        .map(|_| match dice.below(12) {
            0 => {
                let list = dice.pick(&list);
                dice.pick(list)
            }
            _ => dice.pick(words::TOKENS),
        })
        .collect()
}

/// Changes the text without regard to what it means.
pub(super) fn bytes(file: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.below(file.len() + 1);
    let end = (at + 1 + dice.below(4)).min(file.len());
    match dice.below(8) {
        0 => drop(file.drain(at..end)),
        1 => drop(file.splice(at..end, dice.pick(words::TOKENS).bytes())),
        2 => file.truncate(at),
        3 => file.insert(at, dice.below(256) as u8),
        4 => {
            let run = file[at..end].to_vec();
            let to = dice.below(file.len() + 1);
            file.splice(to..to, run);
        }
        _ => drop(file.splice(at..at, dice.pick(words::TOKENS).bytes())),
    }
}
