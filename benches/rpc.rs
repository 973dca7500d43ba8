//! Decrypt over the socket, as kube-apiserver asks for it, against the real `kms-plugin`.

#[path = "support/connect.rs"]
mod connect;
#[path = "support/plugin.rs"]
mod plugin;
#[path = "support/target.rs"]
mod target;

use std::{
    error::Error,
    fs,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kms_proto::wire::v2::{
    DecryptRequest, EncryptRequest, key_management_service_client::KeyManagementServiceClient,
};
use tokio::net::UnixStream;
use tonic::transport::Channel;

use connect::connect;
use plugin::Plugin;

type Client = KeyManagementServiceClient<Channel>;

/// How many calls, with how many of them in flight.
const LOADS: [(usize, usize); 2] = [(20_000, 1), (80_000, 64)];
const SEED: &[u8; 32] = b"a DEK seed of exactly 32 bytes..";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    const LIMIT_KIB: f64 = 10_240.0;
    let plugin = Plugin::start()?;
    let peer = UnixStream::connect(plugin.socket()).await?.peer_cred()?;
    let process = peer.pid().ok_or("the socket names no process")?;
    let mut client = Client::new(connect(plugin.socket()).await?);
    let request = EncryptRequest {
        plaintext: SEED.to_vec(),
        uid: "bench".to_owned(),
    };
    let answer = client.encrypt(request).await?.into_inner();
    let request = || DecryptRequest {
        ciphertext: answer.ciphertext.clone(),
        uid: "bench".to_owned(),
        key_id: answer.key_id.clone(),
        annotations: answer.annotations.clone(),
    };
    println!("Decrypt      calls   calls/s    p50 µs    p99 µs   VmHWM KiB");
    let mut calls = 0;
    for (count, in_flight) in LOADS {
        let start = Instant::now();
        let mut times: Vec<Duration> = stream::iter(0..count)
            .map(|_| decrypt(client.clone(), request()))
            .buffer_unordered(in_flight)
            .try_collect()
            .await?;
        let rate = count as f64 / start.elapsed().as_secs_f64();
        times.sort_unstable();
        calls += count;
        println!(
            "{in_flight:>2} in flight {count:>6}{rate:>10.0}{:>10.0}{:>10.0}{:>12}",
            micros(times[count / 2]),
            micros(times[count * 99 / 100]),
            high_water(process)?,
        );
    }
    let high_water = high_water(process)?;
    println!("kms-plugin VmHWM after {calls} calls: {high_water} KiB");
    target::report("kms-plugin VmHWM, KiB", high_water as f64, ..LIMIT_KIB);
    Ok(())
}

/// One call; the time until its answer.
async fn decrypt(mut client: Client, request: DecryptRequest) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    let answer = client.decrypt(request).await?;
    let time = start.elapsed();
    if answer.into_inner().plaintext != SEED {
        return Err("Decrypt gave another plaintext back".into());
    }
    Ok(time)
}

/// The most memory that a process ever had resident, in KiB.
fn high_water(process: i32) -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    Ok(line.ok_or("no VmHWM")?.trim().parse()?)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
