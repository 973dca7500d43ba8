//! The part of a run that writes.

use std::{sync::Arc, time::Duration};

use super::{checkpoint::Checkpoint, selection::is_from};
use crate::{
    apiserver::Apiserver,
    chain::Chain,
    cli::RunArgs,
    command::{
        CommandError,
        plan::{is_to_rewrite, left_to_rewrite, targets},
    },
    metrics::MetricsFile,
    pace::Stop,
    printable::OneLine,
    progress::{Database, Figures, RunProgress, Target, tell},
    rewrap::{Options, PassEnd, Rewrap, RunError, RunState},
    session::Session,
    store::Lock,
    survey::{Depth, survey},
};

/// The one key of ours in etcd.
pub(super) const LOCK_KEY: &[u8] = b"/ringfence.dev/rewrap.lock";

/// How long the lock of a killed run keeps the next one waiting.
const LOCK_LIFE: Duration = Duration::from_secs(30);

/// Passes over the store before a run gives up on objects that others keep changing.
const MAX_PASSES: u32 = 5;

/// The part of a run that writes.
pub(super) struct Writing<'a> {
    pub(super) session: &'a mut Session,
    pub(super) options: &'a Options,
    pub(super) stop: Arc<Stop>,
    pub(super) state: &'a RunState,
    /// What the newest look at the store found to be rewritten.
    pub(super) targets: Vec<Target>,
    pub(super) metrics: Option<&'a MetricsFile>,
    pub(super) checkpoint: Option<&'a Checkpoint>,
}

impl Writing<'_> {
    /// Writes while it holds the lock, if it is to take one.
    pub(super) async fn under_lock(
        mut self,
        apiservers: &[Apiserver],
        args: &RunArgs,
        work: u64,
    ) -> Result<PassEnd, CommandError> {
        if args.no_lock {
            return self.kept(apiservers, args.follow, work).await;
        }
        let lock = take_lock(self.session).await?;
        let stop = Arc::clone(&self.stop);
        under(lock, &stop, self.kept(apiservers, args.follow, work)).await
    }

    /// Keeps what is handed on to the next run, where this one does not finish.
    async fn kept(
        &mut self,
        apiservers: &[Apiserver],
        follow: bool,
        work: u64,
    ) -> Result<PassEnd, CommandError> {
        let Some(checkpoint) = self.checkpoint else {
            return self.all(apiservers, follow, work).await;
        };
        // Where it cannot be written, that shows before anything is written to etcd.
        checkpoint.save(self.state).await?;
        let ended = self.all(apiservers, follow, work).await;
        if matches!(ended, Ok(PassEnd::Finished)) {
            return ended;
        }
        let saved = checkpoint.save(self.state).await;
        let end = ended?;
        saved?;
        Ok(end)
    }

    /// Canary, passes, proof; again until the proof holds or nothing moves any more.
    async fn all(
        &mut self,
        apiservers: &[Apiserver],
        follow: bool,
        work: u64,
    ) -> Result<PassEnd, CommandError> {
        // A run over the objects of one key does not answer for those of another.
        let answers_for = |left: u64| {
            if self.options.from_key.is_some() || self.options.only_keys.is_some() {
                0
            } else {
                left
            }
        };
        let mut left = work;
        let mut proved = false;
        for pass in 1..=MAX_PASSES {
            let before = self.state.rewrapped();
            let resumes = self.state.resumes();
            self.state.set_left(answers_for(left));
            let ended = self.proved_pass(&mut proved, apiservers).await;
            let written = self.state.rewrapped() - before;
            self.state
                .set_left(answers_for(left.saturating_sub(written)));
            let rotated_to = ended.as_ref().err().and_then(CommandError::rotated_to);
            if let Some(key_id) = rotated_to.filter(|_| follow && pass < MAX_PASSES) {
                let key_id = OneLine(key_id.as_str());
                eprintln!("the KMS provider rotated; going on under key id {key_id}");
                self.session.refresh_keys().await;
                self.state.forget_failed_deks().await;
                // Nobody has shown yet that every apiserver reads what is under the new key.
                proved = false;
                continue;
            }
            let end = ended?;
            if !matches!(end, PassEnd::Finished) {
                return Ok(end);
            }
            if resumes {
                // What failed or was left before the cut, nobody remembers.
                continue;
            }
            let stop = Arc::clone(&self.stop);
            let proof = survey(self.session, &self.options.scope, Depth::Opened);
            let Some(proof) = stop.unless_requested(proof).await else {
                return Ok(PassEnd::Stopped);
            };
            let proof = proof?;
            self.state.count_pass();
            self.targets = targets(&proof, |row| {
                is_to_rewrite(row) && is_from(row, self.options.from_key.as_deref())
            });
            left = left_to_rewrite(&proof);
            self.state.set_left(answers_for(left));
            if left == 0 || self.state.rewrapped() == before {
                break;
            }
        }
        Ok(PassEnd::Finished)
    }

    /// A pass, before which the canary was read back.
    async fn proved_pass(
        &self,
        proved: &mut bool,
        apiservers: &[Apiserver],
    ) -> Result<PassEnd, CommandError> {
        if !*proved {
            self.canary(apiservers).await?;
            *proved = true;
        }
        Ok(self.pass().await?)
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

    async fn pass(&self) -> Result<PassEnd, RunError> {
        let areas = self.session.areas().await?;
        let rewrap = Rewrap::new(self.session, &areas, self.options, &self.stop, self.state);
        let limit = self.options.limit;
        let limit = limit.map(|limit| limit.saturating_sub(self.state.begun()));
        let progress = RunProgress::start(self.targets.clone(), limit, self.session.quiet);
        let publish = |figures: &Figures| {
            if let Some(metrics) = self.metrics {
                metrics.publish(figures);
            }
        };
        let end = tokio::select! {
            end = rewrap.pass(&progress) => end,
            never = self.options.room.watch() => match never {},
            never = progress.follow(|| self.figures(), publish) => match never {},
            never = Checkpoint::keep(self.checkpoint, self.state) => match never {},
        };
        publish(&Figures {
            left: progress.left(),
            ..self.figures()
        });
        progress.finish();
        end
    }

    fn figures(&self) -> Figures {
        let seen = self.options.room.seen();
        let databases = seen.map(|(store, in_use, quota)| Database {
            store: self.session.stores[store].name.clone(),
            in_use,
            quota,
        });
        Figures {
            in_flight: self.options.pace.in_flight(),
            backed_off: self.options.pace.backed_off(),
            databases: databases.collect(),
            ..self.state.figures()
        }
    }
}

/// Works while it holds the lock. If the lock is lost, what is in flight is finished and nothing new
/// begins.
pub(crate) async fn under<T>(lock: Lock, stop: &Stop, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let ended = tokio::select! {
        ended = &mut work => ended,
        () = lock.lost() => {
            tell(format_args!(
                "rewrap: the lock is lost; what is in flight is finished"
            ));
            stop.request();
            work.await
        }
    };
    // Also after a failure: the next run should not have to wait for the lock to run out.
    release(lock).await;
    ended
}

/// What is written is written; a lock that stays behind ends with its lease.
async fn release(lock: Lock) {
    if let Err(error) = lock.release().await {
        eprintln!("warning: the lock is left to its lease: {}", Chain(&error));
    }
}

/// Keeps two runs apart; the holder is named to whoever comes second.
pub(crate) async fn take_lock(session: &Session) -> Result<Lock, CommandError> {
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
