//! Reads a store through and counts what is stored under which key.

use std::{
    collections::{BTreeMap, HashMap},
    error::Error,
    sync::Arc,
};

use kms_proto::{
    DekSourceType,
    inventory::{
        API_VERSION, Inventory, ObjectState, ResourceInventory, StoreInfo, Unowned, Unreadable,
    },
};

use crate::{
    area::{Area, AreaError, Areas, Content},
    chain::Chain,
    progress::Progress,
    scan::Scan,
    scope::Scope,
    session::Session,
    store::{RangeOptions, Record, StoreError},
    stored::{DekRef, KmsName, OpenError, Rule, WrittenWith},
};

mod cluster;
mod document;
mod tally;

use cluster::{identity, seen};
use document::dek_source_info;
use tally::Tally;

pub use document::{guess, key_ref, object_state, writes_with};

/// How often a survey begins again because the revision that it reads at was compacted away.
const TRIES: u32 = 3;

/// How values are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Every value is opened.
    Opened,
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
    let (inventory, newest) = read_whole(session, scope, depth, one_revision).await?;
    if !session.observe(newest) {
        return Ok(inventory);
    }
    Ok(read_whole(session, scope, depth, one_revision).await?.0)
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
    let areas = session.areas_at(&revisions).await?;
    for missing in scope.not_found(areas.iter()) {
        eprintln!("warning: nothing is stored of {missing}; is it written as it is in the file?");
    }
    let mut survey = Survey::new(session, &areas, depth, revisions);
    let progress = Progress::start("reading", None);
    for area in areas.iter() {
        if let Some(path) = scope.path(area) {
            survey.area(area, &path, &progress).await?;
        }
    }
    progress.finish();
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
        let options = RangeOptions {
            count_only: true,
            ..RangeOptions::prefix(session.prefix.directory().as_bytes())
        };
        let now = store.store.range(options).await?;
        pinned.push(Pin {
            revision: now.revision,
            keys: now.count,
        });
    }
    Ok(pinned)
}

struct Survey<'a> {
    session: &'a Session,
    areas: &'a Areas,
    depth: Depth,
    resources: Vec<ResourceInventory>,
    unreadable: Vec<Unreadable>,
    unowned: Vec<Unowned>,
    deks: HashMap<Arc<DekRef>, u64>,
    revisions: Vec<i64>,
    /// The revision to read each store at; 0 is the newest.
    pinned: Vec<i64>,
    /// How many keys of each store were read.
    read: Vec<u64>,
    /// Under the current key id: the newest value's revision and kind of DEK source.
    newest: BTreeMap<KmsName, (i64, DekSourceType)>,
}

impl<'a> Survey<'a> {
    fn new(session: &'a Session, areas: &'a Areas, depth: Depth, pinned: Vec<i64>) -> Self {
        Self {
            session,
            areas,
            depth,
            resources: Vec::new(),
            unreadable: areas.unreadable_crds().to_vec(),
            unowned: Vec::new(),
            deks: HashMap::new(),
            revisions: pinned.clone(),
            read: vec![0; pinned.len()],
            pinned,
            newest: BTreeMap::new(),
        }
    }

    async fn area(
        &mut self,
        area: &Area,
        path: &str,
        progress: &Progress,
    ) -> Result<(), SurveyError> {
        let store = &self.session.stores[area.store];
        match &area.content {
            Content::LeftAlone(reason) => {
                let revision = self.pinned[area.store];
                let (objects, written_with) = seen(&store.store, &area.path, revision).await?;
                self.read[area.store] += objects;
                self.unowned.push(Unowned {
                    path: area.display(),
                    reason: reason.clone(),
                    objects,
                    written_with,
                });
            }
            Content::Objects { resource, rule } => {
                progress.at(&resource.to_string());
                let mut tally = Tally::default();
                let mut scan = Scan::new(&store.store, path).at_revision(self.pinned[area.store]);
                while let Some(records) = scan.next().await? {
                    progress.advance(records.len() as u64);
                    self.read[area.store] += records.len() as u64;
                    let records = self.without_odd_keys(records, area, &mut tally);
                    self.page(rule, &records, &mut tally).await;
                }
                let revision = scan.revision();
                self.revisions[area.store] = self.revisions[area.store].max(revision);
                self.resources
                    .push(tally.into_row(area, resource, &store.name, rule, revision));
            }
        }
        Ok(())
    }

    /// Keys in the directory of a resource that no object of it has are counted and left alone.
    fn without_odd_keys(
        &mut self,
        mut records: Vec<Record>,
        area: &Area,
        tally: &mut Tally,
    ) -> Vec<Record> {
        records.retain(|record| {
            let odd = self.areas.object_key(area, &record.key).err();
            if let Some(odd) = &odd {
                tally.add(record, guess(&record.value), None, ObjectState::Unreadable);
                self.report(record, odd);
            }
            odd.is_none()
        });
        records
    }

    async fn page(&mut self, rule: &Rule, records: &[Record], tally: &mut Tally) {
        if self.depth == Depth::Fast {
            for record in records {
                self.by_prefix(rule, record, tally, None);
            }
            return;
        }
        let values: Vec<_> = records
            .iter()
            .map(|record| (&record.key[..], &record.value[..]))
            .collect();
        let outcomes = self.session.keys.open_all(rule, &values).await;
        for (record, outcome) in records.iter().zip(outcomes) {
            match outcome {
                Ok(opened) => {
                    let state = object_state(opened.state);
                    self.count(opened.written_with, state, record, tally);
                }
                Err(error) => self.by_prefix(rule, record, tally, Some(error)),
            }
        }
    }

    /// Counts a value by its prefix: because nobody asked for more, or because it does not open.
    fn by_prefix(
        &mut self,
        rule: &Rule,
        record: &Record,
        tally: &mut Tally,
        error: Option<OpenError>,
    ) {
        let class = rule.classify(&record.value, self.session.keys.current());
        match (class, error) {
            (Ok(class), None) => {
                self.count(class.written_with, object_state(class.state), record, tally);
            }
            (Ok(class), Some(error)) => {
                self.count(class.written_with, ObjectState::Unreadable, record, tally);
                self.report(record, &error);
            }
            (Err(unmatched), error) => {
                tally.add(record, guess(&record.value), None, ObjectState::Unreadable);
                self.report(record, &error.unwrap_or(unmatched));
            }
        }
    }

    fn count(
        &mut self,
        written_with: WrittenWith,
        state: ObjectState,
        record: &Record,
        tally: &mut Tally,
    ) {
        tally.add(
            record,
            key_ref(&written_with),
            written_with.key_id().cloned(),
            state,
        );
        if let WrittenWith::Dek(dek) = written_with {
            self.observe(&dek, record.mod_revision);
            *self.deks.entry(dek).or_default() += 1;
        }
    }

    fn report(&mut self, record: &Record, error: &dyn Error) {
        self.unreadable.push(Unreadable {
            key: String::from_utf8_lossy(&record.key).into_owned(),
            error: Chain(error).to_string(),
        });
    }

    fn observe(&mut self, dek: &DekRef, revision: i64) {
        let DekRef::V2 {
            provider,
            kind,
            source,
        } = dek
        else {
            return;
        };
        let current = self.session.keys.current().get(provider);
        if current.is_none_or(|current| current.key_id != source.key_id) {
            return;
        }
        let newest = self
            .newest
            .entry(provider.clone())
            .or_insert((revision, *kind));
        if newest.0 < revision {
            *newest = (revision, *kind);
        }
    }

    /// No key that the store counts at the revision was passed over.
    fn check_count(&self, pinned: &[Pin]) -> Result<(), StoreError> {
        for (read, pin) in self.read.iter().zip(pinned) {
            let read = i64::try_from(*read).unwrap_or(i64::MAX);
            if read != pin.keys {
                return Err(StoreError::Miscounted {
                    prefix: self.session.prefix.directory().as_bytes().into(),
                    revision: pin.revision,
                    read,
                    counted: pin.keys,
                });
            }
        }
        Ok(())
    }

    async fn finish(self) -> Result<(Inventory, BTreeMap<KmsName, DekSourceType>), SurveyError> {
        let Self {
            session,
            depth,
            resources,
            unreadable,
            unowned,
            deks,
            revisions,
            newest,
            ..
        } = self;
        let mut stores = Vec::new();
        for (store, revision) in session.stores.iter().zip(revisions) {
            let (server, etcd_cluster_id) = identity(&store.store).await;
            stores.push(StoreInfo {
                name: store.name.clone(),
                endpoints: store.endpoints.clone(),
                server,
                etcd_cluster_id,
                revision,
            });
        }
        let mut dek_sources: Vec<_> = deks
            .iter()
            .map(|(dek, objects)| dek_source_info(dek, *objects))
            .collect();
        dek_sources.sort();
        let inventory = Inventory {
            api_version: API_VERSION,
            kind: "Inventory",
            cluster_uid: session.cluster_uid().await?,
            config_hash: session.config.hash().to_owned(),
            opened: depth == Depth::Opened,
            stores,
            resources,
            dek_sources,
            unreadable,
            unowned,
        };
        Ok((
            inventory,
            newest
                .into_iter()
                .map(|(name, (_, kind))| (name, kind))
                .collect(),
        ))
    }
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
    /// etcd.
    #[error(transparent)]
    Store(#[from] StoreError),
}
