//! What the authority front costs: instructions that the server executes for one Decrypt, with the front
//! before tonic and without it.
//!
//! The server is this program again, under valgrind; the client is not, so it does not count. What
//! is counted does not depend on what else the machine does.

#[path = "support/connect.rs"]
mod connect;
#[path = "front/server.rs"]
mod server;
#[path = "support/target.rs"]
mod target;

use std::{
    alloc::System,
    env,
    error::Error,
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use kms_proto::wire::v2::{
    DecryptRequest, EncryptRequest, key_management_service_client::KeyManagementServiceClient,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::sleep;
use tonic::transport::Channel;
use zeroizing_alloc::ZeroAlloc;

use connect::connect;
use server::Side;

/// As in the daemon: on both sides of the ratio it wipes what is freed.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// The calls of a short and of a long run; their difference is without start and end.
const CALLS: [u32; 2] = [500, 2500];
const SEED: &[u8; 32] = b"a DEK seed of exactly 32 bytes..";
/// Long enough for a loaded machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// The most instructions with the front, in those without it.
const MOST: f64 = 1.05;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    if let [verb, side, socket] = &arguments[..]
        && verb == "serve"
    {
        let side = side.to_str().and_then(Side::from_name);
        return server::serve(side.ok_or("which side?")?, socket.as_ref()).await;
    }
    println!("Decrypt       instructions of the server per call");
    let mut per_call = [0.0; 2];
    for (side, per_call) in [Side::Bare, Side::Front].into_iter().zip(&mut per_call) {
        let [few, many] = CALLS;
        let difference = count(side, many).await? - count(side, few).await?;
        *per_call = difference / f64::from(many - few);
        println!("{:12}{:>15.0}", side.name(), *per_call);
    }
    let [bare, front] = per_call;
    println!("front / bare {:.3}x", front / bare);
    target::report(
        "front, times the instructions without it",
        front / bare,
        ..=MOST,
    );
    Ok(())
}

/// All instructions of a server that was asked so often.
async fn count(side: Side, calls: u32) -> Result<f64, Box<dyn Error>> {
    let counted = Counted::start(side)?;
    let mut client = KeyManagementServiceClient::new(counted.connect().await?);
    let request = EncryptRequest {
        plaintext: SEED.to_vec(),
        uid: "bench".to_owned(),
    };
    let wrapped = client.encrypt(request).await?.into_inner();
    for _ in 0..calls {
        let request = DecryptRequest {
            ciphertext: wrapped.ciphertext.clone(),
            uid: "bench".to_owned(),
            key_id: wrapped.key_id.clone(),
            annotations: wrapped.annotations.clone(),
        };
        let answer = client.decrypt(request).await?;
        if answer.into_inner().plaintext != SEED {
            return Err("Decrypt gave another plaintext back".into());
        }
    }
    counted.end()
}

/// A server under valgrind; killed when dropped.
struct Counted {
    child: Child,
    folder: TempDir,
}

impl Counted {
    fn start(side: Side) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let child = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(format!(
                "--log-file={}",
                folder.path().join("log").display()
            ))
            .arg(env::current_exe()?)
            .args(["serve", side.name()])
            .arg(folder.path().join("socket"))
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("valgrind: {error}; install it (apt-get install valgrind)"))?;
        Ok(Self { child, folder })
    }

    async fn connect(&self) -> Result<Channel, Box<dyn Error>> {
        let socket = self.folder.path().join("socket");
        let start = Instant::now();
        loop {
            match connect(socket.clone()).await {
                Ok(channel) => return Ok(channel),
                Err(error) if start.elapsed() > DEADLINE => return Err(error.into()),
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Ends it; gives back how many instructions it executed.
    fn end(mut self) -> Result<f64, Box<dyn Error>> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        self.child.wait()?;
        let log = fs::read_to_string(self.folder.path().join("log"))?;
        let count = log.split("Collected :").nth(1);
        let count = count.and_then(|rest| rest.split_whitespace().next());
        Ok(count.ok_or_else(|| format!("no count: {log}"))?.parse()?)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
