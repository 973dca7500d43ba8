//! Judges every write as it happens: under the current key, or not.

use std::collections::{BTreeMap, HashSet};

use futures_util::{Stream, stream};
use kms_proto::{
    KeyId,
    inventory::{KeyRef, ObjectState},
};

use crate::{
    area::{AreaError, Areas},
    scope::Scope,
    session::Session,
    store::{Change, Live, RangeOptions, Record, StoreError, Watch},
    stored::{
        Class, DekRef, GroupResource, KmsName, OpenError, ProviderKind, Rule, State, WrittenWith,
    },
    survey::{guess, key_ref, object_state},
};

/// A write that did not go under the current key.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The resource.
    pub resource: GroupResource,
    /// Which of its objects.
    pub object: String,
    /// What was stored.
    pub record: Record,
    /// The key it is under, by its prefix.
    pub written_with: KeyRef,
    /// The key id, where it has one.
    pub key_id: Option<KeyId>,
    /// Anything but current.
    pub state: ObjectState,
}

/// The writes to all stores of a session from now on, one response after the other, and what tells
/// whether the watch of each is open.
///
/// # Errors
/// A store does not answer.
pub async fn writes(
    session: &Session,
) -> Result<
    (
        impl Stream<Item = Result<Vec<Change>, StoreError>> + Unpin + use<>,
        Vec<Live>,
    ),
    StoreError,
> {
    let (mut watches, mut live) = (Vec::new(), Vec::new());
    for named in &session.stores {
        let directory = session.prefix.directory();
        let now = RangeOptions::count(directory.as_bytes());
        let revision = named.store.range(now).await?.revision;
        let watch = named.store.watch(directory.as_bytes(), revision + 1);
        live.push(watch.live());
        watches.push(Box::pin(stream::unfold(watch, next)));
    }
    Ok((stream::select_all(watches), live))
}

async fn next(mut watch: Watch) -> Option<(Result<Vec<Change>, StoreError>, Watch)> {
    let changes = watch.next().await;
    Some((changes, watch))
}

/// What is known of the cluster, kept up to date by what is written.
#[derive(Debug)]
pub struct Judge {
    session: Session,
    scope: Scope,
    areas: Areas,
    /// Key ids that were not current when they were first seen: the plugin is asked again but once
    /// for each.
    old: HashSet<(KmsName, KeyId)>,
}

impl Judge {
    /// Knows what the session knows.
    ///
    /// # Errors
    /// The prefix holds no cluster, or a store cannot be read.
    pub async fn new(session: Session, scope: Scope) -> Result<Self, AreaError> {
        let areas = session.areas().await?;
        Ok(Self {
            session,
            scope,
            areas,
            old: HashSet::new(),
        })
    }

    /// Asks the KMS plugins for their key ids. Says which ones do not answer that did before.
    pub async fn refresh_keys(&mut self) {
        let before: HashSet<_> = self.session.keys.down().keys().cloned().collect();
        self.session.refresh_keys().await;
        for (provider, reason) in self.session.keys.down() {
            if !before.contains(provider) {
                eprintln!(
                    "warning: the KMS provider {provider} is not usable, so what is written under it is \
                     not judged: {reason}"
                );
            }
        }
    }

    /// What a write is, unless it is under the current key, out of scope or nobody's to encrypt.
    ///
    /// # Errors
    /// A store cannot be read when a CustomResourceDefinition came or changed.
    pub async fn judge(&mut self, record: Record) -> Result<Option<Finding>, AreaError> {
        let Some((resource, object)) = self.areas.object(&record.key) else {
            return Ok(None);
        };
        if &*resource.resource == "customresourcedefinitions" {
            self.areas = self.session.areas().await?;
        }
        if !self.scope.contains(&resource, object) {
            return Ok(None);
        }
        let rule = self.session.rule(&resource);
        let mut class = self.classify(&rule, &record);
        if let Ok(Class {
            written_with: WrittenWith::Dek(dek),
            state: State::Stale(_),
        }) = &class
            && self.learn(dek).await
        {
            class = self.classify(&rule, &record);
        }
        let (written_with, key_id, state) = match class {
            Ok(class) => (
                key_ref(&class.written_with),
                class.written_with.key_id().cloned(),
                object_state(class.state),
            ),
            Err(_) => (guess(&record.value), None, ObjectState::Unreadable),
        };
        // Nothing ever tells under which KEK a KMS v1 plugin wrote; what a KMS v2 plugin that is silent now
        // keeps from us is told.
        let is_v1 = written_with.provider == ProviderKind::KmsV1.as_str();
        if state == ObjectState::Current || state == ObjectState::Unknowable && is_v1 {
            return Ok(None);
        }
        Ok(Some(Finding {
            resource,
            object: object.to_string(),
            record,
            written_with,
            key_id,
            state,
        }))
    }

    fn classify(&self, rule: &Rule, record: &Record) -> Result<Class, OpenError> {
        rule.classify(&record.value, self.session.keys.current())
    }

    /// Whether what seems stale may be current: the key has rotated, or this is how kube-apiserver
    /// writes under it.
    async fn learn(&mut self, dek: &DekRef) -> bool {
        let DekRef::V2 {
            provider,
            kind,
            source,
        } = dek
        else {
            return false;
        };
        let current = self.session.keys.current().get(provider);
        if current.is_some_and(|current| current.key_id == source.key_id) {
            let newest = BTreeMap::from([(provider.clone(), *kind)]);
            return self.session.observe(newest);
        }
        let id = (provider.clone(), source.key_id.clone());
        if self.old.contains(&id) {
            return false;
        }
        self.refresh_keys().await;
        if self.session.keys.current().get(&id.0).is_some() {
            self.old.insert(id);
        }
        true
    }
}
