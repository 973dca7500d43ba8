//! `rewrap` and kube-apiserver's own loader mean the same by every EncryptionConfiguration: they
//! accept the same files, and read and write with the same transformers.
//!
//! The files are every odd word in its place, and then what chance makes of a grammar of files that an
//! operator could write, mutated down to single bytes. `RINGFENCE_FILES` says how many of the latter
//! each release judges, `RINGFENCE_SEED` repeats a run.

mod compare;
mod grammar;
mod layout;
mod minimise;
mod mutate;
mod ours;
mod real;
mod sweep;
mod tree;
#[rustfmt::skip]
mod words;

use std::fmt::Write as _;

use self::{
    compare::{Difference, Setting, Tally, compare},
    minimise::minimise,
    real::Loader,
};
use crate::support::dice::Dice;

/// As many as `make conformance` has time for.
const FILES: usize = 10_000;

/// Differences that are shown; after so many it is no use to go on.
const SHOWN: usize = 5;

#[test]
#[ignore = "needs Go: make conformance"]
fn kubernetes_1_28_loads_what_rewrap_accepts() {
    agree("1.28");
}

#[test]
#[ignore = "needs Go: make conformance"]
fn kubernetes_1_31_loads_what_rewrap_accepts() {
    agree("1.31");
}

#[test]
#[ignore = "needs Go: make conformance"]
fn kubernetes_1_37_loads_what_rewrap_accepts() {
    agree("1.37");
}

/// The points that the documentation of the YAML reader names, and no others.
#[test]
#[ignore = "needs Go: make conformance"]
fn rewrap_is_stricter_where_it_says_so() {
    const FILE: &str = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: [{resources: [secrets], providers: [{identity: {}}]}]\n";
    let mut loader = Loader::start("1.28", None);
    let mut tally = Tally::default();
    let nested = format!("{FILE}ignored: {}{}\n", "[".repeat(150), "]".repeat(150));
    let far = format!("{FILE}---\n{}", "# comment\n".repeat(100));
    let flow = FILE.replace('\n', ", ");
    for file in [
        nested.into_bytes(),
        [far.as_bytes(), b"\x01"].concat(),
        [far.as_bytes(), b"\xff"].concat(),
        format!("\u{feff}\u{feff}{{{flow}}}").into_bytes(),
    ] {
        let setting = Setting { reload: false };
        if let Err(difference) = compare(&file, &setting, &mut loader, &mut tally) {
            panic!("{}", report(&file, &setting, &difference));
        }
    }
    assert_eq!(tally.stricter(), 4, "{tally}");
}

fn agree(version: &'static str) {
    let mut dice = Dice::new();
    let random = std::env::var("RINGFENCE_FILES").map_or(FILES, |files| files.parse().unwrap());
    let [on, others @ ..] =
        &mut [Some(true), Some(false), None].map(|gate| Loader::start(version, gate));
    let mut check = Check::default();
    for (number, file) in sweep::files().iter().enumerate() {
        let reload = number % 2 == 0;
        check.file(file, &Setting { reload }, on);
    }
    for _ in 0..random {
        let file = grammar::file(version == "1.28", &mut dice);
        let reload = dice.below(2) == 0;
        let loader = match dice.below(4) {
            0 => &mut others[0],
            1 => &mut others[1],
            _ => &mut *on,
        };
        check.file(&file, &Setting { reload }, loader);
    }
    let Check { tally, shown, .. } = check;
    eprintln!("Kubernetes {version}: {tally}");
    assert!(
        shown.is_empty(),
        "Kubernetes {version} and rewrap differ:\n{shown}"
    );
    assert!(
        tally.accepted > random / 4 && tally.refused > random / 4,
        "the files are all of one kind: {tally}"
    );
}

/// What was found so far.
#[derive(Default)]
struct Check {
    tally: Tally,
    differences: usize,
    shown: String,
}

impl Check {
    fn file(&mut self, file: &[u8], setting: &Setting, loader: &mut Loader) {
        let Err(difference) = compare(file, setting, loader, &mut self.tally) else {
            return;
        };
        self.differences += 1;
        if self.differences > SHOWN {
            return;
        }
        let mut smallest = difference;
        let file = minimise(file.to_vec(), |file| {
            match compare(file, setting, loader, &mut Tally::default()) {
                Err(difference) if difference.same_kind(&smallest) => {
                    smallest = difference;
                    true
                }
                _ => false,
            }
        });
        writeln!(self.shown, "{}", report(&file, setting, &smallest)).unwrap();
    }
}

fn report(file: &[u8], setting: &Setting, difference: &Difference) -> String {
    format!(
        "--- reload {}, the file:\n{}\n--- as bytes: {}\n{difference}",
        setting.reload,
        String::from_utf8_lossy(file),
        file.escape_ascii(),
    )
}
