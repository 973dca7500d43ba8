//! `rewrap run`.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::Arc,
    time::Duration,
};

use kms_proto::inventory::{Inventory, RewrapReport};
use tokio::signal::unix::{SignalKind, signal};

use super::{CommandError, Exit, plan::to_rewrite, status, verify::keys_of};
use crate::{
    apiserver::{Apiserver, Credentials},
    chain::Chain,
    cli::{Output, ProofArgs, RunArgs},
    keys::KeyChange,
    pace::{Pace, Stop},
    progress::Progress,
    report,
    rewrap::{Options, PassEnd, Rewrap, RunError, RunState},
    scope::Scope,
    session::Session,
    store::Lock,
    survey::{Depth, survey},
};

/// The one key of ours in etcd.
const LOCK_KEY: &[u8] = b"/ringfence.dev/rewrap.lock";

/// How long the lock of a killed run keeps the next one waiting.
const LOCK_LIFE: Duration = Duration::from_secs(30);

/// Passes over the store before a run gives up on objects that others keep changing.
const MAX_PASSES: u32 = 5;

/// Rewrites everything in scope that is not under the current key.
pub(super) async fn run(args: RunArgs) -> Result<Exit, CommandError> {
    let apiservers = apiservers(&args.proof)?;
    let mut session = Session::open(&args.connection).await?;
    status::warn_of_silent_plugins(&session);
    let options = options(&args);
    let state = RunState::new(args.proof.assume_converged);
    let inventory = survey(&mut session, &options.scope, Depth::Opened).await?;
    state.first_look(&inventory);
    refuse_unusable_targets(&session, &inventory)?;
    refuse_unknown_key(&args, &session, &inventory)?;
    let work = inventory
        .resources
        .iter()
        .map(|resource| to_rewrite(resource).0)
        .sum();
    let ended = match work {
        0 => Ok(PassEnd::Finished),
        work => {
            if apiservers.is_empty() && !args.proof.assume_converged {
                return Err(CommandError::NoProof(work));
            }
            confirm(&args, work)?;
            let writing = Writing {
                session: &mut session,
                options: &options,
                stop: stop_on_signals()?,
                state: &state,
            };
            writing.under_lock(&apiservers, &args, work).await
        }
    };
    // Also after a failure: what was written until then stays written.
    let report = state.report();
    report::print(args.output, &report, report::report_text).map_err(CommandError::Io)?;
    let end = ended?;
    if args.output == Output::Table {
        eprint!("{}", next_command(end, &report));
    }
    Ok(exit(end, &report))
}

fn options(args: &RunArgs) -> Options {
    Options {
        scope: Scope::new(&args.scope),
        from_key: args.from_key.clone(),
        limit: args.limit,
        concurrency: args.pace.concurrency.into(),
        pace: Pace::new((!args.pace.max).then_some(args.pace.rate)),
    }
}

fn apiservers(proof: &ProofArgs) -> Result<Vec<Apiserver>, CommandError> {
    if proof.apiserver.is_empty() {
        return Ok(Vec::new());
    }
    let ca = proof.apiserver_cacert.as_deref();
    let credentials = match (&proof.kubeconfig, &proof.token_file, ca) {
        (Some(kubeconfig), _, ca) => Credentials::from_kubeconfig(kubeconfig, ca),
        (None, Some(token), Some(ca)) => Credentials::from_token_file(token, ca),
        _ => return Err(CommandError::NoCredentials),
    };
    let credentials = credentials.map_err(CommandError::Apiserver)?;
    let open = |url: &String| Apiserver::new(url, &credentials).map_err(CommandError::Apiserver);
    proof.apiserver.iter().map(open).collect()
}

/// Nothing can be brought to a key that cannot be told, or not be had.
fn refuse_unusable_targets(session: &Session, inventory: &Inventory) -> Result<(), CommandError> {
    for resource in &inventory.resources {
        let target = &resource.writes_with;
        if target.provider == "kms-v1" && resource.total > 0 {
            return Err(CommandError::KmsV1 {
                resource: resource.resource.clone(),
                provider: target.key.clone(),
            });
        }
        let down = session.keys.down().get(target.key.as_str());
        if let Some(reason) = down.filter(|_| target.provider == "kms-v2") {
            return Err(CommandError::KmsDown {
                provider: target.key.clone(),
                reason: reason.to_string(),
            });
        }
    }
    Ok(())
}

/// A mistyped key would look like nothing to do.
fn refuse_unknown_key(
    args: &RunArgs,
    session: &Session,
    inventory: &Inventory,
) -> Result<(), CommandError> {
    let Some(from) = &args.from_key else {
        return Ok(());
    };
    let stored = inventory
        .resources
        .iter()
        .flat_map(|resource| &resource.written_with)
        .any(|written| written.key.key == *from);
    let configured = keys_of(session).iter().any(|key| key.key == *from);
    if stored || configured {
        Ok(())
    } else {
        Err(CommandError::UnknownKey(from.clone()))
    }
}

fn confirm(args: &RunArgs, work: u64) -> Result<(), CommandError> {
    if args.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(CommandError::NotAsked(work));
    }
    eprint!("rewrite {work} objects in etcd? [y/N] ");
    std::io::stderr().flush().map_err(CommandError::Io)?;
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(CommandError::Io)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(CommandError::Declined),
    }
}

/// Keeps two runs apart; the holder is named to whoever comes second.
async fn take_lock(session: &Session) -> Result<Lock, CommandError> {
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let owner = format!("{host}, process {}", std::process::id());
    Ok(session.stores[0]
        .store
        .lock(LOCK_KEY, &owner, LOCK_LIFE)
        .await?)
}

/// The first SIGINT or SIGTERM lets what is in flight finish.
fn stop_on_signals() -> Result<Arc<Stop>, CommandError> {
    let stop = Arc::new(Stop::default());
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CommandError::Io)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(CommandError::Io)?;
    let asked = Arc::clone(&stop);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        eprintln!("rewrap: stopping; what is in flight is finished first");
        asked.request();
    });
    Ok(stop)
}

/// The part of a run that writes.
struct Writing<'a> {
    session: &'a mut Session,
    options: &'a Options,
    stop: Arc<Stop>,
    state: &'a RunState,
}

impl Writing<'_> {
    /// Writes while it holds the lock. If the lock is lost, what is in flight is finished and
    /// nothing new begins.
    async fn under_lock(
        mut self,
        apiservers: &[Apiserver],
        args: &RunArgs,
        work: u64,
    ) -> Result<PassEnd, CommandError> {
        if args.no_lock {
            return self.all(apiservers, args.follow, work).await;
        }
        let lock = take_lock(self.session).await?;
        let stop = Arc::clone(&self.stop);
        let mut all = std::pin::pin!(self.all(apiservers, args.follow, work));
        let ended = tokio::select! {
            ended = &mut all => ended,
            () = lock.lost() => {
                eprintln!("rewrap: the lock is lost; what is in flight is finished");
                stop.request();
                all.await
            }
        };
        // Also after a failure: the next run should not have to wait for the lock to run out.
        // What is written is written; a lock that stays behind ends with its lease.
        if let Err(error) = lock.release().await {
            eprintln!("warning: the lock is left to its lease: {}", Chain(&error));
        }
        ended
    }

    /// Canary, passes, proof; again until the proof holds or nothing moves any more.
    async fn all(
        &mut self,
        apiservers: &[Apiserver],
        follow: bool,
        work: u64,
    ) -> Result<PassEnd, CommandError> {
        self.canary(apiservers).await?;
        // A run over the objects of one key does not answer for those of another.
        let answers_for = |left: u64| {
            if self.options.from_key.is_some() {
                0
            } else {
                left
            }
        };
        self.state.set_left(answers_for(work));
        for _ in 0..MAX_PASSES {
            let before = self.state.rewrapped();
            let end = match self.pass(work).await {
                Err(RunError::KeyChange(KeyChange::Rotated { to, .. })) if follow => {
                    eprintln!("the KMS provider rotated; going on under key id {to}");
                    self.session.refresh_keys().await;
                    // Nobody has shown yet that every apiserver reads what is under the new key.
                    self.canary(apiservers).await?;
                    continue;
                }
                end => end?,
            };
            if !matches!(end, PassEnd::Finished) {
                return Ok(end);
            }
            let proof = survey(self.session, &self.options.scope, Depth::Opened).await?;
            self.state.count_pass();
            let left = proof
                .resources
                .iter()
                .map(|resource| to_rewrite(resource).0)
                .sum();
            self.state.set_left(answers_for(left));
            if left == 0 || self.state.rewrapped() == before {
                break;
            }
        }
        Ok(PassEnd::Finished)
    }

    async fn canary(&self, apiservers: &[Apiserver]) -> Result<(), CommandError> {
        if apiservers.is_empty() {
            return Ok(());
        }
        let areas = self.session.areas().await?;
        let rewrap = Rewrap::new(self.session, &areas, self.options, &self.stop, self.state);
        rewrap.canary(apiservers).await?;
        eprintln!("canary: read back through {} apiservers", apiservers.len());
        Ok(())
    }

    async fn pass(&self, work: u64) -> Result<PassEnd, RunError> {
        let areas = self.session.areas().await?;
        let rewrap = Rewrap::new(self.session, &areas, self.options, &self.stop, self.state);
        let progress = Progress::start("rewriting", Some(work));
        let end = rewrap.pass(&progress).await;
        progress.finish();
        end
    }
}

fn exit(end: PassEnd, report: &RewrapReport) -> Exit {
    match end {
        PassEnd::Stopped => Exit::Interrupted,
        _ if report.failed > 0 => Exit::Partly,
        PassEnd::Finished if report.left > 0 => Exit::Partly,
        _ => Exit::Done,
    }
}

fn next_command(end: PassEnd, report: &RewrapReport) -> &'static str {
    match end {
        PassEnd::Stopped => "next: the same command again goes on where this run ended\n",
        PassEnd::Limit => "next: the same command again rewrites the next portion\n",
        PassEnd::Finished if report.failed > 0 || report.left > 0 => {
            "next: mend what is listed as failed, then the same command again\n"
        }
        PassEnd::Finished => "next: `rewrap verify` proves it at one revision\n",
    }
}
