//! Every word in every place that it is meant for, in a file that is right but for that.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{
    grammar::{KIND, VERSION},
    layout,
    tree::Tree,
    words,
};

/// A file with a word in its place.
type Place = fn(Tree) -> Tree;

/// The files, each in block style, in flow style and in JSON.
pub(super) fn files() -> Vec<Vec<u8>> {
    let text = |words: &[&str]| words.iter().copied().map(Tree::text).collect::<Vec<_>>();
    let raw = |words: &[&str]| words.iter().copied().map(Tree::raw).collect::<Vec<_>>();
    let any = [raw(words::RAW), raw(words::SLIPPERY), text(words::SLIPPERY)].concat();
    let numbers = [raw(words::NUMBERS), any.clone()].concat();
    let durations = [text(words::ODD_DURATIONS), numbers.clone()].concat();
    let resources = [text(words::ODD_RESOURCES), any.clone()].concat();
    let places: [(_, Place); 11] = [
        (text(words::VERSIONS), |version| {
            file(version, Tree::text(KIND), secrets(), identity())
        }),
        (text(words::KINDS), |kind| {
            file(Tree::text(VERSION), kind, secrets(), identity())
        }),
        (resources, |resource| {
            file(Tree::text(VERSION), Tree::text(KIND), resource, identity())
        }),
        (any.clone(), |name| {
            secretbox(name, Tree::Text(BASE64_STANDARD.encode([7; 32])))
        }),
        (text(words::SECRETS), |secret| {
            secretbox(Tree::text("key"), secret)
        }),
        (any.clone(), |name| kms("v1", "name", name)),
        (any, |name| kms("v2", "name", name)),
        (text(words::ODD_ENDPOINTS), |endpoint| {
            kms("v2", "endpoint", endpoint)
        }),
        (durations, |timeout| kms("v2", "timeout", timeout)),
        (numbers, |size| kms("v1", "cachesize", size)),
        (text(words::KMS_VERSIONS), |version| {
            kms("v2", "apiVersion", version)
        }),
    ];
    let trees = places
        .into_iter()
        .flat_map(|(words, place)| words.into_iter().map(place));
    trees.flat_map(|tree| layout::ways(&tree)).collect()
}

fn file(version: Tree, kind: Tree, resource: Tree, provider: Tree) -> Tree {
    let entry = Tree::mapping([
        ("resources", Tree::Sequence(vec![resource])),
        ("providers", Tree::Sequence(vec![provider])),
    ]);
    Tree::mapping([
        ("apiVersion", version),
        ("kind", kind),
        ("resources", Tree::Sequence(vec![entry])),
    ])
}

fn secrets() -> Tree {
    Tree::text("secrets")
}

fn identity() -> Tree {
    Tree::mapping([("identity", Tree::Mapping(Vec::new()))])
}

fn secretbox(name: Tree, secret: Tree) -> Tree {
    let key = Tree::mapping([("name", name), ("secret", secret)]);
    let keys = Tree::mapping([("keys", Tree::Sequence(vec![key]))]);
    let provider = Tree::mapping([("secretbox", keys)]);
    file(Tree::text(VERSION), Tree::text(KIND), secrets(), provider)
}

/// A KMS provider of which one field is given.
fn kms(version: &str, field: &'static str, value: Tree) -> Tree {
    let mut fields = vec![
        ("apiVersion", Tree::text(version)),
        ("name", Tree::text("vault")),
        (
            "endpoint",
            Tree::text("unix:///run/ringfence.test/kms.sock"),
        ),
    ];
    fields.retain(|(name, _)| *name != field);
    fields.push((field, value));
    let provider = Tree::mapping([("kms", Tree::mapping(fields))]);
    file(Tree::text(VERSION), Tree::text(KIND), secrets(), provider)
}
