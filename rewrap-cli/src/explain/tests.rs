use super::*;

fn texts(text: &str) -> Vec<&'static str> {
    explain(text).iter().map(|known| known.text).collect()
}

#[test]
fn words_are_found_in_their_order_with_anything_between() {
    let text = "got invalid: keyID is 1025 bytes, which exceeds the max size of 1024";
    assert_eq!(
        texts(text),
        ["keyID is … bytes, which exceeds the max size"]
    );
    assert_eq!(texts("which exceeds the max size, keyID is bytes"), [""; 0]);
    assert_eq!(texts("the server is on fire"), [""; 0]);
}

#[test]
fn every_error_of_a_text_is_explained_the_cause_first() {
    let log = r#"E1124 err="unable to transform key \"/registry/secrets/default/db\": failed to decrypt DEK, error: rpc error: code = Unavailable desc = dial unix /run/kms.sock: connect: no such file or directory""#;
    assert_eq!(
        texts(log),
        [
            "connect: no such file or directory",
            "failed to decrypt DEK, error: ",
            "unable to transform key \"…\"",
        ]
    );
}

#[test]
fn what_kms_plugin_says_through_the_apiserver_is_explained() {
    for (words, text) in [
        (
            r#"starting: the root "vault" cannot be reached"#,
            "desc = starting: ",
        ),
        (
            r#"the key is refused: the root "vault" refuses the key: 403"#,
            "desc = the key is refused: ",
        ),
        (
            r#"offlineGrace is over: the root "vault" cannot be reached"#,
            "desc = offlineGrace is over: ",
        ),
    ] {
        let log = format!(
            "failed to perform status section of the healthz check: rpc error: code = FailedPrecondition desc = {words}"
        );
        assert_eq!(texts(&log)[0], text);
    }
}

#[test]
fn objects_are_named_as_get_takes_them() {
    let prefix = EtcdPrefix::default();
    let named = |text| object(text, &prefix);
    let cases = [
        (
            r#"unable to transform key "/registry/secrets/a/b:c": no"#,
            "secrets a/b:c",
        ),
        ("Key: /registry/minions/n, Code", "nodes n"),
        ("Key: /secrets/a/b, ResourceVersion: 0", "secrets a/b"),
        (r#"\"/registry/deployments/a/b\""#, "deployments.apps a/b"),
        (
            "key /registry/example.com/pandas/a/b: no",
            "pandas.example.com a/b",
        ),
    ];
    for (text, object) in cases {
        assert_eq!(named(text).as_deref(), Some(object), "{text}");
    }
    assert_eq!(
        named("/registry/ranges/serviceips and /other/secrets/a/b"),
        None
    );
    let other = "/k8s".parse().unwrap();
    assert_eq!(
        object("key /k8s/secrets/a/b", &other).as_deref(),
        Some("secrets a/b")
    );
}

#[test]
fn every_explanation_fits_the_screen_and_stands_once() {
    for known in catalogue() {
        assert_eq!(
            catalogue().filter(|other| other.text == known.text).count(),
            1,
            "{}",
            known.text
        );
        assert!(!known.next.is_empty());
        for line in known.next {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }
}

#[test]
fn every_text_of_the_sources_is_explained() {
    let mut count = 0;
    for line in include_str!("tests/texts.txt").lines() {
        let Some(format) = line.strip_prefix("  ") else {
            continue;
        };
        let mut parts = format.split('%');
        let mut text = parts.next().unwrap().to_owned();
        for part in parts {
            let verb = part.chars().next().unwrap();
            text += if verb == 'q' { "\"a\"" } else { "a" };
            text += &part[1..];
        }
        assert_ne!(texts(&text), [""; 0], "{text}");
        count += 1;
    }
    assert_eq!(count, 71);
}
