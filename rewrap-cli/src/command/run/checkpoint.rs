//! `--checkpoint`: how far a run has come, on the disk, for the run that goes on from there.
//!
//! Without the file a second run is just as safe: it only opens more of what is current by then. With
//! it, a run goes on from the cut and looks at everything once more at its end.

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::Mutex;

use crate::{
    chain::Chain,
    cli::RunArgs,
    command::CommandError,
    journal,
    printable::OneLine,
    rewrap::{RunState, Standing},
    session::Session,
};

mod file;

pub use file::CheckpointError;
use file::Run;

/// How often it is written: what a killed run did since then is looked at again.
const EVERY: Duration = Duration::from_secs(2);

/// The checkpoint of a run.
#[derive(Debug)]
pub(super) struct Checkpoint {
    path: PathBuf,
    run: Run,
    /// What the run that wrote it had done.
    found: Option<Standing>,
    /// Held by whoever touches the file: what was handed to a thread may outlast the one who asked.
    turn: Arc<Mutex<()>>,
}

impl Checkpoint {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    /// It is there, and of no use to this run.
    pub(super) async fn open(
        args: &RunArgs,
        session: &Session,
    ) -> Result<Option<Self>, CommandError> {
        let Some(path) = &args.checkpoint else {
            return Ok(None);
        };
        let cluster_uid = session.cluster_uid().await?.ok_or(CommandError::NoUid)?;
        let run = Run::of(args, session, cluster_uid);
        let found = match fs::read(path) {
            Ok(bytes) => Some(file::parse(path, &bytes, &run)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => {
                let path = path.clone();
                return Err(CheckpointError::Read { path, source }.into());
            }
        };
        Ok(Some(Self {
            path: path.clone(),
            run,
            found,
            turn: Arc::default(),
        }))
    }

    /// Lets a run go on where the other one ended, if there was one.
    pub(super) fn resume(&mut self, state: &RunState) {
        let Some(standing) = self.found.take() else {
            return;
        };
        let place = standing.cut.as_ref();
        let place = place.map(|cut| cut.key.as_ref().unwrap_or(&cut.area));
        eprintln!(
            "going on {} after {} objects that were rewritten before",
            place.map_or_else(
                || "at the beginning".to_owned(),
                |place| format!("behind {}", OneLine(place))
            ),
            standing.counters.rewrapped
        );
        state.resume(standing);
    }

    /// Writes how far the run has come.
    ///
    /// # Errors
    /// It is not on the disk; what was there before still is.
    pub(super) async fn save(&self, state: &RunState) -> Result<(), CheckpointError> {
        let _turn = self.turn.lock().await;
        file::write(&self.path, &self.run.document(state.standing()))
    }

    /// Writes it again and again. Where that fails once, the run goes on, which is safe without it.
    pub(super) async fn keep(this: Option<&Self>, state: &RunState) -> std::convert::Infallible {
        let Some(this) = this else {
            return std::future::pending().await;
        };
        let mut warned = false;
        loop {
            tokio::time::sleep(EVERY).await;
            let turn = Arc::clone(&this.turn).lock_owned().await;
            let (path, document) = (this.path.clone(), this.run.document(state.standing()));
            // Who waits for etcd should not wait for this disk too.
            let written = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                file::write(&path, &document)
            });
            if let Ok(Err(error)) = written.await
                && !std::mem::replace(&mut warned, true)
            {
                eprintln!("warning: {}; going on without it", Chain(&error));
            }
        }
    }

    /// Nothing is left to go on with.
    ///
    /// # Errors
    /// It is still there.
    pub(super) async fn remove(&self) -> Result<(), CheckpointError> {
        let _turn = self.turn.lock().await;
        journal::remove(&self.path).map_err(|source| CheckpointError::Write {
            path: self.path.clone(),
            source,
        })
    }
}
