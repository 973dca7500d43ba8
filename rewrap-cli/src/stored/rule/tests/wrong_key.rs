//! AES-CBC is not authenticated: a wrong key under the right name yields garbage once in 256 times.

use std::cell::Cell;

use super::*;
use crate::stored::OpenCause;

/// A sequence of keys and IVs that is the same in every run.
struct Sequence(u64);

impl Sequence {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            // SplitMix64 (Steele, Lea, Flood 2014).
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            chunk.copy_from_slice(&z.to_le_bytes()[..chunk.len()]);
        }
        bytes
    }
}

fn trial(key_and_iv: &mut Sequence, sealed: &[u8]) -> (Rule, Vec<u8>) {
    let rule = Rule::new(
        Provider::AesCbc(vec![key("k", &key_and_iv.bytes::<32>())]),
        [],
    );
    let prefix = b"k8s:enc:aescbc:v1:k:".as_slice();
    let blocks = &sealed[prefix.len() + 16..];
    let value = [prefix, &key_and_iv.bytes::<16>(), blocks].concat();
    (rule, value)
}

/// How often a wrong key passed the padding; none may pass as the object.
fn garbage(trials: u32, seed: u64, sealed: &[u8]) -> u32 {
    let current = CurrentKeys::default();
    let nobody = Base64Plugin::default();
    let mut sequence = Sequence(seed);
    let mut garbage = 0;
    for _ in 0..trials {
        let (rule, value) = trial(&mut sequence, sealed);
        let Step::Done(Err(OpenError::Attempts(attempts))) =
            rule.open(PATH, &value, &current, &nobody)
        else {
            panic!("garbage was taken for the object");
        };
        garbage += u32::from(matches!(attempts[0].cause, OpenCause::NotAnObject(_)));
    }
    garbage
}

#[test]
fn no_garbage_of_a_million_wrong_keys_is_taken_for_the_object() {
    const TRIALS: u32 = 1_000_000;
    const THREADS: u32 = 4;
    let right = Rule::new(Provider::AesCbc(vec![key("k", &[1; 32])]), []);
    let sealed = &right.seal(PATH, SECRET, None).unwrap();
    let garbage: u32 = std::thread::scope(|scope| {
        let start = |seed| scope.spawn(move || garbage(TRIALS / THREADS, seed, sealed));
        let threads: Vec<_> = (0..THREADS).map(|n| start(u64::from(n) << 32)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    // The guard was needed: the padding fits once in 255 times.
    assert!(garbage.abs_diff(TRIALS / 255) < 400, "{garbage}");
}

#[test]
fn garbage_of_one_key_does_not_hide_the_right_one() {
    let right = key("k", &[1; 32]);
    let sealed = Rule::new(Provider::AesCbc(vec![right.clone()]), [])
        .seal(PATH, SECRET, None)
        .unwrap();
    let current = CurrentKeys::default();
    let mut plugin = Base64Plugin::default();
    let mut sequence = Sequence(2);
    let garbling = std::iter::repeat_with(|| key("k", &sequence.bytes::<32>()))
        .find(|wrong| {
            let rule = Rule::new(Provider::AesCbc(vec![wrong.clone()]), []);
            // What kube-apiserver would return.
            plugin
                .open_if(&rule, PATH, &sealed, &current, anything)
                .is_ok()
        })
        .unwrap();
    let rule = Rule::new(Provider::AesCbc(vec![garbling, right]), []);
    let opened = plugin.open(&rule, PATH, &sealed).unwrap();
    assert_eq!(opened.plaintext.expose(), SECRET);
    assert_eq!(
        opened.state,
        State::Stale([Reason::Key].into_iter().collect())
    );
}

#[test]
fn an_altered_kms_v1_payload_never_passes_as_a_legacy_one() {
    const TRIALS: u32 = 20_000;
    let mut sequence = Sequence(3);
    let rule = Rule::new(Provider::KmsV1("k".into()), []);
    let current = CurrentKeys::default();
    let mut plugin = Base64Plugin::default();
    let wrapped = BASE64_STANDARD.encode([7; 32]);
    let garbage = Cell::new(0);
    for _ in 0..TRIALS {
        let value = [
            b"k8s:enc:kms:v1:k:\0\x2c",
            wrapped.as_bytes(),
            &sequence.bytes::<96>(),
        ]
        .concat();
        let error = plugin.open_if(&rule, PATH, &value, &current, |plaintext| {
            garbage.set(garbage.get() + 1);
            object::identify_at(plaintext, PATH).map(drop)
        });
        assert!(error.is_err());
    }
    assert!(garbage.get() > 0);
}
