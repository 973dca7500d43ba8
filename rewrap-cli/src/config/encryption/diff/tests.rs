use super::*;
use crate::{
    config::ParseOptions,
    stored::{CurrentKeys, DekSources, DekView, Known, Step, UnwrapError},
};

const A: &str = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=";
const B: &str = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=";

/// A configuration; in short: `gcm:NAME` with the key A, `gcm:NAME=B` with the key B, `kms:NAME`.
fn config(entries: &[(&str, &[&str])]) -> EncryptionConfig {
    let provider = |short: &&str| match short.split_once(':') {
        None => "{identity: {}}".to_owned(),
        Some(("kms", name)) => {
            format!("{{kms: {{apiVersion: v2, name: {name}, endpoint: 'unix:///{name}'}}}}")
        }
        Some((kind, name)) => {
            let (name, secret) = match name.split_once('=') {
                Some((name, _)) => (name, B),
                None => (name, A),
            };
            format!("{{aes{kind}: {{keys: [{{name: {name}, secret: {secret}}}]}}}}")
        }
    };
    let entries: Vec<_> = entries
        .iter()
        .map(|(resources, providers)| {
            let providers: Vec<_> = providers.iter().map(provider).collect();
            let providers = providers.join(", ");
            format!("{{resources: [{resources}], providers: [{providers}]}}")
        })
        .collect();
    parse(&entries.join(", "))
}

fn parse(entries: &str) -> EncryptionConfig {
    let file = format!(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: [{entries}]"
    );
    EncryptionConfig::parse(file.as_bytes(), &ParseOptions::default()).unwrap()
}

/// A resource and what changes: `w` who writes, `+` and `-` who reads, `s` a secret, `o` the order;
/// `<` if the old file does not read what the new one writes, `>` the other way round.
fn changes(diff: &ConfigDiff) -> Vec<String> {
    let name = |key: &KeyRef| match &*key.provider {
        "identity" => "plain".to_owned(),
        _ => key.key.clone(),
    };
    let list = |sign: &str, keys: &[KeyRef]| -> String {
        keys.iter()
            .map(|key| format!(" {sign}{}", name(key)))
            .collect()
    };
    let line = |diff: &ResourceDiff| {
        let ResourceDiff {
            resource,
            writes_with: Change { from, to },
            added,
            removed,
            another_secret,
            reordered,
            old_reads_new,
            new_reads_old,
        } = diff;
        let mut line = resource.clone();
        if from != to {
            line += &format!(" w{}", name(to));
        }
        line += &list("+", added);
        line += &list("-", removed);
        line += &list("s", another_secret);
        for (sign, shown) in [
            ("o", *reordered),
            ("<", !old_reads_new),
            (">", !new_reads_old),
        ] {
            if shown {
                line += &format!(" {sign}");
            }
        }
        line
    };
    diff.resources.iter().map(line).collect()
}

#[test]
fn what_each_resource_is_written_and_read_with_is_compared() {
    let base: &[(&str, &[&str])] = &[("secrets", &["gcm:a", "identity"])];
    for (old, new, expected) in [
        (base, base, &[][..]),
        // Another way to write the same.
        (
            base,
            &[("secrets", &["gcm:a"]), ("secrets", &["gcm:a", "identity"])],
            &[],
        ),
        (
            base,
            &[("configmaps, secrets", &["gcm:a", "identity"])],
            &["configmaps wa +a <"],
        ),
        (
            base,
            &[("secrets", &["kms:k", "gcm:a", "identity"])],
            &["secrets wk +k <"],
        ),
        (
            base,
            &[("secrets", &["gcm:a", "kms:k", "identity"])],
            &["secrets +k"],
        ),
        (base, &[("secrets", &["gcm:a"])], &["secrets -plain"]),
        (
            base,
            &[("secrets", &["identity", "gcm:a"])],
            &["secrets wplain o"],
        ),
        (
            base,
            &[("secrets", &["gcm:a=B", "identity"])],
            &["secrets sa < >"],
        ),
        (
            base,
            &[("secrets", &["cbc:a", "identity"])],
            &["secrets wa +a -a < >"],
        ),
        (
            base,
            &[("secrets", &["gcm:b"])],
            &["secrets wb +b -a -plain < >"],
        ),
        (
            base,
            &[("configmaps", &["identity"])],
            &["secrets wplain -a >"],
        ),
        // A wildcard covers what is not named, and only that.
        (
            base,
            &[("secrets", &["gcm:a", "identity"]), ("'*.*'", &["kms:k"])],
            &["*.* wk +k -plain < >"],
        ),
        (
            &[("'*.apps'", &["gcm:a"])],
            &[
                ("deployments.apps", &["gcm:a"]),
                ("'*.apps'", &["identity", "gcm:a"]),
            ],
            &["*.apps wplain +plain <"],
        ),
        (
            &[("'*.'", &["gcm:a"])],
            &[("'*.'", &["gcm:b", "gcm:a"])],
            &["*. wb +b <"],
        ),
    ] {
        let diff = config(old).diff(&config(new));
        assert_eq!(changes(&diff), expected, "{old:?} {new:?}");
        assert_eq!(diff.equal, expected.is_empty());
    }
}

/// What is said of reading is what happens to a value that one writes and the other reads.
#[test]
fn who_reads_what_the_other_writes_is_true() {
    const PATH: &[u8] = b"/registry/secrets/default/a";
    let object =
        br#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","namespace":"default"}}"#;
    let reads = |reader: &Rule, writer: &Rule| {
        let value = writer.seal(PATH, object, None).unwrap();
        match reader.open(PATH, &value, &CurrentKeys::default(), &NoDeks) {
            Step::Done(opened) => opened.is_ok(),
            Step::Need(_) => panic!("nothing is under a KMS provider"),
        }
    };
    let rules: Vec<&[&str]> = vec![
        &["identity"],
        &["gcm:a"],
        &["gcm:a=B"],
        &["gcm:b", "gcm:a"],
        &["cbc:a", "identity"],
        &["cbc:b", "cbc:a=B", "cbc:a"],
        &["gcm:a", "kms:k", "identity"],
        &["identity", "gcm:a"],
    ];
    let secrets = GroupResource::new("secrets", "");
    let mut differences = 0;
    for old in &rules {
        for new in &rules {
            let [old, new] = [old, new].map(|providers| config(&[("secrets", *providers)]));
            let diff = old.diff(&new);
            let [old, new] = [old, new].map(|config| Rule::clone(config.rule(&secrets).unwrap()));
            if let [resource] = &diff.resources[..] {
                assert_eq!(resource.old_reads_new, reads(&old, &new), "{old:?} {new:?}");
                assert_eq!(resource.new_reads_old, reads(&new, &old), "{old:?} {new:?}");
                differences += 1;
            } else {
                assert!(reads(&old, &new) && reads(&new, &old));
            }
        }
    }
    assert_eq!(differences, rules.len() * (rules.len() - 1));
}

struct NoDeks;

impl DekSources for NoDeks {
    fn get(&self, _: &DekView<'_>) -> Option<Result<Known<'_>, &UnwrapError>> {
        None
    }
}

#[test]
fn the_way_goes_over_files_that_every_apiserver_can_live_with() {
    let old: &[(&str, &[&str])] = &[("secrets", &["gcm:a", "identity"])];
    for (new, direct, steps) in [
        (&["gcm:a", "identity"][..], true, &[][..]),
        (
            &["gcm:a", "kms:k", "identity"],
            true,
            &["the new file, on one apiserver after the other"],
        ),
        (
            &["kms:k", "gcm:a", "identity"],
            false,
            &[
                "the old file with kms-v2 k for secrets as well, behind everything else, on every \
                 apiserver; wait until each has loaded it",
                "the new file, on one apiserver after the other",
            ],
        ),
        (
            &["kms:k"],
            false,
            &[
                "the old file with kms-v2 k for secrets as well, behind everything else, on every \
                 apiserver; wait until each has loaded it",
                "the new file with aesgcm a for secrets and identity for secrets as well, behind \
                 everything else, on every apiserver; then `rewrap run` and `rewrap verify`",
                "the new file, on one apiserver after the other",
            ],
        ),
        (
            &["gcm:a"],
            true,
            &[
                "see that nothing stored needs identity for secrets: `rewrap status -o json >FILE`, \
                 then `rewrap config lint --inventory FILE` with the new file; where something does, \
                 `rewrap run` before",
                "the new file, on one apiserver after the other",
            ],
        ),
        (
            &["gcm:a=B"],
            false,
            &[
                "give the new key a name of its own and compare again: values carry nothing but the \
                 name, so nothing tells which of two keys protects what",
            ],
        ),
    ] {
        let diff = config(old).diff(&config(&[("secrets", new)]));
        assert_eq!(diff.rolls_out_directly, direct, "{new:?}");
        assert_eq!(diff.steps, steps, "{new:?}");
    }
    let diff = config(old).diff(&config(&[
        ("secrets", &["gcm:a", "identity"]),
        ("configmaps", &["gcm:a", "identity"]),
    ]));
    assert!(
        diff.steps[0].contains("aesgcm a for configmaps as well, behind everything else (where there is no entry, in one that begins with identity), on"),
        "{:?}",
        diff.steps
    );
}

#[test]
fn kms_plugins_that_are_asked_otherwise_are_told() {
    let kms = |endpoint: &str, timeout: &str| {
        parse(&format!(
            "{{resources: [secrets], providers: [{{kms: {{apiVersion: v2, name: k, endpoint: '{endpoint}', timeout: {timeout}}}}}]}}"
        ))
    };
    let old = kms("unix:///a", "3s");
    assert!(old.diff(&kms("unix:///%61", "3000ms")).equal);
    let diff = old.diff(&kms("unix:///b", "5s"));
    assert!(!diff.equal && diff.rolls_out_directly && diff.resources.is_empty());
    let [kms] = &diff.kms_providers[..] else {
        panic!("one provider");
    };
    assert_eq!((&*kms.key.provider, &*kms.key.key), ("kms-v2", "k"));
    let endpoint = kms.endpoint.as_ref().unwrap();
    assert_eq!((&*endpoint.from, &*endpoint.to), ("/a", "/b"));
    let timeout = kms.timeout_millis.as_ref().unwrap();
    assert_eq!((timeout.from, timeout.to), (3000, 5000));
    assert!(diff.steps[0].contains("new endpoint of kms-v2 k"));
}
