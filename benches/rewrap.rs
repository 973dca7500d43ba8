//! `rewrap run` against a real etcd: objects per second while it writes, as its report says, against a
//! bare loop of compare-and-swaps.
//!
//! Both write the same bytes to the same keys of the same store with the same client and the same
//! number of transactions in flight, in turn. The bare loop has everything in memory; `run` reads,
//! opens, judges, seals, checks and counts besides.

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

use std::{
    error::Error,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use etcd::Etcd;
use objects::Objects;
use pairs::Ratio;
use plugin::Plugin;
use rewrap_cli::store::{Store, StoreConfig};
use tokio::task::spawn_blocking;

const IN_FLIGHT: [usize; 2] = [16, 64];
const PAIRS: usize = 5;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    const LIMIT: f64 = 0.8;
    let etcd = Etcd::start()?;
    let plugin = Plugin::start()?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("encryption.yaml");
    fs::write(&config, objects::encryption_config(&plugin.socket()))?;
    let store = Store::connect(StoreConfig::new(vec![etcd.endpoint()])).await?;
    let objects = Objects::create(store).await?;
    // Warms everything up, and makes the bytes that the bare loop writes.
    run(&etcd, &config, IN_FLIGHT[0]).await?;
    let current = objects.values().await?;
    let (count, size) = (objects::COUNT, objects::SIZE);
    println!("{count} Secrets of {size} B, aescbc -> kms v2; objects per second while writing");
    println!("in flight  pair       run  bare loop");
    for in_flight in IN_FLIGHT {
        let mut pairs = Vec::new();
        for pair in 0..PAIRS {
            let mut rates = (0.0, 0.0);
            // Going first is no advantage.
            for ours in [pair % 2 == 0, pair % 2 != 0] {
                objects.make_stale().await?;
                if ours {
                    rates.0 = run(&etcd, &config, in_flight).await?;
                } else {
                    rates.1 = objects.write(&current, in_flight).await?;
                }
            }
            println!("{in_flight:9}{pair:6}{:10.0}{:11.0}", rates.0, rates.1);
            pairs.push(rates);
        }
        let ratio = Ratio::of(&pairs);
        println!(
            "run, {in_flight} in flight: {ratio}, {:.0}/s / {:.0}/s",
            ratio.ours, ratio.bare
        );
        target::report(
            &format!("run, {in_flight} in flight, >= {LIMIT}x of a bare compare-and-swap loop"),
            ratio.median >= LIMIT,
        );
    }
    Ok(())
}

/// Rewraps everything with the real program, as fast as the store takes it. Gives objects per second.
async fn run(etcd: &Etcd, config: &Path, in_flight: usize) -> Result<f64, Box<dyn Error>> {
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
    let output = spawn_blocking(move || command.output()).await??;
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|_| format!("rewrap run: {output:?}"))?;
    match (
        report["rewrapped"].as_u64(),
        report["objectsPerSecond"].as_f64(),
    ) {
        (Some(rewrapped), Some(rate)) if rewrapped == objects::COUNT as u64 => Ok(rate),
        _ => Err(format!("not everything was rewrapped: {report}").into()),
    }
}
