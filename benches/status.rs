//! `rewrap status` against a real etcd: objects per second that the real program reads, opens and counts,
//! from its start to its end, against a bare read of the same ranges, some of them at a time, with the
//! same client. And the most memory that it has.
//!
//! `RINGFENCE_BENCH_OBJECTS` is the number of objects, 1,000,000 without it.

#[path = "support/etcd.rs"]
mod etcd;
#[path = "status/objects.rs"]
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
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use etcd::Etcd;
use objects::RESOURCES;
use pairs::Ratio;
use plugin::Plugin;
use rewrap_cli::store::{Store, StoreConfig};
use tokio::task::spawn_blocking;
use zeroizing_alloc::ZeroAlloc;

/// The one of the real program: the bare side wipes what it frees too.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

const PAIRS: usize = 7;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    const LIMIT: f64 = 0.75;
    const MOST: f64 = 65_536.0;
    let count: usize = match std::env::var("RINGFENCE_BENCH_OBJECTS") {
        Ok(count) => count.parse()?,
        Err(_) => 1_000_000,
    };
    let each = count / RESOURCES.len();
    let etcd = Etcd::start()?;
    let plugin = Plugin::start()?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("encryption.yaml");
    fs::write(&config, objects::encryption_config(&plugin))?;
    let store = Store::connect(StoreConfig::new(vec![etcd.endpoint()])).await?;
    let start = Instant::now();
    objects::create(&store, &plugin, each).await?;
    println!(
        "{each} objects of {} B each under aesgcm and kms v2, written in {:.0} s",
        objects::SIZE,
        start.elapsed().as_secs_f64()
    );
    println!("resource    pair    status  bare read  (objects per second)");
    for resource in RESOURCES {
        let ranges = objects::ranges(&store, resource).await?;
        let mut pairs = Vec::new();
        for pair in 0..PAIRS {
            let mut rates = (0.0, 0.0);
            // Going first is no advantage.
            for ours in [pair % 2 == 0, pair % 2 != 0] {
                if ours {
                    let flag = format!("--resource={resource}");
                    let ended = status(&etcd, &config, &[flag], each as u64).await?;
                    rates.0 = each as f64 / ended.seconds;
                } else {
                    rates.1 = objects::read(&store, &ranges).await?;
                }
            }
            println!("{resource:10}{pair:6}{:10.0}{:11.0}", rates.0, rates.1);
            pairs.push(rates);
        }
        let ratio = Ratio::of(&pairs);
        println!(
            "status, {resource}: {ratio}, {:.0}/s / {:.0}/s",
            ratio.ours, ratio.bare
        );
        target::report(
            &format!("status of {each} {resource}, times a bare parallel read"),
            ratio.median,
            LIMIT..,
        );
    }
    let whole = status(&etcd, &config, &[], 2 * each as u64 + 1).await?;
    let most = whole.most_kib;
    println!("status, all: {most} KiB at most");
    target::report(
        &format!("status of {count} objects of 1 KiB, VmHWM, KiB"),
        most as f64,
        1.0..=MOST,
    );
    Ok(())
}

/// How one run ended.
struct Ended {
    seconds: f64,
    /// VmHWM.
    most_kib: u64,
}

/// Runs the real program, which must find so many objects, all current.
async fn status(
    etcd: &Etcd,
    config: &Path,
    flags: &[String],
    objects: u64,
) -> Result<Ended, Box<dyn Error>> {
    let output = tempfile::NamedTempFile::new()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_rewrap"));
    command
        .args(["status", "--output=json"])
        .args(flags)
        .arg(format!("--endpoints={}", etcd.endpoint()))
        .arg("--encryption-provider-config")
        .arg(config)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(output.reopen()?);
    let start = Instant::now();
    let mut child = command.spawn()?;
    let most_kib = spawn_blocking(move || peak(&mut child)).await??;
    let seconds = start.elapsed().as_secs_f64();
    let inventory: serde_json::Value = serde_json::from_slice(&fs::read(output.path())?)?;
    let rows = inventory["resources"].as_array().into_iter().flatten();
    let current: u64 = rows.filter_map(|row| row["current"].as_u64()).sum();
    if current == objects {
        Ok(Ended { seconds, most_kib })
    } else {
        Err(format!("{current} of {objects} objects are current").into())
    }
}

/// Waits for the end of a process, and says the most memory it had, in KiB.
fn peak(child: &mut Child) -> std::io::Result<u64> {
    let file = format!("/proc/{}/status", child.id());
    let mut most = 0;
    loop {
        // The peak only grows, and is gone with the process.
        let status = fs::read_to_string(&file).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
        most = most.max(peak.and_then(|peak| peak.parse().ok()).unwrap_or(0));
        if child.try_wait()?.is_some() {
            return Ok(most);
        }
        sleep(Duration::from_millis(5));
    }
}
