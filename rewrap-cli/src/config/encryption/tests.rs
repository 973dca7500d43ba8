use kms_proto::inventory::KeyRef;
use proptest::prelude::*;

use super::*;
use crate::{
    damage::{damaged, tells},
    stored::Provider,
};

/// 32 bytes of the letter A, B and C.
const A: &str = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=";
const B: &str = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=";

fn file(resources: &str) -> String {
    format!("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n{resources}")
}

/// One entry for secrets with the given providers, in flow style.
fn providers(providers: &str) -> String {
    file(&format!(
        "resources: [{{resources: [secrets], providers: [{providers}]}}]"
    ))
}

fn parse(text: &str) -> Result<EncryptionConfig, ConfigErrors> {
    EncryptionConfig::parse(text.as_bytes(), &ParseOptions::default())
}

fn message(text: &str) -> String {
    parse(text).map_or_else(|errors| errors.to_string(), |_| "accepted".to_owned())
}

fn parse_at(text: &str, version: &str) -> Result<EncryptionConfig, ConfigErrors> {
    let options = ParseOptions {
        version: version.parse().unwrap(),
        ..ParseOptions::default()
    };
    EncryptionConfig::parse(text.as_bytes(), &options)
}

#[test]
fn every_provider_is_read() {
    let config = parse(&file(&format!(
        r#"
resources:
- resources:
  - secrets
  - configmaps
  - pandas.awesome.bears.example
  providers:
  - kms:
      apiVersion: v2
      name: vault
      endpoint: unix:///var/run/kmsplugin/socket.sock
      timeout: 1m30s
  - aesgcm:
      keys: [{{name: g1, secret: {A}}}, {{name: g2, secret: QUFBQUFBQUFBQUFBQUFBQQ==}}]
  - aescbc:
      keys: [{{name: c1, secret: QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB}}]
  - secretbox:
      keys: [{{name: s1, secret: {B}}}]
  - identity: {{}}
"#
    )))
    .unwrap();
    let rule = config.rule(&GroupResource::new("secrets", "")).unwrap();
    let [
        Provider::KmsV2(kms),
        Provider::AesGcm(gcm),
        Provider::AesCbc(cbc),
        Provider::Secretbox(secretbox),
        Provider::Identity,
    ] = rule.providers()
    else {
        panic!("other providers");
    };
    assert_eq!(&**kms, "vault");
    assert_eq!((gcm[0].name(), gcm[0].expose()), ("g1", &[b'A'; 32][..]));
    assert_eq!((gcm[1].name(), gcm[1].expose()), ("g2", &[b'A'; 16][..]));
    assert_eq!(cbc[0].expose(), [b'A'; 24]);
    assert_eq!(secretbox[0].expose(), [b'B'; 32]);
    let [kms] = config.kms_providers() else {
        panic!("one kms provider");
    };
    assert_eq!(kms.version, KmsVersion::V2);
    assert_eq!(kms.timeout.as_secs(), 90);
    assert_eq!(
        kms.endpoint,
        SocketAddress::Path("/var/run/kmsplugin/socket.sock".into())
    );
    let [entry] = config.entries() else {
        panic!("one entry");
    };
    assert_eq!(
        entry.resources[2],
        GroupResource::new("pandas", "awesome.bears.example")
    );
}

#[test]
fn the_legacy_spelling_and_json_are_accepted() {
    for text in [
        "apiVersion: v1\nkind: EncryptionConfig\nresources: [{resources: [secrets], providers: [{identity: {}}]}]",
        r#"{"apiVersion":"apiserver.config.k8s.io/v1","kind":"EncryptionConfiguration",
            "resources":[{"resources":["secrets"],"providers":[{"identity":{}}]}]}"#,
        "\u{feff}kind: EncryptionConfiguration\r\napiVersion: apiserver.config.k8s.io/v1\r\nresources:\r\n- resources: [a]\r\n  providers:\r\n  - identity: {}\r\n---\nnot: read\n",
    ] {
        assert_eq!(message(text), "accepted", "{text}");
    }
}

#[test]
fn every_rule_has_its_message() {
    let cases = include_str!("tests/rules.txt");
    let mut count = 0;
    for case in cases.split("=== ").skip(1) {
        let (yaml, expected) = case.split_once("\n>>> ").unwrap();
        let (_title, yaml) = yaml.split_once('\n').unwrap();
        let yaml = yaml.replace("$A", A).replace("$B", B);
        assert_eq!(message(&file(&yaml)), expected.trim_end(), "{case}");
        count += 1;
    }
    assert!(count > 40);
}

#[test]
fn what_is_no_configuration_is_refused() {
    for (text, expected) in [
        ("", "the encryption provider configuration file is empty"),
        (
            "\n# nothing\n",
            "the kind is not set; it should be EncryptionConfiguration",
        ),
        (
            "kind: EncryptionConfiguration",
            "the apiVersion is not set; it should be apiserver.config.k8s.io/v1",
        ),
        (
            "apiVersion: v1\nkind: EncryptionConfiguration",
            "the kind is not EncryptionConfiguration of apiserver.config.k8s.io/v1",
        ),
        (
            "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfig",
            "the kind is not EncryptionConfiguration of apiserver.config.k8s.io/v1",
        ),
        (
            "- a",
            "the kind is not EncryptionConfiguration of apiserver.config.k8s.io/v1",
        ),
        ("kind: [", "did not find expected node content (line 1)"),
        (
            "{\"kind\": 1,}",
            "a key in double quotes is expected (line 1)",
        ),
    ] {
        assert_eq!(message(text), expected, "{text}");
    }
}

#[test]
fn old_releases_ignore_unknown_fields_and_let_the_last_duplicate_win() {
    let unknown = providers("{identity: {}, color: {a: 1}}");
    assert!(parse_at(&unknown, "1.30").is_ok());
    assert!(parse_at(&unknown, "1.31").is_err());
    let twice = providers(&format!(
        "{{secretbox: {{keys: [{{name: a, name: b, secret: {A}}}]}}}}"
    ));
    let config = parse_at(&twice, "1.30").unwrap();
    let [Provider::Secretbox(keys)] = config.entries()[0].rule.providers() else {
        panic!("one provider");
    };
    assert_eq!(keys[0].name(), "b");
    assert_eq!(
        parse(&twice).unwrap_err().to_string(),
        "a key is already set in its mapping (line 3)"
    );
    let upper = "Kind: EncryptionConfiguration\napiversion: apiserver.config.k8s.io/v1\nresources: [{resources: [a], providers: [{identity: {}}]}]";
    assert!(parse_at(upper, "1.30").is_ok());
    assert!(parse(upper).is_err());
    // The last one counts; YAML has lost the order of the file, and upper case sorts first.
    let resources = r#""apiVersion": "apiserver.config.k8s.io/v1", "resources": [{"resources": ["a"], "providers": [{"identity": {}}]}]"#;
    let twice = format!(r#"{{"kind": "EncryptionConfiguration", "Kind": "x", {resources}}}"#);
    assert!(parse_at(&twice, "1.30").is_err());
    assert!(parse_at(&format!("--- {twice}"), "1.30").is_ok());
    let kelvin = format!("--- {{\u{212a}ind: EncryptionConfiguration, {resources}}}");
    assert!(parse_at(&kelvin, "1.30").is_ok());
}

#[test]
fn kms_v1_needs_its_gate() {
    let text = providers("{kms: {name: old, endpoint: 'unix:///a', cachesize: -1}}");
    let options = |version: &str, kms_v1| ParseOptions {
        version: version.parse().unwrap(),
        kms_v1,
        automatic_reload: false,
    };
    for (version, gate, accepted) in [
        ("1.28", None, true),
        ("1.28", Some(false), false),
        ("1.29", None, false),
        ("1.37", Some(true), true),
    ] {
        let result = EncryptionConfig::parse(text.as_bytes(), &options(version, gate));
        assert_eq!(result.is_ok(), accepted, "{version} {gate:?}");
    }
    assert_eq!(
        message(&text),
        "resources[0].providers[0].kms: KMSv1 is off in this release unless kube-apiserver has \
         --feature-gates=KMSv1=true; use KMSv2 instead (line 3)"
    );
}

#[test]
fn names_of_kms_providers_are_checked_in_file_order() {
    let v1 = "{kms: {name: a, endpoint: 'unix:///a'}}";
    let v2 = "{kms: {apiVersion: v2, name: a, endpoint: 'unix:///a'}}";
    for (list, reload, accepted) in [
        (format!("{v2}, {v1}"), false, true),
        (format!("{v2}, {v1}"), true, false),
        (format!("{v1}, {v2}"), false, false),
        (format!("{v1}, {v1}"), false, true),
        (format!("{v2}, {v2}"), false, false),
    ] {
        let options = ParseOptions {
            automatic_reload: reload,
            kms_v1: Some(true),
            ..ParseOptions::default()
        };
        let result = EncryptionConfig::parse(providers(&list).as_bytes(), &options);
        assert_eq!(result.is_ok(), accepted, "{list} {reload}");
    }
}

#[test]
fn the_most_specific_rule_applies_and_repeated_names_add_up() {
    let config = parse(&file(&format!(
        "resources:
- {{resources: [secrets, deployments.apps], providers: [{{secretbox: {{keys: [{{name: a, secret: {A}}}]}}}}]}}
- {{resources: [secrets], providers: [{{identity: {{}}}}, {{aesgcm: {{keys: [{{name: b, secret: {B}}}]}}}}]}}
- {{resources: ['*.apps'], providers: [{{identity: {{}}}}]}}
- {{resources: ['*.'], providers: [{{identity: {{}}}}, {{identity: {{}}}}]}}
- {{resources: ['*.*'], providers: [{{identity: {{}}}}, {{identity: {{}}}}, {{identity: {{}}}}]}}
"
    )))
    .unwrap();
    let len = |resource, group| {
        let rule = config.rule(&GroupResource::new(resource, group));
        rule.map(|rule| rule.providers().len())
    };
    let rule = config.rule(&GroupResource::new("secrets", "")).unwrap();
    assert!(matches!(
        rule.providers(),
        [
            Provider::Secretbox(_),
            Provider::Identity,
            Provider::AesGcm(_)
        ]
    ));
    assert_eq!(config.entries()[0].rule.providers().len(), 1);
    assert!(matches!(
        config
            .rule(&GroupResource::new("deployments", "apps"))
            .unwrap()
            .providers(),
        [Provider::Secretbox(_)]
    ));
    assert_eq!(len("daemonsets", "apps"), Some(1));
    assert_eq!(len("configmaps", ""), Some(2));
    assert_eq!(len("pandas", "bears.example"), Some(3));
    let narrow = parse(&providers("{identity: {}}")).unwrap();
    assert!(
        narrow
            .rule(&GroupResource::new("secrets", "apps"))
            .is_none()
    );
}

#[test]
fn endpoints_name_paths_and_abstract_sockets() {
    for (endpoint, address) in [
        (
            "unix:///run/kms.sock",
            SocketAddress::Path("/run/kms.sock".into()),
        ),
        ("unix:///run/a%20b", SocketAddress::Path("/run/a b".into())),
        ("unix:///@kms", SocketAddress::Abstract(b"kms".to_vec())),
        ("unix://@kms", SocketAddress::Path("".into())),
        ("unix:kms", SocketAddress::Path("".into())),
    ] {
        assert_eq!(
            SocketAddress::from_endpoint(endpoint),
            Ok(address),
            "{endpoint}"
        );
    }
    assert_eq!(
        SocketAddress::from_endpoint("tcp://h"),
        Err(Problem::EndpointScheme)
    );
    assert_eq!(SocketAddress::Abstract(b"kms".to_vec()).to_string(), "@kms");
}

#[test]
fn the_hash_is_the_one_of_the_metric() {
    let text = providers("{identity: {}}");
    let hash = parse(&text).unwrap().hash().to_owned();
    assert_eq!(
        hash,
        format!("sha256:{}", hex::encode(Sha256::digest(&text)))
    );
    assert_eq!(hash.len(), 7 + 64);
}

/// A configuration with every field of the schema.
const FULL: &str = r"apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources:
  - secrets
  providers:
  - kms:
      apiVersion: v2
      name: vault
      endpoint: unix:///run/kms.sock
      timeout: 3s
      cachesize: null
  - secretbox:
      keys:
      - name: box
        secret: QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=
  - identity: {}
";

#[test]
fn no_error_repeats_what_stands_in_the_file() {
    const MARKER: &str = "Sup3rS3cretMarker";
    assert!(parse(FULL).is_ok());
    let texts = [
        MARKER.to_owned(),
        format!("'{MARKER}'"),
        format!("{{{MARKER}: {MARKER}}}"),
        format!("[{MARKER}"),
        format!("*{MARKER}"),
        format!("!!int {MARKER}"),
        format!("\"\\q{MARKER}\""),
        format!("tcp://{MARKER}/%zz"),
        format!("unix://{MARKER}:{MARKER}/"),
        format!("{MARKER}:{MARKER}"),
    ];
    let mut refused = 0;
    let mut check = |file: &str| {
        if let Err(errors) = parse(file) {
            refused += 1;
            assert!(!format!("{errors} {errors:?}").contains(MARKER), "{file}");
        }
    };
    for (number, line) in FULL.lines().enumerate() {
        let (key, _) = line.split_once(": ").unwrap_or((line, ""));
        let indent = &line[..line.len() - line.trim_start_matches([' ', '-']).len()];
        for text in &texts {
            for planted in [
                format!("{key}: {text}"),
                format!("{indent}{text}: 1"),
                format!("{indent}{text}"),
                format!("{line}{MARKER}"),
                format!("{line}\n{line}{MARKER}"),
            ] {
                let mut lines: Vec<&str> = FULL.lines().collect();
                lines[number] = &planted;
                check(&lines.join("\n"));
            }
        }
    }
    let json = r#"{"apiVersion":"MARK","kind":1,"resources":[{"resources":"MARK","providers":[{"MARK":"MARK"}]}]}"#;
    check(&json.replace("MARK", MARKER));
    check(&format!("{{\"{MARKER}\" {MARKER}"));
    assert!(refused > 500, "{refused}");
}

#[test]
fn secrets_are_not_printed() {
    let printed = format!("{:?}", parse(FULL).unwrap());
    assert!(
        printed.contains("box") && !printed.contains("QUFB") && !printed.contains("65, 65"),
        "{printed}"
    );
}

#[test]
fn what_may_be_regretted_is_said() {
    let list = include_str!("tests/regrets.txt");
    let mut count = 0;
    for case in list.split("=== ").skip(1) {
        let (yaml, expected) = case.split_once("\n>>> ").unwrap();
        let (_title, yaml) = yaml.split_once('\n').unwrap();
        let yaml = yaml.replace("$A", A).replace("$B", B);
        let options = ParseOptions {
            kms_v1: Some(true),
            ..ParseOptions::default()
        };
        let config = EncryptionConfig::parse(file(&yaml).as_bytes(), &options).unwrap();
        let warnings: Vec<String> = config.warnings().iter().map(Warning::to_string).collect();
        let expected = expected
            .trim_end()
            .strip_prefix("nothing")
            .unwrap_or_else(|| expected.trim_end());
        assert_eq!(warnings.join("\n"), expected, "{case}");
        count += 1;
    }
    assert!(count >= 15);
    assert_eq!(parse(FULL).unwrap().warnings(), []);
}

#[test]
fn what_stored_objects_need_is_missed() {
    let config = parse(&file(&format!(
        "resources:
- {{resources: [secrets], providers: [{{kms: {{apiVersion: v2, name: vault, endpoint: 'unix:///a'}}}}, {{aescbc: {{keys: [{{name: old, secret: {A}}}]}}}}]}}
- {{resources: [secrets], providers: [{{identity: {{}}}}]}}
- {{resources: ['*.apps'], providers: [{{secretbox: {{keys: [{{name: box, secret: {B}}}]}}}}]}}
"
    )))
    .unwrap();
    let stored = |resource: &str, provider: &str, key: &str| StoredUnder {
        resource: resource.parse().unwrap(),
        key: KeyRef {
            provider: provider.to_owned(),
            key: key.to_owned(),
        },
        objects: 7,
    };
    let read = [
        stored("secrets", "kms-v2", "vault"),
        stored("secrets", "aescbc", "old"),
        stored("secrets", "identity", ""),
        stored("deployments.apps", "secretbox", "box"),
        stored("configmaps", "identity", ""),
    ];
    assert_eq!(config.lacks(&read), []);
    for (missing, key) in [
        (stored("secrets", "kms-v1", "vault"), "kms-v1 \"vault\""),
        (stored("secrets", "aesgcm", "old"), "aesgcm \"old\""),
        (stored("secrets", "aescbc", "older"), "aescbc \"older\""),
        (stored("deployments.apps", "identity", ""), "identity"),
        (stored("configmaps", "aescbc", "old"), "aescbc \"old\""),
    ] {
        let [warning] = &config.lacks([&missing])[..] else {
            panic!("{missing:?}");
        };
        let expected = format!("7 stored {} are under {key}, which", missing.resource);
        assert!(warning.to_string().starts_with(&expected), "{warning}");
    }
}

proptest! {
    #[test]
    fn a_damaged_file_never_panics_and_is_never_quoted(bytes in damaged(FULL), minor in 28..38) {
        let options = ParseOptions {
            version: format!("1.{minor}").parse().unwrap(),
            ..ParseOptions::default()
        };
        let said: Vec<_> = match EncryptionConfig::parse(&bytes, &options) {
            Ok(config) => config.warnings().iter().map(|warning| format!("{warning} {warning:?}")).collect(),
            Err(errors) => vec![format!("{errors} {errors:?}")],
        };
        for said in said {
            prop_assert!(!tells(&said, A), "{said}");
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(EncryptionConfig::parse(&bytes, &ParseOptions::default()).is_err());
    }
}
