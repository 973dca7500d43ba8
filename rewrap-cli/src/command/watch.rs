//! `rewrap watch`.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use futures_util::StreamExt as _;
use kms_proto::inventory::{API_VERSION, KeyRef, ObjectState};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{CommandError, Exit, status};
use crate::{
    cli::WatchArgs,
    printable::OneLine,
    report,
    scope::Scope,
    session::Session,
    store::Change,
    watch::{Finding, Judge, writes},
};

/// How often the KMS plugins are asked for their key ids, whatever is written: as often as
/// kube-apiserver does.
const REFRESH_EVERY: Duration = Duration::from_secs(60);

/// A line for programs: `kind: StaleWrite`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StaleWrite {
    api_version: &'static str,
    kind: &'static str,
    key: String,
    resource: String,
    object: String,
    written_with: KeyRef,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    state: ObjectState,
    mod_revision: i64,
}

/// Shows every write that does not go under the current key.
pub(super) async fn watch(args: WatchArgs) -> Result<Exit, CommandError> {
    let session = Session::open(&args.connection).await?;
    status::warn_of_silent_plugins(&session);
    let (mut changes, _) = writes(&session).await?;
    let mut judge = Judge::new(session, Scope::new(&args.scope)).await?;
    eprintln!(
        "watching; every write that does not go under the current key is shown, Ctrl-C ends it"
    );
    let end = async {
        match args.seconds {
            Some(seconds) => sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    let mut end = std::pin::pin!(end);
    let mut refresh = interval(REFRESH_EVERY);
    refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut seen, mut found) = (0_u64, 0_u64);
    loop {
        let batch = tokio::select! {
            batch = changes.next() => batch.transpose()?.unwrap_or_default(),
            _ = refresh.tick() => {
                judge.refresh_keys().await;
                continue;
            }
            () = &mut end => break,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.map_err(CommandError::Io)?;
                break;
            }
        };
        for change in batch {
            let Change::Put(record) = change else {
                continue;
            };
            seen += 1;
            if let Some(finding) = judge.judge(record).await? {
                found += 1;
                print(&finding, args.json).map_err(CommandError::Io)?;
                if found == 1 {
                    eprintln!(
                        "next: some apiserver has another configuration than this one: compare `rewrap config \
                         hash FILE` on every node"
                    );
                }
            }
        }
    }
    eprintln!("{seen} writes seen, {found} of them not under the current key");
    Ok(if found == 0 {
        Exit::Done
    } else {
        Exit::Findings
    })
}

fn print(finding: &Finding, json: bool) -> io::Result<()> {
    let Finding {
        resource,
        object,
        record,
        written_with,
        key_id,
        state,
    } = finding;
    let line = if json {
        let line = StaleWrite {
            api_version: API_VERSION,
            kind: "StaleWrite",
            key: String::from_utf8_lossy(&record.key).into_owned(),
            resource: resource.to_string(),
            object: object.to_string(),
            written_with: written_with.clone(),
            key_id: key_id.as_ref().map(ToString::to_string),
            state: *state,
            mod_revision: record.mod_revision,
        };
        serde_json::to_string(&line)?
    } else {
        let key_id = key_id.as_ref().map(|id| id.as_str());
        let text = format!(
            "revision {}  {:<10}  {resource} {object}  written with {}",
            record.mod_revision,
            report::state_text(*state),
            report::describe(written_with, key_id),
        );
        OneLine(&text).to_string()
    };
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}
