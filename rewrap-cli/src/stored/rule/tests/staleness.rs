//! When a value is stale: the matrix of providers, keys, key ids and types.

use super::*;

const GCM: DekSourceType = DekSourceType::AesGcmKey;
const SEED: DekSourceType = DekSourceType::HkdfSha256XnonceAesGcmSeed;

fn gcm(name: &str) -> Provider {
    Provider::AesGcm(vec![key(name, &[name.len() as u8; 32])])
}

fn kms(name: &str) -> Provider {
    Provider::KmsV2(name.into())
}

fn current(provider: &str, key_id: &str, dek_type: DekSourceType) -> CurrentKeys {
    let key_id = key_id.parse().unwrap();
    CurrentKeys::from_iter([(provider.into(), CurrentKey { key_id, dek_type })])
}

fn stale(reasons: &[Reason]) -> State {
    State::Stale(reasons.iter().copied().collect())
}

fn state(rule: &Rule, value: &[u8], current: &CurrentKeys) -> State {
    let opened = Base64Plugin::default()
        .open_if(rule, PATH, value, current, anything)
        .unwrap();
    opened.state
}

fn sealed(provider: Provider, dek: Option<&WriteDek>) -> Vec<u8> {
    Rule::new(provider, []).seal(PATH, SECRET, dek).unwrap()
}

#[test]
fn the_place_of_provider_and_key_decides() {
    let two_keys = Provider::AesGcm(vec![key("new", &[3; 32]), key("a", &[1; 32])]);
    let plain = sealed(Provider::Identity, None);
    let a = sealed(gcm("a"), None);
    let none = CurrentKeys::default();
    for (rule, value, expected) in [
        (Rule::identity(), &plain, State::Current),
        (
            Rule::new(Provider::Identity, [gcm("a")]),
            &plain,
            State::Current,
        ),
        (
            Rule::new(gcm("a"), [Provider::Identity]),
            &plain,
            State::Plaintext,
        ),
        (Rule::new(gcm("a"), []), &a, State::Current),
        (Rule::new(gcm("a"), [gcm("a")]), &a, State::Current),
        (
            Rule::new(Provider::Identity, [gcm("a")]),
            &a,
            stale(&[Reason::Provider]),
        ),
        (
            Rule::new(gcm("bb"), [gcm("a")]),
            &a,
            stale(&[Reason::Provider]),
        ),
        (Rule::new(two_keys.clone(), []), &a, stale(&[Reason::Key])),
        (
            Rule::new(Provider::Identity, [two_keys]),
            &a,
            stale(&[Reason::Provider, Reason::Key]),
        ),
    ] {
        assert_eq!(state(&rule, value, &none), expected, "{rule:?}");
        assert_eq!(
            rule.classify(value, &none).unwrap().state,
            expected,
            "{rule:?}"
        );
    }
}

#[test]
fn the_key_id_and_the_type_decide_for_kms_v2() {
    let dek = write_dek("k", SEED, "1");
    let value = sealed(kms("k"), Some(&dek));
    let first = Rule::new(kms("k"), []);
    let second = Rule::new(kms("new"), [kms("k")]);
    for (rule, current, expected) in [
        (&first, current("k", "1", SEED), State::Current),
        (&first, current("k", "2", SEED), stale(&[Reason::KeyId])),
        (&first, current("k", "1", GCM), stale(&[Reason::DekType])),
        (
            &first,
            current("k", "11", GCM),
            stale(&[Reason::KeyId, Reason::DekType]),
        ),
        (&first, current("other", "1", SEED), State::Unknowable),
        (&second, current("k", "1", SEED), stale(&[Reason::Provider])),
        (
            &second,
            current("other", "1", SEED),
            stale(&[Reason::Provider]),
        ),
        (
            &second,
            current("k", "2", SEED),
            stale(&[Reason::Provider, Reason::KeyId]),
        ),
    ] {
        assert_eq!(state(rule, &value, &current), expected, "{current:?}");
        assert_eq!(rule.classify(&value, &current).unwrap().state, expected);
    }
    // Another DEK source under the same key id is as good.
    let other = sealed(kms("k"), Some(&write_dek("k", SEED, "1")));
    assert_eq!(
        state(&first, &other, &current("k", "1", SEED)),
        State::Current
    );
}

#[test]
fn kms_v1_does_not_say() {
    let vectors = golden::all();
    for golden in vectors.iter().filter(|g| g.name.starts_with("kmsv1")) {
        let legacy = golden.name.contains("cbc");
        let none = CurrentKeys::default();
        let open = |rule: &Rule| {
            Base64Plugin::default()
                .open_if(rule, &golden.path, &golden.value, &none, anything)
                .unwrap()
                .state
        };
        let first = Rule::new(golden.provider.clone(), [Provider::Identity]);
        let second = Rule::new(Provider::Identity, [golden.provider.clone()]);
        if legacy {
            assert_eq!(open(&first), stale(&[Reason::LegacyPayload]));
            assert_eq!(
                open(&second),
                stale(&[Reason::Provider, Reason::LegacyPayload])
            );
        } else {
            assert_eq!(open(&first), State::Unknowable);
            assert_eq!(open(&second), stale(&[Reason::Provider]));
        }
        // The prefix does not tell the payloads apart.
        let class = |rule: &Rule| rule.classify(&golden.value, &none).unwrap().state;
        assert_eq!(class(&first), State::Unknowable);
        assert_eq!(class(&second), stale(&[Reason::Provider]));
    }
}

#[test]
fn v1_and_v2_providers_of_one_name_are_told_apart() {
    let dek = write_dek("k", SEED, "1");
    let value = sealed(kms("k"), Some(&dek));
    let rule = Rule::new(Provider::KmsV1("k".into()), [kms("k")]);
    assert_eq!(
        state(&rule, &value, &current("k", "1", SEED)),
        stale(&[Reason::Provider])
    );
}

#[test]
fn reasons_are_a_set() {
    let reasons: Reasons = [Reason::KeyId, Reason::Provider, Reason::KeyId]
        .into_iter()
        .collect();
    assert_eq!(format!("{reasons:?}"), "{Provider, KeyId}");
    assert!(reasons.contains(Reason::KeyId) && !reasons.contains(Reason::Key));
    assert!(Reasons::default().is_empty() && !reasons.is_empty());
}
