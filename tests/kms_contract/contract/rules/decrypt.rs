//! What Decrypt must not open.

use crate::contract::{
    Outcome, Rule,
    call::Call,
    failed,
    message::Wrapped,
    session::{Session, refused},
};

/// How many bytes of one annotation are altered one after the other.
const ALTERED_BYTES: usize = 256;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "unknown-key-id",
        asks: "Decrypt refuses every key id but the one that Encrypt answered",
        source: "kubernetes.io: Using a KMS provider, KMS v2 (plugins must verify the key_id)",
        check: |session| Box::pin(unknown_key_id(session)),
    },
    Rule {
        name: "altered-ciphertext",
        asks: "Decrypt refuses a ciphertext of which any byte was changed, taken away or added",
        source: "kubernetes.io: Using a KMS provider, KMS v2 (plugins must be sure that they encrypted it)",
        check: |session| Box::pin(altered_ciphertext(session)),
    },
    Rule {
        name: "altered-annotations",
        asks: "Decrypt refuses annotations that were changed, taken away, renamed or added",
        source: "kubernetes.io: Using a KMS provider, KMS v2 (plugins must be sure that they encrypted it); k8s.io/apiserver: kmsv2/envelope.go, generateCacheKey (they are part of what a DEK source is)",
        check: |session| Box::pin(altered_annotations(session)),
    },
];

async fn unknown_key_id(session: &Session<'_>) -> Outcome {
    let wrapped = &session.opened()?.wrapped;
    let key_id = &wrapped.key_id;
    let cut: String = key_id.chars().skip(1).collect();
    let mut others = vec![
        ("an empty key id", String::new()),
        ("a key id with one more character", format!("{key_id}0")),
        ("a key id of a byte less", cut),
        (
            "a foreign key id",
            "c0a1d9a2-4b7e-4d0e-8a43-0c5b6d2f9e11".to_owned(),
        ),
        ("a key id of 1,024 bytes", "k".repeat(1024)),
    ];
    others.retain(|(_, other)| other != key_id);
    let altered = others.into_iter().map(|(what, key_id)| {
        let other = Wrapped {
            key_id,
            ..wrapped.clone()
        };
        (what.to_owned(), other)
    });
    all_refused(session, altered.collect()).await
}

async fn altered_ciphertext(session: &Session<'_>) -> Outcome {
    let wrapped = &session.opened()?.wrapped;
    let altered = variants(&wrapped.ciphertext, usize::MAX).into_iter();
    let altered = altered.map(|(what, ciphertext)| {
        let other = Wrapped {
            ciphertext,
            ..wrapped.clone()
        };
        (format!("a ciphertext {what}"), other)
    });
    all_refused(session, altered.collect()).await
}

async fn altered_annotations(session: &Session<'_>) -> Outcome {
    let wrapped = &session.opened()?.wrapped;
    let mut altered = Vec::new();
    let mut with = |what: String, change: &dyn Fn(&mut Wrapped)| {
        let mut other = wrapped.clone();
        change(&mut other);
        altered.push((what, other));
    };
    with("with an annotation more".to_owned(), &|other| {
        other
            .annotations
            .insert("added.example.com".to_owned(), b"1".to_vec());
    });
    with("with an empty annotation more".to_owned(), &|other| {
        other
            .annotations
            .insert("added.example.com".to_owned(), Vec::new());
    });
    for (key, value) in &wrapped.annotations {
        with(format!("without the annotation {key:?}"), &|other| {
            other.annotations.remove(key);
        });
        with(format!("with the annotation {key:?} renamed"), &|other| {
            other.annotations.remove(key);
            other.annotations.insert(format!("x{key}"), value.clone());
        });
        for (what, changed) in variants(value, ALTERED_BYTES) {
            with(format!("with an annotation {key:?} {what}"), &|other| {
                other.annotations.insert(key.clone(), changed.clone());
            });
        }
    }
    all_refused(session, altered).await
}

/// Other values than this one: one byte different, shorter, longer. Of a long value `bytes` bytes
/// are tried, evenly spread.
fn variants(value: &[u8], bytes: usize) -> Vec<(String, Vec<u8>)> {
    let mut variants = Vec::new();
    for at in (0..value.len()).step_by(value.len().div_ceil(bytes).max(1)) {
        for flip in [0x01, 0x80] {
            let mut other = value.to_vec();
            other[at] ^= flip;
            variants.push((format!("with another byte at {at}"), other));
        }
    }
    if let [first, middle @ .., _] = value {
        let all_but_last = &value[..value.len() - 1];
        variants.push(("without its last byte".to_owned(), all_but_last.to_vec()));
        variants.push(("without its first byte".to_owned(), value[1..].to_vec()));
        variants.push(("of its first byte".to_owned(), vec![*first]));
        variants.push(("without its ends".to_owned(), middle.to_vec()));
    }
    if !value.is_empty() {
        variants.push(("of no byte".to_owned(), Vec::new()));
    }
    variants.push((
        "with one byte more at its end".to_owned(),
        [value, &[0]].concat(),
    ));
    variants.push((
        "with one byte more at its start".to_owned(),
        [&[0], value].concat(),
    ));
    variants
}

async fn all_refused(session: &Session<'_>, altered: Vec<(String, Wrapped)>) -> Outcome {
    let connection = session.connect().await?;
    let calls = altered.iter().map(|(_, wrapped)| Call::decrypt(wrapped));
    let answers = connection.calls(calls.collect()).await;
    for ((what, _), answer) in altered.iter().zip(answers) {
        refused(what, answer)?;
    }
    // What was not altered still opens on the same connection.
    match session.opened()?.opens(&connection).await {
        Ok(()) => Ok(None),
        Err(error) => failed(format!("afterwards {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_altered_and_nothing_stays_the_same() {
        for value in [&b""[..], b"a", b"ab", b"abcdef", &[0; 1000]] {
            let variants = variants(value, usize::MAX);
            assert!(variants.iter().all(|(_, other)| other != value));
            for at in 0..value.len() {
                let here = |other: &[u8]| other.len() == value.len() && other[at] != value[at];
                assert_eq!(variants.iter().filter(|(_, other)| here(other)).count(), 2);
            }
        }
        assert!(variants(&[0; 1000], 10).len() < 30);
    }
}
