//! The one task that asks the module: it starts its process, ends it, and remembers what must not be tried again.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};

use zeroize::Zeroizing;

use super::{
    Config,
    pin::PinFile,
    process::Process,
    wire::{Failure, Reply, Request},
};
use crate::root::remote::RootError;

/// How long no process is started after one that did not answer, doubled with each in a row.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

const UNEXPECTED: &str = "the module's process gave another answer than was asked for";

/// That the answer is none to the request.
pub(super) fn unexpected() -> RootError {
    RootError::unreachable(UNEXPECTED)
}

/// A request, and whom it is answered to.
pub(super) type Call = (Request, oneshot::Sender<Result<Reply, RootError>>);

/// Owns the process. It is a task of its own, because whoever asks may give up before the module answers, and
/// neither a slow start nor the answer to a PIN must be lost with that.
pub(super) struct Supervisor {
    config: Config,
    program: PathBuf,
    process: Option<Process>,
    pin: PinFile,
    pause: Pause,
}

/// When a process may be started again.
#[derive(Default)]
struct Pause {
    /// How often in a row one did not answer.
    failures: u32,
    until: Option<Instant>,
    /// Why the last one did not.
    reason: String,
}

impl Supervisor {
    pub(super) fn new(config: Config, program: PathBuf) -> Self {
        Self {
            process: None,
            pin: PinFile::new(config.pin_file.clone()),
            pause: Pause::default(),
            config,
            program,
        }
    }

    /// Answers one call after the other, until nobody can make one.
    pub(super) async fn run(mut self, mut calls: mpsc::Receiver<Call>) {
        while let Some((request, answer)) = calls.recv().await {
            if !answer.is_closed() {
                // Nobody may be there any more to hear it.
                let _ = answer.send(self.ask(&request).await);
            }
        }
    }

    /// Whatever says that this cannot be done is believed of a new process only, which logged in afresh.
    async fn ask(&mut self, request: &Request) -> Result<Reply, RootError> {
        loop {
            let (mut process, is_new) = match self.process.take() {
                Some(process) => (process, false),
                None => (self.start().await?, true),
            };
            let limit = self.config.timeout;
            let Ok(answer) = timeout(limit, process.ask(request)).await else {
                return Err(self.pause.begin(no_answer(limit)));
            };
            match answer.unwrap_or_else(|error| Reply::Failed(broken(&error))) {
                Reply::Failed(
                    Failure::LoginNeeded | Failure::Refused(_) | Failure::Unreachable(_),
                ) if !is_new => {}
                Reply::Failed(Failure::LoginNeeded) => {
                    let what = "the token does not stay logged in";
                    return Err(self.pause.begin(what.to_owned()));
                }
                Reply::Failed(Failure::Unreachable(what)) => return Err(self.pause.begin(what)),
                Reply::Failed(Failure::Refused(what)) => {
                    self.pause.end();
                    return Err(RootError::Refused { what });
                }
                Reply::Failed(Failure::Corrupt(what)) => {
                    self.pause.end();
                    self.process = Some(process);
                    return Err(RootError::Corrupt { what });
                }
                Reply::Done | Reply::Failed(Failure::Pin(_)) => {
                    return Err(self.pause.begin(UNEXPECTED.to_owned()));
                }
                reply => {
                    self.pause.end();
                    self.process = Some(process);
                    return Ok(reply);
                }
            }
        }
    }

    /// A new process that is logged in.
    async fn start(&mut self) -> Result<Process, RootError> {
        self.pause.check()?;
        let (pin, edition) = self.pin.read().map_err(RootError::unreachable)?;
        let limit = self.config.timeout;
        let started = timeout(limit, start(&self.program, &self.config, pin)).await;
        match started.unwrap_or_else(|_| Err(Failure::Unreachable(no_answer(limit)))) {
            Ok(process) => Ok(process),
            Err(Failure::Pin(what)) => {
                self.pause.end();
                Err(RootError::unreachable(self.pin.refuse(edition, what)))
            }
            Err(Failure::Unreachable(what)) => Err(self.pause.begin(what)),
            Err(_) => Err(self.pause.begin(UNEXPECTED.to_owned())),
        }
    }
}

/// Starts a process, has it load the module, and logs in, once.
async fn start(
    program: &Path,
    config: &Config,
    pin: Zeroizing<String>,
) -> Result<Process, Failure> {
    let mut process = Process::start(program, config).map_err(|error| {
        Failure::Unreachable(format!(
            "cannot start {} for the module: {error}",
            program.display()
        ))
    })?;
    let open = Request::Open {
        module: config.module.clone(),
        token: config.token.clone(),
        key: config.key.clone(),
        mechanism: config.mechanism,
    };
    let mut reply = process.ask(&open).await.map_err(|error| broken(&error))?;
    if matches!(reply, Reply::Failed(Failure::LoginNeeded)) {
        reply = process
            .ask(&Request::Login { pin })
            .await
            .map_err(|error| broken(&error))?;
    }
    match reply {
        Reply::Done => Ok(process),
        Reply::Failed(failure) => Err(failure),
        _ => Err(Failure::Unreachable(UNEXPECTED.to_owned())),
    }
}

/// The process is dropped, and so killed.
fn no_answer(limit: Duration) -> String {
    format!("the module did not answer within {limit:?}; its process was ended")
}

fn broken(error: &io::Error) -> Failure {
    Failure::Unreachable(format!("the module did not answer: {error}"))
}

impl Pause {
    /// Whether a process may be started now.
    fn check(&self) -> Result<(), RootError> {
        let left = self
            .until
            .and_then(|until| until.checked_duration_since(Instant::now()));
        match left {
            None => Ok(()),
            Some(left) => Err(RootError::unreachable(format!(
                "{}; tried again in {} ms",
                self.reason,
                left.as_millis()
            ))),
        }
    }

    /// A process did not answer, for this reason.
    fn begin(&mut self, reason: String) -> RootError {
        let pause = SHORTEST_PAUSE.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        self.until = Some(Instant::now() + pause.min(LONGEST_PAUSE));
        self.reason.clone_from(&reason);
        RootError::unreachable(reason)
    }

    fn end(&mut self) {
        *self = Self::default();
    }
}
