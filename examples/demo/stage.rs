//! Where the demo plays: its folder, its programs, and what it prints.

use std::{
    cell::Cell,
    env, fs,
    io::{IsTerminal as _, stdout},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use tokio::process::Command;

const CONFIG: &str = "--encryption-provider-config encryption.yaml";

/// The folder, removed when dropped, and the programs beside this one.
pub(crate) struct Stage {
    folder: TempDir,
    programs: PathBuf,
    endpoint: String,
    steps: Cell<u32>,
}

impl Stage {
    pub(crate) fn new() -> Result<Self> {
        let example = env::current_exe()?;
        let programs = example
            .ancestors()
            .nth(2)
            .context("this program is in no folder")?;
        for name in ["kms-plugin", "rewrap"] {
            if !programs.join(name).is_file() {
                bail!("{name} is not built: `make demo` builds it first");
            }
        }
        Ok(Self {
            folder: tempfile::Builder::new()
                .prefix("ringfence-demo.")
                .tempdir()?,
            programs: programs.to_owned(),
            endpoint: String::new(),
            steps: Cell::new(0),
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Says what the commands below need to be typed again.
    pub(crate) fn set_up(&mut self, endpoint: &str) {
        self.endpoint = endpoint.to_owned();
        self.step("A real etcd, in a folder that goes away at the end.");
        self.prompt(&format!("cd {}", self.folder().display()));
        self.prompt(&format!("export PATH={}:$PATH", self.programs.display()));
        self.prompt(&format!("export ETCDCTL_ENDPOINTS={endpoint}"));
    }

    /// The next step, in one line.
    pub(crate) fn step(&self, what: &str) {
        self.steps.set(self.steps.get() + 1);
        println!("\n{}", self.bold(&format!("{}. {what}", self.steps.get())));
    }

    pub(crate) fn say(&self, text: &str) {
        println!("{text}");
    }

    /// Prints a command line without running it.
    pub(crate) fn prompt(&self, command: &str) {
        println!("{}", self.bold(&format!("$ {command}")));
    }

    fn bold(&self, text: &str) -> String {
        let colours = stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
        if colours {
            format!("\x1b[1m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Prints a command line and runs it as a shell would, in the folder.
    pub(crate) async fn run(&self, line: &str) -> Result<()> {
        self.prompt(line);
        let status = self
            .command(line)?
            .status()
            .await
            .with_context(|| line.to_owned())?;
        if !status.success() {
            bail!("`{line}` failed: {status}");
        }
        Ok(())
    }

    /// Runs a verb of rewrap on the store.
    pub(crate) async fn rewrap(&self, verb: &str) -> Result<()> {
        self.run(&format!("rewrap {verb} {CONFIG}")).await
    }

    /// A command line of plain words, killed when dropped.
    pub(crate) fn command(&self, line: &str) -> Result<Command> {
        let mut words = line.split_whitespace();
        let name = words.next().context("an empty command line")?;
        let ours = self.programs.join(name);
        let mut command = Command::new(if ours.is_file() { ours } else { name.into() });
        command
            .args(words)
            .current_dir(self.folder())
            .env("ETCDCTL_ENDPOINTS", &self.endpoint)
            .kill_on_drop(true);
        Ok(command)
    }

    /// Writes `config.yaml` with these KEKs, the first one wrapping.
    pub(crate) fn write_plugin_config(&self, keys: &[&str]) -> Result<()> {
        let folder = self.folder().display();
        let mut text = format!(
            "apiVersion: ringfence.dev/v1alpha1
kind: KmsPluginConfiguration
context: demo
socket:
  path: {folder}/socket.sock
http:
  address: 127.0.0.1:0
keks:
"
        );
        for key in keys {
            text += &format!("- name: \"{key}\"\n  local:\n    keyFile: {folder}/keys/{key}.key\n");
        }
        // Replaced in one step: the plugin may look at any moment.
        let new = self.folder().join("config.yaml.new");
        fs::write(&new, text)?;
        fs::rename(new, self.folder().join("config.yaml"))?;
        Ok(())
    }

    /// The names of the KEKs that the running plugin has.
    pub(crate) async fn keyring(&self) -> Result<Vec<String>> {
        let line = "kms-plugin status --config config.yaml --output json";
        let output = self.command(line)?.output().await?;
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let keks = answer["keks"]
            .as_array()
            .context("no keyring in the plugin's status")?;
        Ok(keks
            .iter()
            .filter_map(|kek| Some(kek["name"].as_str()?.to_owned()))
            .collect())
    }
}
