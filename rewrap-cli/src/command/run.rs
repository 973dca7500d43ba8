//! `rewrap run`.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use kms_proto::inventory::{Inventory, RewrapReport};
use tokio::signal::unix::{SignalKind, signal};

use super::{CommandError, Exit, plan::targets, status, undo_file::open_undo_file};
use crate::{
    apiserver::{Apiserver, Credentials},
    cli::{Output, ProofArgs, RunArgs},
    journal::Journal,
    metrics::MetricsFile,
    pace::{Pace, Stop},
    printable::OneLine,
    progress::tell,
    report,
    rewrap::{OnlyKeys, Options, PassEnd, Room, RunState, Trail},
    scope::Scope,
    session::Session,
    stopped::Silence,
    survey::{Depth, survey},
};

mod checkpoint;
mod gates;
mod retry;
mod selection;
mod snapshot;
mod stopped;
mod writing;

use checkpoint::Checkpoint;
pub use checkpoint::CheckpointError;
pub(super) use gates::confirm;
pub use gates::{Refusal, Refusals};
use gates::{preflight, refuse_unknown_key, refuse_unusable_targets};
use selection::Selection;
pub use snapshot::SnapshotError;
use writing::Writing;
pub(super) use writing::{take_lock, under};

/// Rewrites everything in scope that is not under the current key.
pub(super) async fn run(args: RunArgs) -> Result<Exit, CommandError> {
    let metrics = args.metrics_file.as_deref().map(MetricsFile::begin);
    let metrics = metrics.transpose()?;
    let ended = rewrap(args, metrics.as_ref()).await;
    if let Some(metrics) = &metrics {
        metrics.end(ended.as_ref().map_or_else(CommandError::exit, |exit| *exit) as u8);
    }
    ended
}

async fn rewrap(args: RunArgs, metrics: Option<&MetricsFile>) -> Result<Exit, CommandError> {
    let apiservers = apiservers(&args.proof)?;
    let mut session = Session::open(&args.connection).await?;
    session.quiet = args.quiet;
    status::warn_of_silent_plugins(&session);
    let mut checkpoint = Checkpoint::open(&args, &session).await?;
    let mut options = options(&args, &session);
    if let Some(path) = &args.only_keys {
        options.only_keys = Some(OnlyKeys::read(path)?);
    }
    let state = RunState::new(args.proof.assume_converged);
    let inventory = survey(&mut session, &options.scope, Depth::Opened).await?;
    state.first_look(&inventory);
    if let Some(checkpoint) = &mut checkpoint {
        checkpoint.resume(&state);
    }
    refuse_unusable_targets(&session, &inventory)?;
    refuse_unknown_key(&args, &session, &inventory)?;
    let selection = Selection::new(&args, &session, &inventory);
    options.scattered = selection.scattered.clone();
    let work = selection.work(&inventory);
    if work > 0 {
        if apiservers.is_empty() && !args.proof.assume_converged {
            return Err(CommandError::NoProof(work));
        }
        if let Some(path) = &args.snapshot_before {
            snapshot::refuse(&session, path)?;
        }
        preflight(&selection, &session, &inventory).await?;
        confirm(args.yes, &format!("rewrite {work} objects"))?;
        options.trail = trail(&args, &session, &inventory).await?;
    } else if args.compact || args.defrag {
        confirm(args.yes, "compact or defragment etcd")?;
    }
    let mut silence = stopped::prove(&args, &session, work).await?;
    let snapshots = match &args.snapshot_before {
        Some(path) if work > 0 => snapshot::take(&session, path).await?,
        _ => Vec::new(),
    };
    options.ours = silence.as_ref().map(Silence::ours);
    let mut ended = Ok(PassEnd::Finished);
    if work > 0 {
        let stop = stop_on_signals()?;
        let writing = Writing {
            session: &mut session,
            options: &options,
            stop: Arc::clone(&stop),
            state: &state,
            targets: targets(&inventory, |row| selection.takes(row)),
            metrics,
            checkpoint: checkpoint.as_ref(),
        };
        let writing = writing.under_lock(&apiservers, &args, work);
        ended = tokio::select! {
            ended = stopped::while_silent(silence.as_mut(), Arc::clone(&stop), writing) => ended,
            () = stop.abandoned() => Ok(PassEnd::Stopped),
        };
    }
    if let (Ok(PassEnd::Finished), Some(silence)) = (&ended, &mut silence) {
        let report = state.report();
        let all_current = report.failed + report.left == 0;
        let cleaned = stopped::clean_up(&args, &session, silence, all_current).await;
        ended = cleaned.map(|()| PassEnd::Finished);
    }
    if let (Ok(PassEnd::Finished), Some(checkpoint)) = (&ended, &checkpoint) {
        checkpoint.remove().await?;
    }
    // Also after a failure: what was written until then stays written.
    let mut report = state.report();
    report.backed_off = options.pace.backed_off();
    report.snapshots = snapshots;
    report.retry = state
        .keep_failures()
        .and_then(|keys| retry::command(std::env::args_os(), &keys));
    report::print(args.output, &report, report::report_text).map_err(CommandError::Io)?;
    let end = ended?;
    if args.output == Output::Table {
        let kine = session.has_kine() && !args.also_current;
        eprint!("{}", next_command(end, &report, kine));
        if let Some(retry) = &report.retry {
            eprintln!("only what failed, again: {}", OneLine(retry));
        }
    }
    Ok(exit(end, &report))
}

/// Opens the files that tell what was done.
async fn trail(
    args: &RunArgs,
    session: &Session,
    inventory: &Inventory,
) -> Result<Trail, CommandError> {
    let audit = args.audit_log.as_deref().map(Journal::append_to);
    let undo = match &args.undo_file {
        Some(path) => Some(open_undo_file(path, session).await?),
        None => None,
    };
    let trail = Trail {
        audit: audit.transpose()?,
        undo,
    };
    if trail.undo.is_some() {
        let plain: u64 = inventory.resources.iter().map(|row| row.plaintext).sum();
        if plain > 0 {
            eprintln!(
                "warning: {plain} objects in plain text cannot be undone: the undo file would hold secrets"
            );
        }
    }
    Ok(trail)
}

fn options(args: &RunArgs, session: &Session) -> Options {
    let stores = session.stores.iter().map(|named| named.store.clone());
    let patience = match args.apiservers_stopped {
        true => Duration::ZERO,
        false => Duration::from_secs(args.gates.compaction_wait),
    };
    Options {
        scope: Scope::new(&args.scope),
        from_key: args.from_key.clone(),
        only_keys: None,
        force_kms_v1: args.force_kms_v1,
        also_current: args.also_current,
        scattered: BTreeSet::new(),
        trail: Trail::default(),
        limit: args.limit,
        pace: Pace::new(args.limits()),
        room: Room::new(stores, patience),
        ours: None,
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

/// The first SIGINT or SIGTERM lets what is in flight finish; the second does not.
pub(super) fn stop_on_signals() -> Result<Arc<Stop>, CommandError> {
    let stop = Arc::new(Stop::default());
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CommandError::Io)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(CommandError::Io)?;
    let asked = Arc::clone(&stop);
    tokio::spawn(async move {
        let mut signal = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        signal().await;
        tell(format_args!(
            "rewrap: stopping; what is in flight is finished first, unless you ask once more"
        ));
        asked.request();
        signal().await;
        asked.abandon();
    });
    Ok(stop)
}

fn exit(end: PassEnd, report: &RewrapReport) -> Exit {
    match end {
        PassEnd::Stopped => Exit::Interrupted,
        _ if report.failed > 0 => Exit::Partly,
        PassEnd::Finished if report.left > 0 => Exit::Partly,
        _ => Exit::Done,
    }
}

/// `kine` is whether old values are left beside the new ones.
fn next_command(end: PassEnd, report: &RewrapReport, kine: bool) -> &'static str {
    match end {
        PassEnd::Stopped | PassEnd::Limit if !report.snapshots.is_empty() => {
            "next: the same command again without --snapshot-before goes on where this run ended\n"
        }
        PassEnd::Stopped => "next: the same command again goes on where this run ended\n",
        PassEnd::Limit => "next: the same command again rewrites the next portion\n",
        PassEnd::Finished if report.failed > 0 || report.left > 0 => {
            "next: mend what is listed as failed, then the same command again\n"
        }
        PassEnd::Finished if report.unknowable > 0 => {
            "next: KMS v1 stores no key id; --force-kms-v1 brings what is under it to the plugin's \
             current key\n"
        }
        PassEnd::Finished if kine => {
            "next: `rewrap verify` proves it at one revision; then `rewrap run --also-current` pushes \
             out\nthe values before the newest ones, which kine keeps beside them\n"
        }
        PassEnd::Finished => "next: `rewrap verify` proves it at one revision\n",
    }
}
