//! Altered values: nothing that is authenticated opens after a change.

use kms_proto::EncryptedObject;

use super::{golden::Golden, *};

/// A plugin that authenticates: it unwraps what the golden value holds and nothing else.
struct OneDek(KnownDeks, UnwrapError);

impl OneDek {
    fn of(golden: &Golden) -> Self {
        let mut plugin = Base64Plugin::default();
        let rule = Rule::new(golden.provider.clone(), []);
        plugin
            .open_if(
                &rule,
                &golden.path,
                &golden.value,
                &CurrentKeys::default(),
                anything,
            )
            .unwrap();
        assert!(plugin.known.len() <= 1);
        Self(
            plugin.known,
            UnwrapError::new(&std::io::Error::other("unauthentic")),
        )
    }
}

impl DekSources for OneDek {
    fn get(&self, dek: &DekView<'_>) -> Option<Result<Known<'_>, &UnwrapError>> {
        self.0.get(dek).or(Some(Err(&self.1)))
    }

    fn by_ending(&self, provider: &KmsName, ending: &[u8]) -> Option<Known<'_>> {
        self.0.by_ending(provider, ending)
    }
}

fn opens(golden: &Golden, deks: &OneDek, path: &[u8], value: &[u8]) -> bool {
    let rule = Rule::new(golden.provider.clone(), []);
    match rule.open(path, value, &CurrentKeys::default(), deks) {
        Step::Done(outcome) => outcome.is_ok(),
        Step::Need(_) => unreachable!("all outcomes are known"),
    }
}

/// The same message, differently encoded: unknown fields and the form of numbers mean nothing.
fn is_same_envelope(golden: &Golden, value: &[u8]) -> bool {
    let Provider::KmsV2(name) = &golden.provider else {
        return false;
    };
    let decode = |body| EncryptedObject::decode(strip_name(body, name)?).ok();
    let prefix = ProviderKind::KmsV2.prefix().as_bytes();
    let Some(body) = value.strip_prefix(prefix) else {
        return false;
    };
    let original = golden.value.strip_prefix(prefix).and_then(decode);
    decode(body).is_some_and(|object| Some(object) == original)
}

fn is_authenticated(golden: &Golden) -> bool {
    !golden.name.contains("cbc")
}

#[test]
fn no_altered_bit_of_an_authenticated_value_opens() {
    for golden in golden::all().iter().filter(|g| is_authenticated(g)) {
        let deks = OneDek::of(golden);
        assert!(opens(golden, &deks, &golden.path, &golden.value));
        let mut value = golden.value.clone();
        for bit in 0..value.len() * 8 {
            let mask = 1 << (bit % 8);
            value[bit / 8] ^= mask;
            assert!(
                !opens(golden, &deks, &golden.path, &value) || is_same_envelope(golden, &value),
                "{}, bit {bit}",
                golden.name
            );
            value[bit / 8] ^= mask;
        }
    }
}

#[test]
fn no_shortened_or_extended_value_opens() {
    for golden in golden::all().iter().filter(|g| is_authenticated(g)) {
        let deks = OneDek::of(golden);
        for len in 0..golden.value.len() {
            let value = &golden.value[..len];
            assert!(
                !opens(golden, &deks, &golden.path, value),
                "{}, {len} bytes",
                golden.name
            );
        }
        let value = [&golden.value[..], b"\0"].concat();
        assert!(!opens(golden, &deks, &golden.path, &value));
    }
}

#[test]
fn values_that_are_bound_to_their_etcd_key_do_not_open_elsewhere() {
    for golden in golden::all() {
        let deks = OneDek::of(&golden);
        let bound = is_authenticated(&golden) && golden.provider.kind() != ProviderKind::Secretbox;
        let elsewhere = [&golden.path[..], b"x"].concat();
        let rule = Rule::new(golden.provider.clone(), []);
        let step = rule.open_if(
            &elsewhere,
            &golden.value,
            &CurrentKeys::default(),
            &deks,
            anything,
        );
        let Step::Done(outcome) = step else {
            unreachable!("all outcomes are known")
        };
        assert_eq!(outcome.is_err(), bound, "{}", golden.name);
    }
}
