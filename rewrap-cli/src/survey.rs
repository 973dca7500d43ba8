//! Reads a store through and counts what is stored under which key.

use std::{collections::BTreeMap, fs};

use kms_proto::{DekSourceType, inventory::Inventory};

use crate::{
    area::AreaError,
    progress::Progress,
    scope::Scope,
    session::Session,
    store::{RangeOptions, StoreError},
    stored::KmsName,
};

mod cluster;
mod count;
mod document;
mod kinds;
mod sources;
mod tally;
mod unreadable;

use count::Survey;

pub use document::{guess, key_ref, object_state, writes_with};
pub use unreadable::ListError;

/// How often a survey begins again because the revision that it reads at was compacted away.
const TRIES: u32 = 3;

/// How values are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Every value is opened.
    Opened,
    /// The same, and Secrets are told apart by what they are for.
    OpenedByType,
    /// By prefix and envelope alone.
    Fast,
}

/// Reads everything in scope and counts it.
///
/// Where nothing else tells which type of DEK source kube-apiserver writes, the newest value under the
/// current key id does; where that changes what is current, the store is read again.
///
/// # Errors
/// etcd fails, or the prefix holds no cluster. Values that do not open are counted, not errors.
pub async fn survey(
    session: &mut Session,
    scope: &Scope,
    depth: Depth,
) -> Result<Inventory, SurveyError> {
    read_through(session, scope, depth, false).await
}

/// The same, all of a store at the revision it has at the beginning, so that the answer is about
/// one moment. Begins again where that revision is compacted away meanwhile.
///
/// # Errors
/// As [`survey`], and [`SurveyError::Overtaken`].
pub async fn survey_at_one_revision(
    session: &mut Session,
    scope: &Scope,
) -> Result<Inventory, SurveyError> {
    read_through(session, scope, Depth::Opened, true).await
}

async fn read_through(
    session: &mut Session,
    scope: &Scope,
    depth: Depth,
    one_revision: bool,
) -> Result<Inventory, SurveyError> {
    let (mut inventory, newest) = read_whole(session, scope, depth, one_revision).await?;
    if session.observe(newest) {
        if let Some(rest) = &inventory.unreadable_rest {
            // The next reading writes its own list.
            let _ = fs::remove_file(&rest.file);
        }
        inventory = read_whole(session, scope, depth, one_revision).await?.0;
    }
    if let Some(rest) = &inventory.unreadable_rest {
        let (objects, file) = (rest.objects, &rest.file);
        eprintln!("{objects} more values that do not open are listed in {file}");
    }
    Ok(inventory)
}

/// Reads at one revision, if asked to, as often as it takes; DEK sources are unwrapped but once.
async fn read_whole(
    session: &Session,
    scope: &Scope,
    depth: Depth,
    one_revision: bool,
) -> Result<Read, SurveyError> {
    for _ in 0..TRIES {
        match read_once(session, scope, depth, one_revision).await {
            Err(
                SurveyError::Store(StoreError::Compacted { revision })
                | SurveyError::Area(AreaError::Store(StoreError::Compacted { revision })),
            ) if one_revision => {
                eprintln!(
                    "revision {revision} was compacted away before all was read at it; \
                     beginning again at the newest one"
                );
            }
            read => return read,
        }
    }
    Err(SurveyError::Overtaken)
}

async fn read_once(
    session: &Session,
    scope: &Scope,
    depth: Depth,
    one_revision: bool,
) -> Result<Read, SurveyError> {
    let pinned = if one_revision {
        pin(session).await?
    } else {
        vec![Pin::default(); session.stores.len()]
    };
    let revisions: Vec<_> = pinned.iter().map(|pin| pin.revision).collect();
    let areas = session.areas_at(&revisions, scope.resources()).await?;
    let mut survey = Survey::new(session, &areas, depth, revisions);
    let progress = Progress::start("reading", session.quiet);
    for area in areas.iter() {
        if let Some(path) = scope.path(area) {
            survey.area(area, &path, &progress).await?;
        }
    }
    progress.finish();
    for missing in survey.not_found(scope) {
        eprintln!("warning: nothing is stored of {missing}; is it written as it is in the file?");
    }
    if one_revision && scope.is_everything() {
        survey.check_count(&pinned)?;
    }
    survey.finish().await
}

/// An inventory, and which type of DEK source the newest values under the current key ids have.
type Read = (Inventory, BTreeMap<KmsName, DekSourceType>);

/// A moment of a store.
#[derive(Debug, Clone, Copy, Default)]
struct Pin {
    /// 0 is the newest.
    revision: i64,
    /// How many keys there are under the prefix.
    keys: i64,
}

/// The revision that every store has now, and how many keys at that revision.
async fn pin(session: &Session) -> Result<Vec<Pin>, SurveyError> {
    let mut pinned = Vec::new();
    for store in &session.stores {
        let options = RangeOptions::count(session.prefix.directory().as_bytes());
        let now = store.store.range(options).await?;
        pinned.push(Pin {
            revision: now.revision,
            keys: now.count,
        });
    }
    Ok(pinned)
}

/// Why a store could not be read through.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SurveyError {
    /// Its areas cannot be listed.
    #[error(transparent)]
    Area(#[from] AreaError),
    /// No revision lives long enough.
    #[error(
        "etcd compacts its revisions faster than everything can be read at one of them ({TRIES} \
         tries); look at one --resource at a time, or compact less often for a while"
    )]
    Overtaken,
    /// The list of what does not open outgrew memory, and cannot be written.
    #[error(transparent)]
    List(#[from] ListError),
    /// etcd.
    #[error(transparent)]
    Store(#[from] StoreError),
}
