//! A run while every apiserver is stopped.

use std::{pin::pin, sync::Arc};

use crate::{
    cli::RunArgs,
    command::CommandError,
    pace::Stop,
    printable::OneLine,
    rewrap::PassEnd,
    session::Session,
    stopped::{QUIET, Silence},
    store::RangeOptions,
};

/// Watches until it is clear that no apiserver lives, if the run needs that.
pub(super) async fn prove(
    args: &RunArgs,
    session: &Session,
    work: u64,
) -> Result<Option<Silence>, CommandError> {
    if !args.apiservers_stopped || work == 0 && !args.compact && !args.defrag {
        return Ok(None);
    }
    eprintln!("watching for {} s that nobody else writes", QUIET.as_secs());
    Ok(Some(Silence::prove(session).await?))
}

/// Ends the writing as soon as somebody else writes.
pub(super) async fn while_silent(
    silence: Option<&mut Silence>,
    stop: Arc<Stop>,
    writing: impl Future<Output = Result<PassEnd, CommandError>>,
) -> Result<PassEnd, CommandError> {
    let Some(silence) = silence else {
        return writing.await;
    };
    let mut writing = pin!(writing);
    tokio::select! {
        ended = &mut writing => ended,
        error = silence.broken() => {
            stop.request();
            writing.await?;
            Err(error.into())
        }
    }
}

/// Forgets the old values and gives their space back, as far as asked for: nobody else does while no
/// apiserver lives.
pub(super) async fn clean_up(
    args: &RunArgs,
    session: &Session,
    silence: &mut Silence,
    all_current: bool,
) -> Result<(), CommandError> {
    silence.settle().await?;
    if !all_current {
        if args.compact || args.defrag {
            eprintln!(
                "neither compacted nor defragmented: not everything is under the current key"
            );
        }
        return Ok(());
    }
    for named in &session.stores {
        let (name, store) = (OneLine(&named.name), &named.store);
        if args.compact {
            let now = RangeOptions::count(session.prefix.directory().as_bytes());
            let revision = store.range(now).await?.revision;
            store.compact(revision).await?;
            eprintln!("compacted the store {name} at revision {revision}");
        }
        if args.defrag {
            let done = |endpoint: &str| eprintln!("defragmented {}", OneLine(endpoint));
            store.defragment(done).await?;
        }
    }
    Ok(())
}
