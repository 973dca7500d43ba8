//! What a client wrote through the apiserver, as it was acknowledged.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::kube::{Kube, KubeError};

/// The objects of one collection by name.
pub(crate) struct Ledger {
    collection: String,
    objects: BTreeMap<String, Value>,
}

impl Ledger {
    /// An empty collection: `/api/v1/namespaces/default/secrets`.
    pub(crate) fn new(collection: &str) -> Self {
        Self {
            collection: collection.to_owned(),
            objects: BTreeMap::new(),
        }
    }

    /// Where the apiserver serves them.
    pub(crate) fn collection(&self) -> &str {
        &self.collection
    }

    /// Creates an object and records it.
    pub(crate) fn create(&mut self, kube: &Kube, object: &Value) -> Result<(), KubeError> {
        let stored = kube.create(&self.collection, object)?;
        self.record(&stored);
        Ok(())
    }

    /// Replaces an object, whatever its resource version, and records the new one.
    pub(crate) fn update(&mut self, kube: &Kube, object: &Value) -> Result<(), KubeError> {
        let path = format!("{}/{}", self.collection, name(object));
        let stored = kube.update(&path, object)?;
        self.record(&stored);
        Ok(())
    }

    /// Deletes an object.
    pub(crate) fn delete(&mut self, kube: &Kube, name: &str) -> Result<(), KubeError> {
        kube.delete(&format!("{}/{name}", self.collection))?;
        self.objects.remove(name);
        Ok(())
    }

    /// Records what is there already.
    pub(crate) fn adopt(&mut self, kube: &Kube) {
        for object in kube.list(&self.collection).unwrap() {
            self.record(&object);
        }
    }

    /// The names of all objects.
    pub(crate) fn names(&self) -> Vec<String> {
        self.objects.keys().cloned().collect()
    }

    /// How many objects there are.
    pub(crate) fn len(&self) -> usize {
        self.objects.len()
    }

    /// Fails unless the apiserver shows exactly these objects, field by field.
    pub(crate) fn read_back(&self, kube: &Kube) {
        let listed = kube.list(&self.collection).unwrap();
        let listed: BTreeMap<_, _> = listed
            .iter()
            .map(|object| (name(object).to_owned(), meaning(object)))
            .collect();
        let (ours, theirs): (Vec<_>, Vec<_>) = (self.names(), listed.keys().cloned().collect());
        assert_eq!(ours, theirs, "the names in {}", self.collection);
        for (name, object) in &self.objects {
            assert_eq!(object, &listed[name], "{}/{name}", self.collection);
        }
    }

    fn record(&mut self, stored: &Value) {
        self.objects
            .insert(name(stored).to_owned(), meaning(stored));
    }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

/// All of an object but its resource version, which every write raises, and its kind, which lists
/// leave out.
fn meaning(object: &Value) -> Value {
    let mut object = object.clone();
    let fields = object.as_object_mut().unwrap();
    fields.remove("apiVersion");
    fields.remove("kind");
    fields["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("resourceVersion");
    object
}
