//! `rewrap run` next to a live kube-apiserver, against what else brings stored objects to the current
//! key, which all goes through the apiserver: the StorageVersionMigration of kube-controller-manager,
//! and 64 replacing PUTs at a time.
//!
//! The same Secrets of the same etcd, which syncs to disk, in turn, from start to end: of ours the
//! whole program, with its gates, its canary through the apiserver and the pass after the last write; of
//! the migration from its creation to its `Succeeded`; of the PUTs with the list that they begin with.
//! The migration may wait for more than a minute until its cache is as new as it wants; so what both do
//! while they write is printed too. And the time that `rewrap plan` predicts for a polite run is held
//! against that of the run.
//!
//! `RINGFENCE_BENCH_SECRETS` is the number of Secrets, 5,000 without it; `RINGFENCE_BENCH_PAIRS` that
//! of turns, 7 without it. A turn takes one to two minutes, nearly all of them the migration's.

#[path = "peers/cluster.rs"]
mod cluster;
#[path = "peers/migration.rs"]
mod migration;
#[path = "support/pairs.rs"]
mod pairs;
#[path = "peers/puts.rs"]
mod puts;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "support/target.rs"]
mod target;

use std::{error::Error, time::Instant};

use cluster::Cluster;
use migration::ControllerManager;
use pairs::Ratio;
use puts::Clients;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    const AT_ONCE: usize = 64;
    let [count, turns] = [("SECRETS", 5000), ("PAIRS", 7)].map(|(name, default)| {
        let set = std::env::var(format!("RINGFENCE_BENCH_{name}"));
        set.map_or(Ok(default), |text| text.parse::<usize>())
    });
    let (count, turns) = (count?, turns?);
    let cluster = Cluster::start(count)?;
    let manager = ControllerManager::start(cluster.apiserver())?;

    println!(
        "{count} Secrets of {} B, aescbc -> kms v2; objects per second from start to end",
        cluster.size()
    );
    println!("turn     run  (writing)  migration  (writing)  {AT_ONCE} PUTs");
    let (mut migration, mut writing, mut puts) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..turns {
        let (ours, ours_writing) = cluster.measure(|| cluster.run(&["--max"]))?;
        let name = format!("secrets-{turn}");
        let migrate = || manager.migrate(&name, "secrets", || cluster.revision());
        let (migrates, migrates_writing) = cluster.measure(migrate)?;
        let clients = Clients::connect(cluster.apiserver(), AT_ONCE)?;
        let (replaces, ()) = cluster.measure(|| clients.put_each(cluster::COLLECTION))?;
        println!(
            "{turn:4}{ours:8.0}{ours_writing:11.0}{migrates:11.0}{migrates_writing:11.0}{replaces:9.0}"
        );
        migration.push((ours, migrates));
        writing.push((ours_writing, migrates_writing));
        puts.push((ours, replaces));
    }
    let writing = Ratio::of(&writing);
    println!("run --max against the migration while they write: {writing}");
    for (peer, pairs, least) in [
        ("the built-in StorageVersionMigration", migration, 30.0),
        ("64 PUTs at a time", puts, 4.0),
    ] {
        let ratio = Ratio::of(&pairs);
        let (ours, theirs) = (ratio.ours, ratio.bare);
        println!("run --max against {peer}: {ratio}, {ours:.0}/s / {theirs:.0}/s");
        target::report(&format!("run --max against {peer}"), ratio.median, least..);
    }

    let predicted = cluster.plan()?;
    let start = Instant::now();
    let writing = cluster.run(&[])?;
    let measured = start.elapsed().as_secs_f64();
    println!(
        "plan of a polite run: {predicted} s, measured {measured:.1} s, {writing:.0}/s while it wrote"
    );
    target::report(
        "time of a polite run against its plan",
        measured / predicted,
        0.85..=1.15,
    );
    Ok(())
}
