//! A real `kms-plugin` in a directory of its own.

use std::{
    fs::{self, Permissions},
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use hyper_util::rt::TokioIo;
use kms_proto::wire::v2::key_management_service_client::KeyManagementServiceClient;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use super::eventually;

/// The program under test.
pub(crate) fn kms_plugin(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kms-plugin"));
    command.args(arguments);
    command
}

/// A directory with key files, a configuration and a place for the socket.
pub(crate) struct Site {
    directory: TempDir,
    /// What stands in the configuration before `keks:`.
    pub(crate) settings: String,
}

impl Site {
    /// Nothing in it yet; the configuration will say the least that is possible.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let run = directory.path().join("run");
        fs::create_dir(&run).unwrap();
        fs::set_permissions(&run, Permissions::from_mode(0o700)).unwrap();
        let socket = run.join("socket.sock");
        let settings = format!(
            "apiVersion: ringfence.dev/v1alpha1
kind: KmsPluginConfiguration
context: test
socket: {{path: {}}}
http: {{address: \"127.0.0.1:0\"}}
reload: {{pollInterval: 50ms}}
",
            socket.display()
        );
        Self {
            directory,
            settings,
        }
    }

    /// A site with one generated key, `one`, in its configuration.
    pub(crate) fn with_key() -> Self {
        let site = Self::new();
        site.keygen("one");
        site.configure(&["one"]);
        site
    }

    /// A file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.path("config.yaml")
    }

    /// The socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path("run/socket.sock")
    }

    /// The key file of a KEK.
    pub(crate) fn key_file(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.key"))
    }

    /// Makes the key file of a KEK.
    pub(crate) fn keygen(&self, name: &str) {
        let file = self.key_file(name);
        let output = kms_plugin(&["keygen"]).arg(&file).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Writes the configuration with these KEKs, the first of them wrapping. `name@2` is the KEK
    /// `name` in epoch 2.
    pub(crate) fn configure(&self, keks: &[&str]) {
        let mut text = self.settings.clone() + "keks:\n";
        for kek in keks {
            let (name, epoch) = kek.split_once('@').unwrap_or((kek, "1"));
            let file = self.key_file(name);
            text += &format!(
                "- {{name: {name}, epoch: {epoch}, local: {{keyFile: {}}}}}\n",
                file.display()
            );
        }
        self.write_config(&text);
    }

    /// Replaces the configuration in one step.
    pub(crate) fn write_config(&self, text: &str) {
        let unfinished = self.path("config.yaml.new");
        fs::write(&unfinished, text).unwrap();
        fs::rename(unfinished, self.config()).unwrap();
    }

    /// Replaces a file in one step, readable by its owner alone.
    pub(crate) fn write_secret(&self, name: &str, text: &str) {
        let unfinished = self.path(name).with_extension("new");
        fs::write(&unfinished, text).unwrap();
        fs::set_permissions(&unfinished, Permissions::from_mode(0o600)).unwrap();
        fs::rename(unfinished, self.path(name)).unwrap();
    }

    /// Runs `kms-plugin <verb> --config <this configuration>` to its end.
    pub(crate) fn run(&self, verb: &str) -> Output {
        kms_plugin(&[verb, "--config"])
            .arg(self.config())
            .output()
            .unwrap()
    }
}

/// A running daemon; killed when dropped.
pub(crate) struct Plugin {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    http: SocketAddr,
    socket: PathBuf,
}

impl Plugin {
    /// Starts a daemon and waits until it serves.
    pub(crate) fn start(site: &Site) -> Self {
        Self::start_with(site, |_| {})
    }

    /// Starts a daemon with more arguments or variables, and waits until it serves.
    pub(crate) fn start_with(site: &Site, adjust: impl FnOnce(&mut Command)) -> Self {
        let mut command = kms_plugin(&["serve", "--config"]);
        command.arg(site.config());
        adjust(&mut command);
        Self::spawn(site, command)
    }

    /// Starts a daemon with another verb, and waits until it serves.
    pub(crate) fn start_as(site: &Site, verb: &str, arguments: &[&str]) -> Self {
        let mut command = kms_plugin(&[verb]);
        command.args(arguments);
        Self::spawn(site, command)
    }

    fn spawn(site: &Site, mut command: Command) -> Self {
        command.arg("--log-format=json").stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let mut plugin = Self {
            child,
            log,
            http: SocketAddr::from(([127, 0, 0, 1], 0)),
            socket: site.socket(),
        };
        let serving = plugin.logged(r#""message":"serving""#);
        let serving: serde_json::Value = serde_json::from_str(&serving).unwrap();
        plugin.http = serving["http"].as_str().unwrap().parse().unwrap();
        plugin
    }

    /// Waits for a line of the log that contains `text`.
    #[track_caller]
    pub(crate) fn logged(&mut self, text: &str) -> String {
        eventually(text, || {
            let ended = self.child.try_wait().unwrap();
            let found = self.log().into_iter().find(|line| line.contains(text));
            assert!(
                found.is_some() || ended.is_none(),
                "{ended:?} before {text}: {:?}",
                self.log()
            );
            found
        })
    }

    /// The log so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// A client on a connection of its own.
    pub(crate) async fn client(&self) -> KeyManagementServiceClient<Channel> {
        KeyManagementServiceClient::new(connect(&self.socket).await.unwrap())
    }

    /// Has it take over these KEKs of its site, the first to wrap with.
    pub(crate) fn take(&self, site: &Site, keks: &[&str]) {
        let taken = || {
            let log = self.log();
            log.iter()
                .filter(|line| line.contains("took the keyring of the files"))
                .count()
        };
        let before = taken();
        site.configure(keks);
        self.signal(Signal::HUP);
        eventually("the plugin takes over its new KEKs", || {
            (taken() > before).then_some(())
        });
    }

    /// The DEK sources that it was asked to unwrap so far, by the SHA-256 that `rewrap status` shows
    /// as well. Needs its log at `debug`.
    pub(crate) fn unwrapped(&self) -> Vec<String> {
        let named = |line: String| {
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            let name = line["dek_source"].as_str()?.strip_prefix("sha256:")?;
            Some(name.to_owned())
        };
        self.log().into_iter().filter_map(named).collect()
    }

    /// Asks the HTTP port for `path`: status code and body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.http).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    /// The value of one series of the metrics, 0 if it is not there.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let (status, text) = self.get("/metrics");
        assert_eq!(status, 200);
        text.lines()
            .find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
            .unwrap_or(0.0)
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Lets it have this many file descriptors from now on; `None`: as many as we may have.
    pub(crate) fn limit_files(&self, limit: Option<u64>) {
        let ours = getrlimit(Resource::Nofile);
        let limit = Rlimit {
            current: limit.or(ours.current),
            maximum: ours.maximum,
        };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Nofile, limit).unwrap();
    }

    /// The most memory it ever had resident, in KiB (`VmHWM`, proc(5)).
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.unwrap().trim().trim_end_matches(" kB");
        peak.parse().unwrap()
    }

    /// Waits for the end of the process.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        eventually("the daemon ends", || self.child.try_wait().unwrap())
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection to a socket, as kube-apiserver makes it.
pub(crate) async fn connect(socket: &Path) -> Result<Channel, tonic::transport::Error> {
    let socket = socket.to_owned();
    Endpoint::from_static("http://localhost")
        .connect_with_connector(service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        }))
        .await
}
