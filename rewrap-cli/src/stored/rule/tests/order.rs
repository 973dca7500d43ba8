//! The order in which providers and keys are tried, and what is said when none fits.

use super::*;

const SHORT: [u8; 16] = [1; 16];
const LONG: [u8; 32] = [2; 32];

fn aescbc(names_and_keys: &[(&str, &[u8])]) -> Provider {
    Provider::AesCbc(names_and_keys.iter().map(|(n, k)| key(n, k)).collect())
}

fn sealed(provider: Provider, plaintext: &[u8]) -> Vec<u8> {
    Rule::new(provider, []).seal(PATH, plaintext, None).unwrap()
}

fn error_of(rule: &Rule, value: &[u8]) -> String {
    Base64Plugin::default()
        .open(rule, PATH, value)
        .unwrap_err()
        .to_string()
}

/// The probes of `tests/vectors/k8s-0.36-transformers.json`, in their order.
#[test]
fn kube_apiservers_answers_to_odd_values() {
    let cbc = aescbc(&[("k", &SHORT)]);
    let rule = Rule::new(cbc.clone(), []);
    // kube-apiserver panics here.
    let iv_only = b"k8s:enc:aescbc:v1:k:0123456789abcdef";
    assert_eq!(
        error_of(&rule, iv_only),
        "aescbc \"k\": the stored data has 16 bytes, fewer than the 32 that this format needs"
    );
    assert_eq!(
        error_of(&rule, &iv_only[..iv_only.len() - 1]),
        "aescbc \"k\": the stored data has 15 bytes, fewer than the 32 that this format needs"
    );
    assert_eq!(
        error_of(&Rule::identity(), b"k8s:enc:"),
        "identity transformer tried to read encrypted data"
    );
    let identity_first = Rule::new(Provider::Identity, [cbc.clone()]);
    assert_eq!(
        error_of(&identity_first, b"k8s:enc:kms:v2:k:"),
        "no matching prefix found"
    );
    assert_eq!(
        error_of(&identity_first, b"k8s:enc:aescbc:v1:other:"),
        "aescbc: no matching key was found for the provided AES transformer"
    );
    assert_eq!(identity_first.seal(PATH, b"plain", None).unwrap(), b"plain");
    let mut plugin = Base64Plugin::default();
    let opened = plugin
        .open(&identity_first, PATH, &sealed(cbc, SECRET))
        .unwrap();
    assert_eq!(opened.plaintext.expose(), SECRET);
    assert_eq!(
        opened.state,
        State::Stale([Reason::Provider].into_iter().collect())
    );
    let opened = plugin.open(&identity_first, PATH, b"hello").unwrap();
    assert_eq!(opened.plaintext.expose(), b"hello");
    assert_eq!(opened.state, State::Current);
}

#[test]
fn secretbox_has_its_own_text() {
    let rule = Rule::new(Provider::Secretbox(vec![key("k", &LONG)]), []);
    assert_eq!(
        error_of(&rule, b"k8s:enc:secretbox:v1:other:"),
        "secretbox: no matching key was found for the provided Secretbox transformer"
    );
}

#[test]
fn every_failed_attempt_is_told() {
    let rule = Rule::new(
        Provider::AesGcm(vec![key("k", &SHORT), key("k", &LONG)]),
        [Provider::Identity, Provider::AesGcm(vec![key("j", &LONG)])],
    );
    let value = sealed(Provider::AesGcm(vec![key("k", &[9; 24])]), SECRET);
    let not_authentic = "aesgcm \"k\": the value is not authentic: another key of the same name wrote it, it was altered, \
                         or it was copied from another etcd key";
    assert_eq!(
        error_of(&rule, &value),
        format!(
            "[{not_authentic}, {not_authentic}, aesgcm: no matching key was found for the provided AES transformer]"
        )
    );
}

#[test]
fn after_an_error_the_next_key_of_the_same_name_is_tried() {
    for (provider, kind) in [
        (Provider::AesGcm as fn(_) -> _, ProviderKind::AesGcm),
        (Provider::AesCbc, ProviderKind::AesCbc),
        (Provider::Secretbox, ProviderKind::Secretbox),
    ] {
        let value = sealed(provider(vec![key("k", &LONG)]), SECRET);
        let wrong = [7; 32];
        let rule = Rule::new(provider(vec![key("k", &wrong), key("k", &LONG)]), []);
        let opened = Base64Plugin::default().open(&rule, PATH, &value).unwrap();
        assert_eq!(opened.plaintext.expose(), SECRET);
        assert_eq!(opened.written_with.provider(), kind);
        let rule = Rule::new(
            provider(vec![key("k", &wrong)]),
            [provider(vec![key("k", &LONG)])],
        );
        let opened = Base64Plugin::default().open(&rule, PATH, &value).unwrap();
        assert_eq!(opened.plaintext.expose(), SECRET);
        assert_eq!(
            opened.state,
            State::Stale([Reason::Provider].into_iter().collect())
        );
    }
}

#[test]
fn names_with_colons_overlap_and_the_right_one_opens() {
    for provider in [
        Provider::AesGcm as fn(_) -> _,
        Provider::AesCbc,
        Provider::Secretbox,
    ] {
        let value = sealed(provider(vec![key("a:b", &LONG)]), SECRET);
        let rule = Rule::new(provider(vec![key("a", &LONG), key("a:b", &LONG)]), []);
        let opened = Base64Plugin::default().open(&rule, PATH, &value).unwrap();
        assert_eq!(opened.plaintext.expose(), SECRET);
        let class = rule.classify(&value, &CurrentKeys::default()).unwrap();
        for (written_with, state) in [
            (opened.written_with, opened.state),
            (class.written_with, class.state),
        ] {
            assert_eq!(written_with.key().map(|key| &**key), Some("a:b"));
            assert_eq!(state, State::Stale([Reason::Key].into_iter().collect()));
        }
    }
}

#[test]
fn a_plugin_that_is_asked_says_no_once_and_the_next_provider_is_tried() {
    let dek = write_dek("k", DekSourceType::AesGcmKey, "1");
    let value = Rule::new(Provider::KmsV2("k".into()), [])
        .seal(PATH, SECRET, Some(&dek))
        .unwrap();
    // The same envelope under a name that two entries of the rule have, the first by KMS v2 with a
    // text that is no base64.
    let altered = {
        let mut value = value.clone();
        let at = value
            .windows(4)
            .rposition(|w| w == b"=\x22\x11\x0a")
            .unwrap();
        value[at] = b'*';
        value
    };
    let rule = Rule::new(
        Provider::KmsV2("k".into()),
        [Provider::KmsV2("k".into()), Provider::Identity],
    );
    let mut plugin = Base64Plugin::default();
    let error = plugin.open(&rule, PATH, &altered).unwrap_err();
    assert!(
        matches!(&error, OpenError::Attempts(attempts) if attempts.len() == 2),
        "{error}"
    );
    assert_eq!(plugin.asked, 1);
    assert!(plugin.open(&rule, PATH, &altered).is_err());
    assert_eq!(plugin.asked, 1);
    assert!(plugin.open(&rule, PATH, &value).is_ok());
}

#[test]
fn the_prefixes_are_those_of_the_contract() {
    use kms_proto::Prefix;

    for (kind, prefix) in [
        (ProviderKind::AesCbc, Prefix::AesCbc("n")),
        (ProviderKind::AesGcm, Prefix::AesGcm("n")),
        (ProviderKind::KmsV1, Prefix::KmsV1("n")),
        (ProviderKind::KmsV2, Prefix::KmsV2("n")),
        (ProviderKind::Secretbox, Prefix::Secretbox("n")),
    ] {
        assert_eq!(format!("{}n:", kind.prefix()), prefix.to_string());
    }
}
