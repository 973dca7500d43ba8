//! The two servers: etcd and the plugin. Killed when dropped.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use rewrap_cli::store::{Store, StoreConfig};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use super::stage::Stage;

const START: Duration = Duration::from_secs(30);

/// A member of its own on free ports of loopback.
pub(crate) struct Etcd {
    pub(crate) endpoint: String,
    _child: Child,
}

impl Etcd {
    pub(crate) async fn start(stage: &Stage) -> Result<Self> {
        let [client, peer] = free_ports()?;
        let endpoint = format!("http://127.0.0.1:{client}");
        let peers = format!("http://127.0.0.1:{peer}");
        let log = stage.folder().join("etcd.log");
        let mut child = Command::new(binary().await?)
            .args(["--name=demo", "--log-level=warn"])
            .arg(format!(
                "--data-dir={}",
                stage.folder().join("etcd").display()
            ))
            .arg(format!("--listen-client-urls={endpoint}"))
            .arg(format!("--advertise-client-urls={endpoint}"))
            .arg(format!("--listen-peer-urls={peers}"))
            .arg(format!("--initial-advertise-peer-urls={peers}"))
            .arg(format!("--initial-cluster=demo={peers}"))
            .stderr(File::create(&log)?)
            .stdin(Stdio::null())
            // Ctrl-C is for the demo: it stops its servers itself, after their clients.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("starting etcd")?;
        let deadline = Instant::now() + START;
        while Store::connect(StoreConfig::new(vec![endpoint.clone()]))
            .await
            .is_err()
        {
            give_up_when_ended(&mut child, "etcd", &log, deadline)?;
            sleep(Duration::from_millis(20)).await;
        }
        Ok(Self {
            endpoint,
            _child: child,
        })
    }
}

/// The plugin, as its configuration file says.
pub(crate) struct Plugin(Child);

impl Plugin {
    pub(crate) async fn start(stage: &Stage) -> Result<Self> {
        let line = "kms-plugin serve --config config.yaml";
        stage.prompt(&format!("{line} 2>plugin.log &"));
        let log = stage.folder().join("plugin.log");
        let mut child = stage
            .command(line)?
            .stderr(File::create(&log)?)
            .process_group(0)
            .spawn()
            .context("starting kms-plugin")?;
        let deadline = Instant::now() + START;
        while !stage.folder().join("socket.sock").exists() {
            give_up_when_ended(&mut child, "kms-plugin", &log, deadline)?;
            sleep(Duration::from_millis(20)).await;
        }
        Ok(Self(child))
    }

    /// Tells it to look at its files.
    pub(crate) fn reload(&self, stage: &Stage) -> Result<()> {
        let id = self.0.id().context("kms-plugin has ended")?;
        stage.prompt(&format!("kill -HUP {id}"));
        let pid = Pid::from_raw(id.try_into()?).context("no process has the id 0")?;
        Ok(kill_process(pid, Signal::HUP)?)
    }
}

fn give_up_when_ended(child: &mut Child, name: &str, log: &Path, deadline: Instant) -> Result<()> {
    let ended = child.try_wait()?;
    if ended.is_none() && Instant::now() < deadline {
        return Ok(());
    }
    let said = fs::read_to_string(log).unwrap_or_default();
    bail!("{name} does not serve: {said}")
}

/// Where etcd is; `make demo` has built it if it had to.
async fn binary() -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/get");
    let output = Command::new(script)
        .arg("etcd")
        .stderr(Stdio::inherit())
        .output()
        .await?;
    if !output.status.success() {
        bail!("there is no etcd; the reason is above");
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().into())
}

fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    let mut held = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
