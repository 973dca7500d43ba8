//! The EncryptionConfigurations, judged as kube-apiserver judges them.

use rewrap_cli::{
    config::{EncryptionConfig, KubernetesVersion, ParseOptions, encryption::Regret},
    stored::{GroupResource, Provider, ProviderKind},
};

use super::{plugin_config, sample};

/// The one thing an operator has to fill in.
const PLACEHOLDER: &str = "YOUR-PRESENT-KEY-IN-BASE64";

fn parse(text: &str, version: KubernetesVersion) -> Option<EncryptionConfig> {
    let options = ParseOptions {
        version,
        automatic_reload: true,
        kms_v1: None,
    };
    EncryptionConfig::parse(text.as_bytes(), &options).ok()
}

#[test]
fn each_is_accepted_and_writes_and_reads_what_it_says() {
    use ProviderKind::{AesCbc, Identity, KmsV2};
    let key = "IyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyM=";
    for (name, kinds) in [
        ("encryption-on.yaml", &[KmsV2, Identity][..]),
        ("encryption-off.yaml", &[Identity, KmsV2]),
        (
            "encryption-move-from-aescbc.yaml",
            &[KmsV2, AesCbc, Identity],
        ),
        ("encryption-move-from-kms.yaml", &[KmsV2, KmsV2, Identity]),
    ] {
        let text = sample(name).replace(PLACEHOLDER, key);
        for version in ["1.32", "1.37"] {
            let config = parse(&text, version.parse().unwrap()).expect(name);
            let rule = config.rule(&GroupResource::new("secrets", "")).expect(name);
            let found: Vec<_> = rule.providers().iter().map(Provider::kind).collect();
            assert_eq!(found, kinds, "{name}");
            let regrets: Vec<_> = config
                .warnings()
                .iter()
                .map(|found| &found.regret)
                .collect();
            let expected: &[&Regret] = match kinds[0] {
                Identity => &[&Regret::SecretsInPlainText],
                _ => &[],
            };
            assert_eq!(regrets, expected, "{name}");
        }
    }
}

#[test]
fn they_name_the_provider_alike_and_its_socket_as_the_plugin_does() {
    let socket = format!("unix://{}", plugin_config().fixed.socket.path.display());
    for name in [
        "encryption-on.yaml",
        "encryption-off.yaml",
        "encryption-move-from-aescbc.yaml",
        "encryption-move-from-kms.yaml",
    ] {
        let text = sample(name);
        assert!(text.contains("      name: ringfence\n"), "{name}");
        assert!(
            text.contains(&format!("      endpoint: {socket}\n")),
            "{name}"
        );
    }
}

#[test]
fn a_key_that_was_not_filled_in_is_refused() {
    let text = sample("encryption-move-from-aescbc.yaml");
    assert!(text.contains(PLACEHOLDER));
    assert!(parse(&text, KubernetesVersion::default()).is_none());
}
