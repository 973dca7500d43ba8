//! Files as an operator could write them: most of them right, many with one or two things wrong.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{layout, mutate, tree::Tree, words};
use crate::support::dice::Dice;

pub(super) const VERSION: &str = "apiserver.config.k8s.io/v1";
pub(super) const KIND: &str = "EncryptionConfiguration";

/// The next file. Where fields that nobody knows are ignored, some have one, which has to be YAML
/// all the same.
pub(super) fn file(ignores_unknown: bool, dice: &mut Dice) -> Vec<u8> {
    let mut tree = configuration(dice);
    // Of many strange things only the first would be judged.
    let strange = dice.below(12);
    if matches!(strange, 0..3) {
        mutate::tree(&mut tree, dice);
    }
    if matches!(strange, 3 | 4) && ignores_unknown {
        let ignored = match dice.below(2) {
            0 => Tree::Raw(mutate::soup(dice)),
            _ => mutate::wild(4, dice),
        };
        mutate::insert(&mut tree, ("ignored", ignored), dice);
    }
    let mut bytes = layout::write(&tree, matches!(strange, 2..7), dice);
    if matches!(strange, 6 | 7) {
        mutate::bytes(&mut bytes, dice);
    }
    bytes
}

/// One of the list; of the odd ones once in a while.
fn word<'w>(usual: &[&'w str], odd: &[&'w str], dice: &mut Dice) -> &'w str {
    let list = if dice.below(150) == 0 { odd } else { usual };
    dice.pick(list)
}

fn configuration(dice: &mut Dice) -> Tree {
    let (version, kind) = match dice.below(40) {
        0 => (dice.pick(words::VERSIONS), KIND),
        1 => (VERSION, dice.pick(words::KINDS)),
        2 => ("v1", "EncryptionConfig"),
        _ => (VERSION, KIND),
    };
    let mut entries = list(4, dice, entry);
    // What covers everything may only stand last.
    if dice.below(4) == 0 {
        entries.push(Tree::mapping([
            ("resources", Tree::Sequence(vec![Tree::text("*.*")])),
            ("providers", Tree::Sequence(list(2, dice, provider))),
        ]));
    }
    let mut fields = vec![
        ("apiVersion", Tree::text(version)),
        ("kind", Tree::text(kind)),
        ("resources", Tree::Sequence(entries)),
    ];
    let turn = dice.below(3);
    fields.rotate_left(turn);
    Tree::mapping(fields)
}

/// One to `most` elements; none once in a while.
fn list(most: usize, dice: &mut Dice, one: fn(&mut Dice) -> Tree) -> Vec<Tree> {
    let len = match dice.below(300) {
        0 => 0,
        _ => 1 + dice.below(most).min(dice.below(most)),
    };
    (0..len).map(|_| one(dice)).collect()
}

fn entry(dice: &mut Dice) -> Tree {
    let resource = |dice: &mut Dice| match dice.below(25) {
        0 => Tree::text(word(words::WILDCARDS, words::ODD_RESOURCES, dice)),
        _ => Tree::text(word(words::RESOURCES, words::ODD_RESOURCES, dice)),
    };
    let mut resources = list(3, dice, resource);
    // The same twice in a list is an error; more often than by mistake it need not be made.
    if dice.below(10) != 0 {
        resources.dedup_by(|one, other| one.is_same_text(other));
    }
    let providers = list(4, dice, provider);
    Tree::mapping([
        ("resources", Tree::Sequence(resources)),
        ("providers", Tree::Sequence(providers)),
    ])
}

fn provider(dice: &mut Dice) -> Tree {
    let (name, value) = match dice.below(6) {
        0 => ("identity", Tree::Mapping(Vec::new())),
        1 => ("aesgcm", keys(&[16, 24, 32], dice)),
        2 => ("aescbc", keys(&[16, 24, 32], dice)),
        3 => ("secretbox", keys(&[32], dice)),
        _ => ("kms", kms(dice)),
    };
    Tree::mapping([(name, value)])
}

fn keys(lengths: &[usize], dice: &mut Dice) -> Tree {
    let keys = (0..1 + dice.below(3)).map(|_| {
        let length = match dice.below(250) {
            0 => dice.pick(&[0, 1, 15, 16, 17, 24, 31, 33, 48]),
            _ => dice.pick(lengths),
        };
        Tree::mapping([
            ("name", Tree::text(word(words::KEYS, words::SLIPPERY, dice))),
            ("secret", Tree::Text(secret(length, dice))),
        ])
    });
    Tree::mapping([("keys", Tree::Sequence(keys.collect()))])
}

/// Base64 of so many bytes, sometimes with what Go lets pass or does not.
fn secret(length: usize, dice: &mut Dice) -> String {
    // Few keys, so that some are the same.
    let byte = dice.below(4) as u8;
    let mut text = BASE64_STANDARD.encode(vec![byte.wrapping_mul(0x55) | 3; length]);
    let at = dice.below(text.len() + 1);
    match dice.below(600) {
        0 => text.insert(at, '\n'),
        1 => text.insert(at, '\r'),
        2 => text.insert(at, ' '),
        3 => text.insert(at, '\t'),
        4 => text = text.trim_end_matches('=').to_owned(),
        5 => text.push('='),
        6 => text = text.replace('A', "-").replace('/', "_"),
        7 => text.insert(at, '='),
        8 => text = text.replacen("w=", "x=", 1).replacen("M=", "N=", 1),
        9 => text.insert_str(at, "===="),
        10 => text.insert(at, 'é'),
        11 => text.insert(text.trim_end_matches('=').len(), '\n'),
        12 => text.push('\n'),
        13 => text.push_str("AAAA"),
        14 => text.truncate(at),
        _ => {}
    }
    text
}

fn kms(dice: &mut Dice) -> Tree {
    let mut fields = Vec::new();
    match dice.below(30) {
        0 | 1 => {}
        2 if dice.below(8) == 0 => {
            fields.push(("apiVersion", Tree::text(dice.pick(words::KMS_VERSIONS))))
        }
        _ => fields.push(("apiVersion", Tree::text("v2"))),
    }
    fields.push((
        "name",
        Tree::text(word(words::PROVIDERS, words::SLIPPERY, dice)),
    ));
    let endpoints = match dice.below(60) {
        0 => words::ODD_ENDPOINTS,
        _ => words::ENDPOINTS,
    };
    fields.push(("endpoint", Tree::text(dice.pick(endpoints))));
    let timeout = match dice.below(60) {
        0..20 => None,
        20 => Some(Tree::text(dice.pick(words::ODD_DURATIONS))),
        21 => Some(Tree::raw(dice.pick(words::NUMBERS))),
        _ => Some(Tree::text(dice.pick(words::DURATIONS))),
    };
    fields.extend(timeout.map(|timeout| ("timeout", timeout)));
    if dice.below(60) == 0 {
        fields.push(("cachesize", Tree::raw(dice.pick(words::NUMBERS))));
    }
    Tree::mapping(fields)
}
