//! What kube-apiserver takes of an answer, and stores with every object.

use crate::contract::{Outcome, Rule, failed, session::Session};

const KEY_ID_MAX_LEN: usize = 1024;
const CIPHERTEXT_MAX_LEN: usize = 1024;
const ANNOTATIONS_MAX_LEN: usize = 32 * 1024;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "key-id-limits",
        asks: "the key id of Status and of Encrypt has 1 to 1,024 bytes",
        source: "k8s.io/apiserver: kmsv2/envelope.go, ValidateKeyID",
        check: |session| Box::pin(key_id_limits(session)),
    },
    Rule {
        name: "ciphertext-limits",
        asks: "the ciphertext of 32 bytes has 1 to 1,024 bytes",
        source: "k8s.io/apiserver: kmsv2/envelope.go, validateEncryptedDEKSource",
        check: |session| Box::pin(ciphertext_limits(session)),
    },
    Rule {
        name: "annotation-limits",
        asks: "the keys and values of all annotations together have at most 32,768 bytes",
        source: "k8s.io/apiserver: kmsv2/envelope.go, validateAnnotations",
        check: |session| Box::pin(annotation_limits(session)),
    },
    Rule {
        name: "annotation-keys",
        asks: "the key of every annotation is a fully qualified domain name in lower case, such as `kek.example.com`",
        source: "k8s.io/apiserver: kmsv2/envelope.go, validateAnnotations; k8s.io/apimachinery: validation.go, IsFullyQualifiedDomainName",
        check: |session| Box::pin(annotation_keys(session)),
    },
];

async fn key_id_limits(session: &Session<'_>) -> Outcome {
    let in_encrypt = session.sample().map(|sample| &sample.wrapped.key_id);
    let in_status = &session.status()?.key_id;
    for (call, key_id) in [("Status", Ok(in_status)), ("Encrypt", in_encrypt)] {
        within(
            &format!("the key id of {call}"),
            key_id?.len(),
            KEY_ID_MAX_LEN,
        )?;
    }
    Ok(None)
}

async fn ciphertext_limits(session: &Session<'_>) -> Outcome {
    let len = session.sample()?.wrapped.ciphertext.len();
    within("the ciphertext", len, CIPHERTEXT_MAX_LEN)
}

fn within(what: &str, len: usize, max: usize) -> Outcome {
    if !(1..=max).contains(&len) {
        return failed(format!("{what} has {len} bytes"));
    }
    Ok(None)
}

async fn annotation_limits(session: &Session<'_>) -> Outcome {
    let annotations = &session.sample()?.wrapped.annotations;
    let len: usize = annotations
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if len > ANNOTATIONS_MAX_LEN {
        return failed(format!("the annotations have {len} bytes"));
    }
    Ok(None)
}

async fn annotation_keys(session: &Session<'_>) -> Outcome {
    let mut keys = session.sample()?.wrapped.annotations.keys();
    if let Some(key) = keys.find(|key| !is_fully_qualified(key)) {
        return failed(format!("the annotation key {key:?}"));
    }
    Ok(None)
}

/// `IsFullyQualifiedDomainName`: one dot at the end is dropped; the rest has at most 253 bytes and
/// two or more labels of 1 to 63 lower-case letters, digits and, within, hyphens.
fn is_fully_qualified(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let labels: Vec<_> = name.split('.').collect();
    name.len() <= 253
        && labels.len() >= 2
        && labels.iter().all(|label| {
            (1..=63).contains(&label.len())
                && label.trim_matches('-') == *label
                && label
                    .bytes()
                    .all(|it| matches!(it, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domain_names_are_judged_as_kubernetes_does() {
        let longest = format!("{}.{}", ["a"; 95].join("."), "b".repeat(63));
        assert_eq!(longest.len(), 253);
        for good in ["a.b", "10.0.0.1", "kek.example.com", "a-b.io.", &longest] {
            assert!(is_fully_qualified(good), "{good}");
        }
        let too_long = format!("a.{longest}");
        let label = format!("{}.io", "a".repeat(64));
        for bad in [
            "",
            ".",
            "com",
            "com.",
            "Dev.k8s.io",
            "a_b.io",
            "*.x.io",
            ".io",
            "a..b",
            "-a.io",
            "a-.io",
            "a.b..",
            &label,
            &too_long,
        ] {
            assert!(!is_fully_qualified(bad), "{bad}");
        }
    }
}
