//! Judges what was read, and counts it.

use std::{collections::BTreeMap, error::Error};

use kms_proto::{
    DekSourceType,
    inventory::{
        API_VERSION, Inventory, ObjectState, ResourceInventory, StoreInfo, Unowned, Unreadable,
    },
};

use tokio::task::yield_now;

use super::{
    Depth, Pin, Read, SurveyError,
    cluster::{identity, seen},
    document::object_state,
    kinds::Kinds,
    sources::{Sources, coverage},
    tally::Tally,
    unreadable::UnreadableList,
};
use crate::{
    area::{Area, Areas, Content},
    chain::Chain,
    progress::Progress,
    scan::Scan,
    scope::Scope,
    session::Session,
    store::{Record, StoreError},
    stored::{DekRef, GroupResource, KmsName, OpenError, Provider, Rule, WrittenWith},
};

/// How many values are judged before answers that have come are looked at.
const JUDGED_AT_ONCE: usize = 128;

/// How many of them are open at a time: what is wiped and used again at once stays near the processor.
const OPENED_AT_ONCE: usize = 16;

/// Under KMS v1 every value has a DEK to be unwrapped, many of which are asked for together.
fn opened_at_once(rule: &Rule) -> usize {
    let is_v1 = |provider: &Provider| matches!(provider, Provider::KmsV1(_));
    match rule.providers().iter().any(is_v1) {
        true => JUDGED_AT_ONCE,
        false => OPENED_AT_ONCE,
    }
}

/// A reading of all stores of a session.
pub(super) struct Survey<'a> {
    session: &'a Session,
    depth: Depth,
    resources: Vec<ResourceInventory>,
    unreadable: UnreadableList,
    unowned: Vec<Unowned>,
    sources: Sources,
    kinds: Kinds,
    revisions: Vec<i64>,
    /// The revision to read each store at; 0 is the newest.
    pinned: Vec<i64>,
    /// How many keys of each store were read.
    read: Vec<u64>,
    /// Under the current key id: the newest value's revision and kind of DEK source.
    newest: BTreeMap<KmsName, (i64, DekSourceType)>,
}

impl<'a> Survey<'a> {
    pub(super) fn new(session: &'a Session, areas: &Areas, depth: Depth, pinned: Vec<i64>) -> Self {
        Self {
            session,
            depth,
            resources: Vec::new(),
            unreadable: UnreadableList::new(areas.unreadable_crds()),
            unowned: Vec::new(),
            sources: Sources::default(),
            kinds: Kinds::default(),
            revisions: pinned.clone(),
            read: vec![0; pinned.len()],
            pinned,
            newest: BTreeMap::new(),
        }
    }

    pub(super) async fn area(
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
            Content::Objects { resource, rule, .. } => {
                progress.at(&resource.to_string());
                let mut tally = Tally::default();
                let mut scan = Scan::new(&store.store, path).at_revision(self.pinned[area.store]);
                let at_once = opened_at_once(rule);
                while let Some(records) = scan.next().await? {
                    progress.advance(records.len() as u64);
                    self.read[area.store] += records.len() as u64;
                    let records = self.without_odd_keys(records, area, &mut tally);
                    for some in records.chunks(JUDGED_AT_ONCE) {
                        for few in some.chunks(at_once) {
                            self.judge(resource, rule, few, &mut tally).await;
                        }
                        yield_now().await;
                        scan.go_on();
                    }
                    self.unreadable.check()?;
                }
                let revision = scan.revision();
                self.revisions[area.store] = self.revisions[area.store].max(revision);
                if tally.is_empty() && path == area.display() {
                    return Ok(());
                }
                let covered = self.session.config.rule(resource).is_some();
                let rule = (&**rule, covered);
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
            let odd = area.object_key(&record.key).err();
            if let Some(odd) = &odd {
                tally.add_unmatched(record);
                self.report(record, odd);
            }
            odd.is_none()
        });
        records
    }

    async fn judge(
        &mut self,
        resource: &GroupResource,
        rule: &Rule,
        records: &[Record],
        tally: &mut Tally,
    ) {
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
                    if self.depth == Depth::OpenedByType {
                        let plaintext = opened.plaintext.expose();
                        self.kinds.add(resource, plaintext, state, record);
                    }
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
                tally.add_unmatched(record);
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
        tally.add(record, &written_with, state);
        if let WrittenWith::Dek(dek) = written_with {
            self.observe(&dek, record.mod_revision);
            self.sources.add(dek, record.mod_revision);
        }
    }

    fn report(&mut self, record: &Record, error: &dyn Error) {
        self.unreadable.add(Unreadable {
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
        match self.newest.get_mut(provider) {
            Some(newest) if newest.0 >= revision => {}
            Some(newest) => *newest = (revision, *kind),
            None => drop(self.newest.insert(provider.clone(), (revision, *kind))),
        }
    }

    /// The resources that were named but have no row: a typing error, or nothing stored.
    pub(super) fn not_found<'s>(
        &'s self,
        scope: &'s Scope,
    ) -> impl Iterator<Item = &'s GroupResource> {
        scope.resources().iter().filter(|named| {
            let name = named.to_string();
            !self.resources.iter().any(|row| row.resource == name)
        })
    }

    /// No key that the store counts at the revision was passed over.
    pub(super) fn check_count(&self, pinned: &[Pin]) -> Result<(), StoreError> {
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

    pub(super) async fn finish(self) -> Result<Read, SurveyError> {
        let Self {
            session,
            depth,
            resources,
            unreadable,
            unowned,
            mut sources,
            kinds,
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
        let (dek_source_count, dek_sources_exact) = sources.count();
        let unreadable_causes = unreadable.causes(&session.prefix);
        let (unreadable, unreadable_rest) = unreadable.finish()?;
        let dek_sources = sources.into_infos();
        let inventory = Inventory {
            api_version: API_VERSION,
            kind: "Inventory",
            cluster_uid: session.cluster_uid().await?,
            config_hash: session.config.hash().to_owned(),
            opened: depth != Depth::Fast,
            stores,
            resources,
            dek_source_count,
            dek_sources_exact,
            roots: coverage(&dek_sources),
            dek_sources,
            secret_kinds: (depth == Depth::OpenedByType).then(|| kinds.into_rows()),
            unreadable,
            unreadable_rest,
            unreadable_causes,
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
