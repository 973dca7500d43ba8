//! `kms-plugin status`: asks a running daemon.

use std::{
    fmt, io,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hyper_util::rt::TokioIo;
use kms_proto::wire::ringfence::{
    DescribeRequest, DescribeResponse, State, plugin_client::PluginClient,
};
use serde_json::json;
use tokio::net::UnixStream;
use tonic::transport::Endpoint;
use tower::service_fn;

use crate::config::{API_VERSION, Config, ConfigError, read_text};

/// How long the daemon may take to answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What a daemon says of itself.
#[derive(Debug)]
pub struct Answer(DescribeResponse);

/// Asks the daemon behind `socket`, or behind the socket that the configuration names.
///
/// # Errors
/// The configuration is refused, nobody answers, or the one who answers is no kms-plugin.
pub fn ask(socket: Option<PathBuf>, config: Option<PathBuf>) -> Result<Answer, StatusError> {
    let path = match (socket, config) {
        (Some(path), _) => path,
        (None, Some(config)) => read_text(&config)?.parse::<Config>()?.fixed.socket.path,
        (None, None) => return Err(StatusError::NoDaemon),
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StatusError::Runtime)?
        .block_on(describe(path))
}

async fn describe(path: PathBuf) -> Result<Answer, StatusError> {
    let socket = path.clone();
    // The authority is never looked up; kube-apiserver sends the same since 1.32.
    let channel = Endpoint::from_static("http://localhost")
        .timeout(TIMEOUT)
        .connect_with_connector(service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        }))
        .await
        .map_err(|source| StatusError::Connect { path, source })?;
    PluginClient::new(channel)
        .describe(DescribeRequest {})
        .await
        .map(|response| Answer(response.into_inner()))
        .map_err(|status| StatusError::Call(Box::new(status)))
}

impl Answer {
    /// A JSON document; times are Unix times in seconds.
    pub fn to_json(&self) -> String {
        let keks: Vec<_> = self
            .0
            .keks
            .iter()
            .map(|kek| {
                json!({"name": kek.name, "keyId": kek.key_id, "root": kek.root, "epoch": kek.epoch})
            })
            .collect();
        let roots: Vec<_> = self
            .0
            .roots
            .iter()
            .map(|root| {
                json!({
                    "name": root.name,
                    "kind": root.kind,
                    "wraps": root.wraps,
                    "version": root.version,
                    "standing": root.standing,
                    "trouble": root.trouble,
                    "lastAnswer": root.last_answer,
                    "covers": root.covers,
                    "calls": root.calls,
                    "failedCalls": root.failed_calls,
                })
            })
            .collect();
        let document = json!({
            "apiVersion": API_VERSION,
            "kind": "PluginStatus",
            "state": self.state(),
            "version": self.0.version,
            "context": self.0.context,
            "startedAt": self.0.started_at,
            "keyringLoadedAt": self.0.keyring_loaded_at,
            "reloadError": self.0.reload_error,
            "encrypts": self.0.encrypts,
            "decrypts": self.0.decrypts,
            "failures": self.0.failures,
            "reason": self.0.reason,
            "graceLeft": (self.0.state() == State::Degraded).then_some(self.0.grace_left),
            "localKeks": self.0.local_keks,
            "keks": keks,
            "roots": roots,
        });
        format!("{document:#}\n")
    }

    fn state(&self) -> &'static str {
        match self.0.state() {
            State::Unspecified => "unknown",
            State::Starting => "starting",
            State::Serving => "serving",
            State::Degraded => "degraded",
            State::Refused => "refused",
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DescribeResponse {
            version,
            context,
            keks,
            reload_error,
            started_at,
            keyring_loaded_at,
            encrypts,
            decrypts,
            failures,
            reason,
            grace_left,
            roots,
            local_keks,
            state,
        } = &self.0;
        writeln!(f, "state     {}", self.state())?;
        if !reason.is_empty() {
            writeln!(f, "reason    {reason}")?;
        }
        if *state == i32::from(State::Degraded) {
            writeln!(f, "stops in  {}", span(*grace_left))?;
        }
        writeln!(f, "version   {version}")?;
        writeln!(f, "context   {context}")?;
        writeln!(f, "started   {} ago", ago(*started_at))?;
        writeln!(f, "keyring   loaded {} ago", ago(*keyring_loaded_at))?;
        if !reload_error.is_empty() {
            writeln!(f, "reload    REFUSED: {reload_error}")?;
        }
        writeln!(
            f,
            "calls     {encrypts} encrypt, {decrypts} decrypt, {failures} failed"
        )?;
        let width = keks
            .iter()
            .map(|kek| kek.name.len())
            .max()
            .unwrap_or(0)
            .max(3);
        let places = keks.iter().map(|kek| kek.root.len()).max();
        let place = places.unwrap_or(0).max(4);
        writeln!(
            f,
            "\n{:width$}  ROLE     {:place$}  EPOCH  KEY ID",
            "KEK", "ROOT"
        )?;
        for (index, kek) in keks.iter().enumerate() {
            let role = if index == 0 { "wraps" } else { "unwraps" };
            let key_id = match kek.key_id.as_str() {
                "" => "none now",
                key_id => key_id,
            };
            writeln!(
                f,
                "{:width$}  {role:<7}  {:place$}  {:>5}  {key_id}",
                kek.name, kek.root, kek.epoch
            )?;
        }
        if roots.is_empty() {
            return Ok(());
        }
        let width = roots
            .iter()
            .map(|root| root.name.len())
            .max()
            .unwrap_or(0)
            .max(4);
        writeln!(
            f,
            "\n{:width$}  ROLE     STANDING  ANSWERED  COVERS  CALLS  FAILED  VERSION",
            "ROOT"
        )?;
        for root in roots {
            writeln!(
                f,
                "{:width$}  {:<7}  {:<8}  {:>8}  {:<6}  {:>5}  {:>6}  {}",
                root.name,
                if root.wraps { "wraps" } else { "unwraps" },
                root.standing,
                root.last_answer
                    .map_or_else(|| "never".to_owned(), |since| span(since) + " ago"),
                if root.covers { "yes" } else { "no" },
                root.calls,
                root.failed_calls,
                shortened(&root.version),
            )?;
        }
        for root in roots.iter().filter(|root| !root.trouble.is_empty()) {
            writeln!(f, "{}: {}", root.name, root.trouble)?;
        }
        writeln!(f, "local KEKs in memory: {local_keks}")
    }
}

/// How long ago a Unix time was, in the largest fitting unit.
fn ago(unix_seconds: u64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    span(now.saturating_sub(unix_seconds))
}

/// As much of both ends as the table has room for; `-o json` has it all.
fn shortened(version: &str) -> String {
    const ENDS: usize = 17;
    let (Some(head), Some(tail)) = (
        version.get(..ENDS),
        version
            .len()
            .checked_sub(ENDS)
            .and_then(|at| version.get(at..)),
    ) else {
        return version.to_owned();
    };
    if version.len() <= 2 * ENDS + 1 {
        return version.to_owned();
    }
    format!("{head}…{tail}")
}

/// A time in the largest fitting unit.
fn span(seconds: u64) -> String {
    match seconds {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7200 => format!("{}m", seconds / 60),
        seconds @ 7200..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// The one behind the socket did not answer the question.
    #[error("the daemon did not answer; is it a kms-plugin?")]
    Call(#[source] Box<tonic::Status>),
    /// The configuration is refused.
    #[error("the configuration is refused")]
    Config(#[from] ConfigError),
    /// Nobody answers at the socket.
    #[error("cannot connect to {}; is kms-plugin running, and may this user connect?", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What happened.
        source: tonic::transport::Error,
    },
    /// Neither a socket nor a configuration was named.
    #[error("give --socket or --config")]
    NoDaemon,
    /// The operating system refused something basic.
    #[error("cannot set up the runtime")]
    Runtime(#[source] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_version_keeps_both_ends() {
        for whole in ["", "vault:transit/k8s#1@1795550819"] {
            assert_eq!(shortened(whole), whole);
        }
        let age = "age:age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p#1";
        assert_eq!(shortened(age), "age:age1ql3z7hjy5…kg5sfn9aqmcac8p#1");
    }
}
