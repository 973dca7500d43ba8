//! `rewrap run` against a real etcd: objects per second while it writes, as its report says, against a
//! bare loop of compare-and-swaps.
//!
//! Both write the same bytes to the same keys of the same store with the same client and the same
//! number of transactions in flight, in turn. The bare loop has everything in memory; `run` reads,
//! opens, judges, seals, checks and counts besides.
//!
//! etcd and its client share the cores, or each has a half of them. Where they share, and there are few,
//! etcd answers the later for everything that its client works between two writes.
//!
//! 10,000 objects, with as many in flight as a polite run has and as `--max` has; and as many objects as
//! `RINGFENCE_BENCH_OBJECTS` says besides, with those of `--max` and each on cores of its own: then the CPU
//! time that `run` takes for an object is compared too. `RINGFENCE_BENCH_PAIRS` is the number of pairs for
//! these, 7 without it.

#[path = "rewrap/cores.rs"]
mod cores;
#[path = "rewrap/cpu.rs"]
mod cpu;
#[path = "support/etcd.rs"]
mod etcd;
#[path = "rewrap/objects.rs"]
mod objects;
#[path = "support/pairs.rs"]
mod pairs;
#[path = "support/plugin.rs"]
mod plugin;
#[path = "support/secret.rs"]
mod secret;
#[path = "support/target.rs"]
mod target;

use std::{env, error::Error, fs, path::Path, process::Stdio};

use cores::Cores;
use cpu::{Whose, cpu_time};
use etcd::Etcd;
use objects::Objects;
use pairs::Ratio;
use plugin::Plugin;
use rewrap_cli::store::{Store, StoreConfig};
use tokio::process::Command;
use zeroizing_alloc::ZeroAlloc;

/// The one of the real program: the bare side wipes what it frees too.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

const POLITE: usize = 16;
const MAX: usize = 64;
const FEW: usize = 10_000;
const PAIRS: usize = 7;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    const MOST: f64 = 1.1;
    let many = match env::var("RINGFENCE_BENCH_OBJECTS") {
        Ok(count) => Some(count.parse()?).filter(|count| *count > FEW),
        Err(_) => None,
    };
    let pairs = env::var("RINGFENCE_BENCH_PAIRS").map_or(Ok(PAIRS), |text| text.parse())?;
    compare(FEW, &[POLITE, MAX], PAIRS, Cores::Shared).await?;
    let few = compare(FEW, &[POLITE, MAX], PAIRS, Cores::Apart).await?;
    if let Some(count) = many {
        let many = compare(count, &[MAX], pairs, Cores::Apart).await?;
        target::report(
            &format!("run, CPU time per object of {count}, times that of {FEW}"),
            many / few,
            ..=MOST,
        );
    }
    Ok(())
}

/// Gives the CPU time that `run` takes for an object, with the last number in flight.
async fn compare(
    count: usize,
    in_flight: &[usize],
    turns: usize,
    cores: Cores,
) -> Result<f64, Box<dyn Error>> {
    const LIMIT: f64 = 0.9;
    let (etcd, _confined) = cores.start(Etcd::start)?;
    let plugin = Plugin::start()?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("encryption.yaml");
    fs::write(&config, objects::encryption_config(&plugin.socket()))?;
    let store = Store::connect(StoreConfig::new(vec![etcd.endpoint()])).await?;
    let objects = Objects::create(store, count).await?;
    // Warms everything up, and makes the bytes that the bare loop writes.
    run(&etcd, &config, count, MAX).await?;
    let current = objects.values().await?;
    let size = objects::SIZE;
    let told = cores.told();
    println!(
        "{count} Secrets of {size} B, aescbc -> kms v2{told}; objects per second while writing"
    );
    println!("in flight  pair       run  bare loop    CPU of run  of bare loop");
    let mut time = 0.0;
    for &in_flight in in_flight {
        let (mut pairs, mut times) = (Vec::new(), Vec::new());
        for pair in 0..turns {
            let mut rates = (0.0, 0.0);
            let mut time = (0.0, 0.0);
            // Going first is no advantage.
            for ours in [pair % 2 == 0, pair % 2 != 0] {
                objects.make_stale().await?;
                if ours {
                    (rates.0, time.0) = run(&etcd, &config, count, in_flight).await?;
                } else {
                    (rates.1, time.1) = objects.write(&current, in_flight).await?;
                }
            }
            println!(
                "{in_flight:9}{pair:6}{:10.0}{:11.0}{:11.1} us{:11.1} us",
                rates.0,
                rates.1,
                time.0 * 1e6,
                time.1 * 1e6
            );
            pairs.push(rates);
            times.push(time.0);
        }
        let ratio = Ratio::of(&pairs);
        println!(
            "run, {in_flight} in flight{told}: {ratio}, {:.0}/s / {:.0}/s",
            ratio.ours, ratio.bare
        );
        target::report(
            &format!(
                "run of {count}, {in_flight} in flight{told}, times a bare compare-and-swap loop"
            ),
            ratio.median,
            LIMIT..,
        );
        times.sort_by(f64::total_cmp);
        time = times[times.len() / 2];
    }
    Ok(time)
}

/// Rewraps everything with the real program, as fast as the store takes it. Gives objects per second
/// and the CPU time for each, in seconds.
async fn run(
    etcd: &Etcd,
    config: &Path,
    count: usize,
    in_flight: usize,
) -> Result<(f64, f64), Box<dyn Error>> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rewrap"));
    command
        .args([
            "run",
            "--yes",
            "--assume-converged",
            "--max",
            "--output=json",
        ])
        .arg(format!("--concurrency={in_flight}"))
        .arg(format!("--endpoints={}", etcd.endpoint()))
        .arg("--encryption-provider-config")
        .arg(config)
        .stdin(Stdio::null());
    let before = cpu_time(Whose::Children)?;
    let output = command.output().await?;
    let time = (cpu_time(Whose::Children)? - before) / count as f64;
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|_| format!("rewrap run: {output:?}"))?;
    match (
        report["rewrapped"].as_u64(),
        report["objectsPerSecond"].as_f64(),
    ) {
        (Some(rewrapped), Some(rate)) if rewrapped == count as u64 => Ok((rate, time)),
        _ => Err(format!("not everything was rewrapped: {report}").into()),
    }
}
