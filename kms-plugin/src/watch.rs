//! Rotation without restart: the files are looked at, and a change is taken as a whole or not at
//! all.

use std::{path::PathBuf, sync::Arc};

use kms_proto::KeyId;
use tokio::{
    signal::unix::Signal,
    task::{JoinError, spawn_blocking},
    time::{MissedTickBehavior, interval},
};
use tracing::{error, info};

use crate::{
    chain::chain,
    config::Fixed,
    keyring::{KeyringError, ProbeError, ReplaceError, SharedKeyring},
    load::{LoadError, Loaded, Reading, Seen},
    metrics::Metrics,
    notify,
    roots::{Roots, RootsError},
    state::State,
};

/// Looks at the files and keeps the keyring as they say.
#[derive(Debug)]
pub struct Watch {
    /// The configuration file.
    pub path: PathBuf,
    /// What a reload cannot change.
    pub fixed: Fixed,
    /// What was last taken or refused: nothing is done until the files look different.
    pub judged: Seen,
    /// The roots in use.
    pub roots: Roots,
    /// What it replaces.
    pub keyring: Arc<SharedKeyring>,
    /// Where it says how that went.
    pub state: Arc<State>,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
}

impl Watch {
    /// Looks at the files at every interval and at every SIGHUP; never returns.
    pub async fn run(mut self, mut hangups: Signal) {
        let mut ticks = interval(self.fixed.poll_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut candidate = None;
        loop {
            let asked = tokio::select! {
                _ = ticks.tick() => false,
                _ = hangups.recv() => true,
            };
            let looked = if asked {
                notify::reloading();
                let looked = self.reload().await;
                notify::ready();
                looked
            } else {
                self.poll(candidate).await
            };
            candidate = looked.unwrap_or_else(|error| {
                error!(%error, "cannot look at the files");
                None
            });
        }
    }

    /// Takes a change that the poll before saw too: a file that is being written looks different
    /// each time, or will at the next poll.
    async fn poll(&mut self, candidate: Option<Seen>) -> Result<Option<Seen>, JoinError> {
        let reading = self.look().await?;
        if reading.seen == self.judged {
            return Ok(None);
        }
        if candidate.as_ref() != Some(&reading.seen) {
            return Ok(Some(reading.seen));
        }
        self.judge(reading).await;
        Ok(None)
    }

    /// Takes what is there at once, if it holds still for two looks.
    async fn reload(&mut self) -> Result<Option<Seen>, JoinError> {
        let first = self.look().await?;
        let second = self.look().await?;
        if first.seen != second.seen {
            info!("the files are changing; they are taken when two polls see the same");
            return Ok(Some(second.seen));
        }
        self.judge(second).await;
        Ok(None)
    }

    /// A file system may hang; a call may not.
    async fn look(&self) -> Result<Reading, JoinError> {
        let path = self.path.clone();
        spawn_blocking(move || Reading::of(&path)).await
    }

    async fn judge(&mut self, reading: Reading) {
        let Reading { seen, outcome } = reading;
        let result = match outcome {
            Ok(loaded) => self.take(loaded).await,
            Err(error) => Err(error.into()),
        };
        // Roots that are away come back without any file being touched: then it is tried again.
        if !matches!(&result, Err(ReloadError::Roots(RootsError::NotReady(_)))) {
            self.judged = seen;
        }
        self.metrics.reloaded(result.is_ok());
        match &result {
            Ok(()) => {
                let keyring = self.keyring.load();
                let primary = keyring.primary();
                info!(
                    primary = primary.name,
                    key_id = primary.kek.key_id().ok().as_ref().map(KeyId::as_str),
                    keks = keyring.members().len(),
                    "took the keyring of the files"
                );
            }
            Err(error) => error!(
                error = chain(error),
                "refused the changed files; the old keyring stays in use"
            ),
        }
        self.state.reloaded(result.map_err(|error| chain(&error)));
    }

    async fn take(&mut self, loaded: Loaded) -> Result<(), ReloadError> {
        let config = loaded.config.clone();
        if let Some(field) = changed(&self.fixed, &config.fixed) {
            return Err(ReloadError::Fixed(field));
        }
        let under_roots = self.roots.prepare(&config)?;
        let keyring = loaded.keyring(under_roots.as_ref())?;
        if let Some(under_roots) = &under_roots
            && self
                .roots
                .in_use()
                .is_none_or(|in_use| !in_use.is(under_roots))
        {
            Roots::ready(under_roots).await?;
        }
        keyring.probe().await?;
        self.keyring.replace(keyring)?;
        self.roots.use_from_now(&config, under_roots);
        Ok(())
    }
}

/// The first field of the two that differs.
fn changed(old: &Fixed, new: &Fixed) -> Option<&'static str> {
    let Fixed {
        context,
        socket,
        http,
        poll_interval,
        state_directory,
    } = new;
    [
        (*context != old.context, "context"),
        (*socket != old.socket, "socket"),
        (*http != old.http, "http"),
        (*poll_interval != old.poll_interval, "reload"),
        (*state_directory != old.state_directory, "stateDirectory"),
    ]
    .into_iter()
    .find_map(|(differs, field)| differs.then_some(field))
}

/// Why changed files were not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// A setting changed that holds from start to end.
    #[error(
        "`{0}` changed, and only `keks`, `roots` and what goes with these can change in a running daemon; restart it"
    )]
    Fixed(&'static str),
    /// The KEKs make no keyring.
    #[error("the next keyring is refused")]
    Keyring(#[from] KeyringError),
    /// The files give no keyring.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The next keyring does not work.
    #[error("the next keyring is refused")]
    Probe(#[from] ProbeError),
    /// The next keyring may not follow this one.
    #[error("the next keyring is refused")]
    Replace(#[from] ReplaceError),
    /// The next roots cannot be used, or not yet.
    #[error("the next roots are refused")]
    Roots(#[from] RootsError),
}

#[cfg(test)]
mod tests;
