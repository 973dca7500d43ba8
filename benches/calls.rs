//! Decrypt over the socket, against Go's own KMS library: the plugin with its root in a real Vault, a warm local KEK and
//! all that goes with them, and `k8s.io/kms/pkg/service` with an AES key in memory. The same Go client, in turn. And the memory of a plugin with a
//! root in AWS KMS, for which moto stands.
//!
//! `RINGFENCE_BENCH_PAIRS` is the number of pairs, 7 without it.

#[path = "support/pairs.rs"]
mod pairs;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "support/target.rs"]
mod target;

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use pairs::Ratio;
use support::{
    eventually,
    moto::Moto,
    plugin::{Plugin, Site},
    server,
    vault::{POLICY, Vault},
};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Calls, and how many of them are in flight.
const LOADS: [(usize, usize); 2] = [(40_000, 64), (10_000, 1)];
/// As many as an apiserver may ask at a cold start.
const BURST: usize = 10_000;

fn main() -> Result<()> {
    let pairs = env::var("RINGFENCE_BENCH_PAIRS").map_or(Ok(7), |text| text.parse::<usize>())?;
    let moto = Moto::start();
    let (site, plugin) = serve(|site| {
        let credentials = "[k8s]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = none\n";
        site.write_secret("credentials", credentials);
        format!(
            "awsKms: {{keyId: \"{}\", endpoint: \"{}\", profile: {{name: k8s, credentialsFile: {}}}}}",
            moto.create_key(),
            moto.endpoint(),
            site.path("credentials").display(),
        )
    });
    load(&site.socket(), BURST, 64)?;
    let peak = plugin.peak_memory_kib();
    println!("with AWS KMS (moto): {peak} KiB at most (VmHWM) after {BURST} Decrypts");
    drop(plugin);

    let vault = Vault::start();
    vault.create_key("k8s", json!({}));
    vault.policy("plugin", POLICY);
    let (site, plugin) = serve(|site| {
        site.write_secret("token", &vault.token("plugin", "1h"));
        format!(
            "vault: {{addresses: [\"{}\"], key: k8s, auth: {{tokenFile: {}}}}}",
            vault.endpoint(),
            site.path("token").display(),
        )
    });
    let calls_of_vault =
        || plugin.metric(r#"ringfence_root_calls_total{root="root",kind="vault",call="unwrap"}"#);
    let before = calls_of_vault();
    load(&site.socket(), BURST, 64)?;
    println!(
        "a burst of {BURST} Decrypts: Vault unwrapped {:.0} times meanwhile; the keeper's own look, every 20 s, is one",
        calls_of_vault() - before
    );
    target::report(
        "kms-plugin with Vault after 10000 Decrypts, VmHWM, KiB",
        plugin.peak_memory_kib() as f64,
        1.0..=16_384.0,
    );

    let go = Reference::start(&site)?;
    let (ours, theirs) = (plugin.id(), go.child.id());
    for (calls, in_flight) in LOADS {
        println!(
            "{in_flight} in flight   ours: calls/s  p50 us  CPU us/call  client's    Go: calls/s  p50 us  CPU us/call  client's"
        );
        let (mut rates, mut p50s, mut cpus) = (Vec::new(), Vec::new(), Vec::new());
        let mut ceilings = Vec::new();
        for pair in 0..pairs {
            let us = measure(ours, &site.socket(), calls, in_flight)?;
            let them = measure(theirs, &go.socket, calls, in_flight)?;
            println!(
                "{pair:>4} {:>19.0} {:>8.0} {:>12.1} {:>9.1} {:>15.0} {:>8.0} {:>12.1} {:>9.1}",
                us.rate, us.p50, us.cpu, us.client, them.rate, them.p50, them.cpu, them.client
            );
            ceilings.push((them.client + them.cpu, us.client));
            rates.push((us.rate, them.rate));
            p50s.push((us.p50, them.p50));
            cpus.push((us.cpu, them.cpu));
        }
        let [rate, p50, cpu] = [rates, p50s, cpus].map(|pairs| Ratio::of(&pairs));
        for (what, ratio) in [("calls/s", &rate), ("p50 us", &p50), ("CPU us/call", &cpu)] {
            println!("{what}: {ratio}, {:.1} / {:.1}", ratio.ours, ratio.bare);
        }
        if in_flight == 1 {
            target::report("Decrypt, 1 in flight, p50, times Go's", p50.median, ..=0.9);
        } else {
            let what = format!("Decrypt, {in_flight} in flight");
            println!(
                "where client and server take all cores, a server that costs nothing has {} Go's throughput",
                Ratio::of(&ceilings)
            );
            target::report(
                &format!("{what}, throughput, times Go's"),
                rate.median,
                1.2..,
            );
            target::report(
                &format!("{what}, server CPU, times Go's"),
                cpu.median,
                ..=0.6,
            );
        }
    }
    Ok(())
}

/// A plugin that is ready, with one root of these settings.
fn serve(root: impl FnOnce(&Site) -> String) -> (Site, Plugin) {
    let site = Site::new();
    let root = root(&site);
    site.write_config(&format!(
        "{}stateDirectory: {}
roots: [{{name: root, {root}}}]
keks: [{{name: main, wrapWith: [root]}}]
",
        site.settings,
        site.path("state").display(),
    ));
    let plugin = Plugin::start_with(&site, |command| {
        command.arg("--log-level=info");
    });
    eventually("it serves", || {
        (plugin.get("/readyz").0 == 200).then_some(())
    });
    (site, plugin)
}

/// Go's own library as a plugin.
struct Reference {
    child: Child,
    socket: PathBuf,
}

impl Reference {
    fn start(site: &Site) -> Result<Self> {
        let (socket, keys) = (site.path("run/reference.sock"), site.path("reference"));
        fs::create_dir(&keys)?;
        let child = Command::new(server::binary("kms-reference"))
            .arg("-socket")
            .arg(&socket)
            .arg("-keys")
            .arg(&keys)
            .stderr(Stdio::null())
            .spawn()?;
        eventually("Go's plugin listens", || socket.exists().then_some(()));
        Ok(Self { child, socket })
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Measured {
    /// Calls per second.
    rate: f64,
    /// Microseconds.
    p50: f64,
    /// Microseconds of the server's CPU for one call.
    cpu: f64,
    /// The same of the client's.
    client: f64,
}

fn measure(process: u32, socket: &Path, calls: usize, in_flight: usize) -> Result<Measured> {
    let before = (cpu_seconds(process)?, cpu_seconds_of_children()?);
    let said = load(socket, calls, in_flight)?;
    let cpu = cpu_seconds(process)? - before.0;
    let client = cpu_seconds_of_children()? - before.1;
    let number = |name: &str| said[name].as_f64().ok_or("no number");
    Ok(Measured {
        rate: calls as f64 / number("seconds")?,
        p50: number("p50")? * 1e6,
        cpu: cpu * 1e6 / calls as f64,
        client: client * 1e6 / calls as f64,
    })
}

/// What the Go client says of a load.
fn load(socket: &Path, calls: usize, in_flight: usize) -> Result<Value> {
    let output = Command::new(server::binary("kms-reference"))
        .arg("-socket")
        .arg(socket)
        .args(["-load", &calls.to_string()])
        .args(["-in-flight", &in_flight.to_string()])
        .output()?;
    if !output.status.success() {
        return Err(format!("the Go client: {output:?}").into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// User and system time of a process so far (proc(5), `stat`, fields 14 and 15).
fn cpu_seconds(process: u32) -> Result<f64> {
    seconds(&format!("/proc/{process}/stat"), 14)
}

/// The same of all children of this process that have ended (fields 16 and 17): of clients, here.
fn cpu_seconds_of_children() -> Result<f64> {
    seconds("/proc/self/stat", 16)
}

/// The sum of two fields of a `stat`, the first of which has this number.
fn seconds(stat: &str, first: usize) -> Result<f64> {
    let stat = fs::read_to_string(stat)?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no stat")?;
    let ticks: Vec<u64> = fields
        .split_whitespace()
        // Those behind the name begin with the third.
        .skip(first - 3)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    // `sysconf(_SC_CLK_TCK)` is 100 on every Linux that Rust runs on.
    Ok(ticks.iter().sum::<u64>() as f64 / 100.0)
}
