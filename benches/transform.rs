//! Sealing and opening stored values: every transformer by size, and KMS v2 against the primitives
//! that it cannot do without.
//!
//! Times are CPU time of this thread, so that other work on the machine counts less; the allocator
//! is the one of `rewrap`, which wipes what it frees, on both sides of a ratio.

#[path = "transform/bare.rs"]
mod bare;
#[path = "transform/kms.rs"]
mod kms;
#[path = "support/pairs.rs"]
mod pairs;
#[path = "support/secret.rs"]
mod secret;
#[path = "support/target.rs"]
mod target;

use std::{alloc::System, hint::black_box};

use rewrap_cli::stored::{CurrentKeys, NamedKey, Opened, Provider, Rule, Step};
use rustix::time::{ClockId, clock_gettime};
use zeroize::Zeroizing;
use zeroizing_alloc::ZeroAlloc;

use bare::Bare;
use kms::Kms;
use pairs::Ratio;
use secret::secret;

#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// Where the values lie: most transformers authenticate it.
const PATH: &[u8] = b"/registry/secrets/payments/database-credentials";
const SIZES: [(&str, usize); 5] = [
    ("256 B", 256),
    ("1 KiB", 1 << 10),
    ("4 KiB", 4 << 10),
    ("64 KiB", 64 << 10),
    ("1 MiB", 1 << 20),
];

/// Samples of one cell of the table; the median is shown.
const SAMPLES: usize = 21;
/// Bytes that one sample goes over: long enough for the clock.
const SAMPLE_BYTES: usize = 1 << 20;

const PAIRS: usize = 401;
/// Values in one half of a pair: about half a millisecond, which is seldom interrupted.
const PAIR_VALUES: usize = 500;

fn main() {
    let kms = Kms::new();
    let sizes = SIZES.map(|(name, _)| format!("{name:>12}")).concat();
    println!("{:20}{sizes}", "µs per value");
    for (name, provider) in providers() {
        let codec = Codec::new(provider, &kms);
        row(name, "seal", SIZES.map(|(_, size)| codec.seal_time(size)));
        row(name, "open", SIZES.map(|(_, size)| codec.open_time(size)));
    }
    against_the_primitives(&Codec::new(Provider::KmsV2(kms::PROVIDER.into()), &kms));
}

fn providers() -> [(&'static str, Provider); 4] {
    let key = || vec![NamedKey::new("key1", Zeroizing::new((1..=32).collect()))];
    [
        ("aescbc", Provider::AesCbc(key())),
        ("aesgcm", Provider::AesGcm(key())),
        ("secretbox", Provider::Secretbox(key())),
        ("kms v2, seed", Provider::KmsV2(kms::PROVIDER.into())),
    ]
}

fn row(name: &str, what: &str, times: [f64; SIZES.len()]) {
    let times = times.map(|time| format!("{:12.2}", time * 1e6)).concat();
    println!("{:20}{times}", format!("{name} {what}"));
}

fn against_the_primitives(codec: &Codec<'_>) {
    let plaintext = object(1 << 10);
    let bare = Bare::new(codec.kms.seed.expose());
    let bare_value = bare.seal(PATH, &plaintext);
    assert_eq!(bare.open(PATH, &bare_value), plaintext);
    let value = codec.seal(&plaintext);
    println!();
    compare(
        "seal",
        || drop(black_box(codec.seal(black_box(&plaintext)))),
        || drop(black_box(bare.seal(PATH, black_box(&plaintext)))),
    );
    compare(
        "open",
        || drop(black_box(codec.open(black_box(&value)))),
        || drop(black_box(bare.open(PATH, black_box(&bare_value)))),
    );
}

fn compare(what: &str, mut ours: impl FnMut(), mut bare: impl FnMut()) {
    const LIMIT: f64 = 1.15;
    let pairs: Vec<_> = (0..PAIRS)
        .map(|pair| {
            // Going first is no advantage.
            if pair % 2 == 0 {
                let ours = cpu_time(PAIR_VALUES, &mut ours);
                (ours, cpu_time(PAIR_VALUES, &mut bare))
            } else {
                let bare = cpu_time(PAIR_VALUES, &mut bare);
                (cpu_time(PAIR_VALUES, &mut ours), bare)
            }
        })
        .collect();
    let ratio = Ratio::of(&pairs);
    println!(
        "kms v2 {what} 1 KiB: {ratio}, {:.0} ns / {:.0} ns",
        ratio.ours * 1e9,
        ratio.bare * 1e9
    );
    target::report(
        &format!("kms v2 {what} 1 KiB, times the bare primitives"),
        ratio.median,
        ..=LIMIT,
    );
}

/// One transformer, alone in its rule.
struct Codec<'a> {
    rule: Rule,
    kms: &'a Kms,
}

impl<'a> Codec<'a> {
    fn new(provider: Provider, kms: &'a Kms) -> Self {
        Self {
            rule: Rule::new(provider, []),
            kms,
        }
    }

    fn seal(&self, plaintext: &[u8]) -> Vec<u8> {
        self.rule
            .seal(PATH, plaintext, Some(&self.kms.write))
            .expect("seals")
    }

    fn open(&self, value: &[u8]) -> Opened {
        let step = self
            .rule
            .open(PATH, value, &CurrentKeys::default(), &self.kms.known);
        match step {
            Step::Done(opened) => opened.expect("opens"),
            Step::Need(dek) => panic!("{dek:?} is known"),
        }
    }

    fn seal_time(&self, size: usize) -> f64 {
        let plaintext = object(size);
        median_time(size, || drop(black_box(self.seal(black_box(&plaintext)))))
    }

    fn open_time(&self, size: usize) -> f64 {
        let value = self.seal(&object(size));
        median_time(size, || drop(black_box(self.open(black_box(&value)))))
    }
}

/// What is sealed: aescbc opens nothing but the object of its etcd key.
fn object(size: usize) -> Vec<u8> {
    secret("payments", "database-credentials", size)
}

fn median_time(size: usize, mut run: impl FnMut()) -> f64 {
    let values = SAMPLE_BYTES / size;
    let mut times: Vec<_> = (0..SAMPLES).map(|_| cpu_time(values, &mut run)).collect();
    times.sort_by(f64::total_cmp);
    times[SAMPLES / 2]
}

/// Seconds of CPU time for each of so many runs.
fn cpu_time(runs: usize, mut run: impl FnMut()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let start = now();
    for _ in 0..runs {
        run();
    }
    (now() - start) / runs as f64
}
