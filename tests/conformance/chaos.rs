//! Everything dies while everybody writes: rounds of faults, and what must be true after each.
//!
//! `RINGFENCE_CHAOS_ROUNDS` is how many rounds; each prints its seed, and `RINGFENCE_SEED` begins with
//! the round that had it.

use std::{env, path::Path, thread::sleep, time::Duration};

use tempfile::TempDir;

use self::{fault::Fault, invariants::Untouched, writer::Writer};
use crate::{
    cluster::Cluster,
    step,
    support::{
        apiserver::Release,
        dice::Dice,
        encryption::{
            self,
            Provider::{self, AesCbc, AesGcm, Identity, Kms},
        },
        etcd::members::Members,
        plugin::{Plugin, Site},
        rewrap::Running,
    },
};

mod fault;
mod invariants;
mod writer;

/// How many Secrets nobody but `rewrap` writes; at the rate of a run they keep it busy for seconds.
const AT_REST: usize = 600;
const RATE: &str = "--rate=150";

/// How often a run is started again after the last fault before it must have succeeded.
const RUNS: usize = 10;

#[test]
#[ignore = "needs kube-apiserver: make conformance, make chaos"]
fn nothing_is_lost_whatever_dies() {
    let rounds = env::var("RINGFENCE_CHAOS_ROUNDS").map_or(4, |rounds| rounds.parse().unwrap());
    let mut seed = Dice::new();
    let mut scene = Scene::new();
    for round in 1..=rounds {
        // The first round has the seed that was given.
        let round_seed = if round == 1 {
            seed.seed()
        } else {
            seed.split().seed()
        };
        step(&format!(
            "round {round} of {rounds}: RINGFENCE_SEED={round_seed}"
        ));
        scene.round(round, &mut Dice::from(round_seed));
    }
    eprintln!("{rounds} rounds: {}", scene.summary());
}

struct Scene {
    cluster: Cluster<Members>,
    site: Site,
    plugin: Plugin,
    /// Where the EncryptionConfiguration lies that apiservers do not have yet.
    folder: TempDir,
    /// Three, the first of which writes at present.
    turns: usize,
    writers: Vec<Writer>,
    untouched: Untouched,
    /// Faults beside a run, runs, and runs that did not end with 0.
    counts: [usize; 3],
}

impl Scene {
    fn new() -> Self {
        let site = Site::with_key();
        let plugin = Plugin::start(&site);
        let mut cluster = Cluster::on(Members::with_failpoints(), Release::NEWEST, &[]);
        let socket = site.socket();
        cluster.write_encryption(&["secrets"], &providers(0, &socket));
        cluster.restart();
        let writers = Writer::two(&cluster.kube());
        let untouched = Untouched::store(&cluster, AT_REST);
        Self {
            cluster,
            plugin,
            site,
            folder: tempfile::tempdir().unwrap(),
            turns: 0,
            writers,
            untouched,
            counts: [0; 3],
        }
    }

    fn round(&mut self, round: usize, dice: &mut Dice) {
        self.turns += 1;
        let socket = self.site.socket();
        if dice.below(4) == 0 {
            // It can at least read what the others write.
            let before = providers(self.turns - 1, &socket);
            self.cluster.write_encryption(&["secrets"], &before);
            self.cluster.wait_for_reload();
            self.run_beside_an_apiserver_that_lags(&providers(self.turns, &socket));
            self.turns += 1;
        }
        let next = providers(self.turns, &socket);
        self.cluster.write_encryption(&["secrets"], &next);
        self.cluster.wait_for_reload();

        let at_work: Vec<_> = self
            .writers
            .drain(..)
            .map(|writer| writer.start(self.cluster.kube(), dice.split()))
            .collect();
        let compacts = dice.below(2) == 0;
        let mut run = self.run();
        for _ in 0..1 + dice.below(3) {
            self.pass(100 + dice.below(1400), compacts);
            let fault = dice.pick(&Fault::ALL);
            let works = run.child.try_wait().unwrap().is_none();
            eprintln!(
                "  {fault:?}, {}{}",
                if works { "beside a run" } else { "after it" },
                if compacts { ", compacting" } else { "" }
            );
            self.counts[0] += usize::from(works);
            self.inflict(fault, &mut run, dice);
        }
        self.succeeds(run);
        self.writers = at_work.into_iter().map(|writer| writer.finish()).collect();

        let report = self.cluster.rewrap("verify", &[]).expect(0);
        assert!(report.stdout.contains("verified"), "{report}");
        self.untouched.is_as_it_was(&self.cluster, next[0], round);
        // Nothing is left that only an old key or a warm cache could open.
        self.cluster.write_encryption(&["secrets"], &next[..1]);
        self.cluster.restart();
        for writer in &self.writers {
            writer.reads_back(&self.cluster.kube());
        }
        self.untouched.reads_back(&self.cluster.kube());
    }

    /// An apiserver that has not loaded the file goes on writing under the old key, and `verify`
    /// does not call that clean.
    fn run_beside_an_apiserver_that_lags(&mut self, next: &[Provider<'_>]) {
        eprintln!("  an apiserver lags");
        let file = self.folder.path().join("next.yaml");
        encryption::write(&file, &["secrets"], next);
        let rewrap = |verb: &str, flags: &[&str]| {
            Running::start(&mut self.cluster.rewrap_command_for(&file, verb, flags)).finish()
        };
        let flags = ["--yes", "--assume-converged", "--max", "--no-lock"];
        rewrap("run", &flags).expect(0);
        self.writers[0].write_once(&self.cluster.kube());
        let verdict = rewrap("verify", &[]).expect(1);
        assert!(verdict.stdout.contains("stale"), "{verdict}");
    }

    fn run(&mut self) -> Running {
        self.counts[1] += 1;
        // The lock of a killed run outlives it; here nobody else is running.
        let flags = ["--yes", "--assume-converged", "--no-lock", RATE];
        Running::start(&mut self.cluster.rewrap_command("run", &flags))
    }

    /// Time goes by; in it, old revisions do.
    fn pass(&self, milliseconds: usize, compacts: bool) {
        if compacts {
            self.cluster.etcd.compact();
        }
        sleep(Duration::from_millis(milliseconds as u64));
    }

    /// The run ends with 0, or one after it, now that everything is well.
    fn succeeds(&mut self, mut run: Running) {
        for _ in 0..RUNS {
            let ended = run.finish();
            match ended.code {
                Some(0) => return,
                // Something failed, nobody answered, the key was away, some objects failed.
                Some(2 | 4 | 5 | 6) => self.counts[2] += 1,
                _ => panic!("{ended}"),
            }
            eprintln!(
                "  a run ended with {:?}: {}",
                ended.code,
                ended.stderr.lines().last().unwrap_or_default()
            );
            run = self.run();
        }
        panic!("{RUNS} runs in a row did not succeed: {}", run.finish());
    }

    fn summary(&self) -> String {
        let [faults, runs, unfinished] = self.counts;
        let writes: usize = self.writers.iter().map(Writer::writes).sum();
        format!(
            "{faults} faults beside {runs} runs of which {unfinished} did not finish, {writes} writes of others"
        )
    }
}

/// All that reads; what writes takes turns.
fn providers(turn: usize, socket: &Path) -> Vec<Provider<'_>> {
    let mut all = [Kms("plugin", socket), AesGcm("a"), AesCbc("b")];
    all.rotate_left(turn % 3);
    [&all[..], &[Identity]].concat()
}
