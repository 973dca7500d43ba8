//! `rewrap get`.

use std::io::Write as _;

use kms_proto::inventory::{API_VERSION, KeyRef, ObjectState};
use serde::Serialize;

use super::{CommandError, Exit, status};
use crate::{
    chain::Chain,
    cli::{self, GetArgs, Output},
    printable::OneLine,
    report,
    scope::Scope,
    session::Session,
    store::Record,
    stored::{GroupResource, Opened, Provider, Rule},
    survey::{Depth, guess, key_ref, object_state, survey},
};

/// What is known of one stored object: `kind: StoredObject`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StoredObject {
    api_version: &'static str,
    kind: &'static str,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    written_with: Option<KeyRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    state: ObjectState,
    mod_revision: i64,
    lease: i64,
    stored_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Shows under which key one object is stored.
pub(super) async fn get(args: GetArgs) -> Result<Exit, CommandError> {
    let mut session = Session::open(&args.connection).await?;
    status::warn_of_silent_plugins(&session);
    let Ok(resource) = args.resource.parse::<GroupResource>();
    let directory = session
        .prefix
        .directory_of(&resource)
        .ok_or_else(|| CommandError::UnknownResource(args.resource.clone()))?;
    let key = format!("{directory}{}", args.object);
    let store = &session.store_of(&resource).store;
    let record = store
        .get(key.as_bytes())
        .await?
        .ok_or_else(|| CommandError::NotFound(key.clone()))?;
    let rule = session.rule(&resource);
    if !args.reveal && matches!(rule.providers(), [Provider::KmsV2(_), ..]) {
        learn_dek_type(&mut session, &args.resource).await?;
    }
    let outcome = session.keys.open(&rule, &record.key, &record.value).await;
    if args.reveal {
        let opened = outcome.map_err(|source| CommandError::Unreadable { key, source })?;
        reveal(&opened).map_err(CommandError::Io)?;
        return Ok(Exit::Done);
    }
    let mut shown = StoredObject {
        api_version: API_VERSION,
        kind: "StoredObject",
        key,
        written_with: None,
        key_id: None,
        state: ObjectState::Unreadable,
        mod_revision: record.mod_revision,
        lease: record.lease,
        stored_bytes: record.value.len(),
        object_bytes: None,
        error: None,
    };
    match outcome {
        Ok(opened) => {
            shown.key_id = opened.written_with.key_id().map(ToString::to_string);
            shown.written_with = Some(key_ref(&opened.written_with));
            shown.state = object_state(opened.state);
            shown.object_bytes = Some(opened.plaintext.expose().len());
        }
        Err(error) => {
            shown.error = Some(Chain(&error).to_string());
            shown.written_with = Some(written_with(&session, &rule, &record));
        }
    }
    let readable = shown.error.is_none();
    report::print(args.output, &shown, table).map_err(CommandError::Io)?;
    if readable && args.output == Output::Table {
        eprintln!("next: --reveal prints the object itself, secrets included");
    }
    Ok(if readable { Exit::Done } else { Exit::Findings })
}

/// Which kind of DEK source is current, only the other values may tell: those of the same resource
/// are enough.
async fn learn_dek_type(session: &mut Session, resource: &str) -> Result<(), CommandError> {
    if session.knows_dek_type() {
        return Ok(());
    }
    let scope = Scope::new(&cli::Scope {
        resource: vec![resource.to_owned()],
        ..cli::Scope::default()
    });
    survey(session, &scope, Depth::Fast).await?;
    Ok(())
}

/// Who seems to have written a value that does not open.
fn written_with(session: &Session, rule: &Rule, record: &Record) -> KeyRef {
    rule.classify(&record.value, session.keys.current())
        .map_or_else(
            |_| guess(&record.value),
            |class| key_ref(&class.written_with),
        )
}

/// The object as it is stored: JSON, or protobuf behind `k8s\0`.
fn reveal(opened: &Opened) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(opened.plaintext.expose())?;
    stdout.flush()
}

fn table(object: &StoredObject) -> String {
    let StoredObject {
        api_version: _,
        kind: _,
        key,
        written_with,
        key_id,
        state,
        mod_revision,
        lease,
        stored_bytes,
        object_bytes,
        error,
    } = object;
    let mut rows = vec![("etcd key", OneLine(key).to_string())];
    if let Some(written) = written_with {
        let key = OneLine(&written.key);
        rows.push(("written with", format!("{} {key}", written.provider)));
    }
    if let Some(id) = key_id {
        rows.push(("key id", OneLine(id).to_string()));
    }
    rows.push(("state", report::state_text(*state).to_owned()));
    rows.push(("revision", mod_revision.to_string()));
    if *lease != 0 {
        rows.push(("lease", format!("{lease:x}")));
    }
    rows.push(("stored", format!("{stored_bytes} bytes")));
    if let Some(bytes) = object_bytes {
        rows.push(("object", format!("{bytes} bytes")));
    }
    if let Some(error) = error {
        rows.push(("error", error.clone()));
    }
    rows.iter()
        .map(|(name, value)| format!("{name:<13}{value}\n"))
        .collect()
}
