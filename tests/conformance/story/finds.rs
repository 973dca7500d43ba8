//! What `rewrap status` says, compared with what the clients know.

use serde_json::{Value, json};

use super::Story;
use crate::backend::Backend;

impl<S: Backend> Story<S> {
    /// `rewrap status` says that all objects of the story are in this state, written with this
    /// provider and key, and counts the objects of the whole cluster as the apiserver does.
    pub(super) fn finds(&self, state: &str, provider: &str, key: &str) {
        let most_events = self.events().len() as u64;
        let inventory = self.cluster.status(&["--namespace=story"]);
        let least_events = self.events().len() as u64;

        let rows = [
            ("secrets", self.secrets.len()),
            ("configmaps", self.config_maps.len()),
            ("pandas.awesome.bears.com", self.pandas.len()),
        ];
        for (resource, objects) in rows {
            let row = row(&inventory, resource);
            assert_eq!(row["total"], objects, "{row:#}");
            assert_eq!(row[state], objects, "{row:#}");
            let [written] = &row["writtenWith"].as_array().unwrap()[..] else {
                panic!("not all under one key: {row:#}")
            };
            assert_eq!(
                (&written["provider"], &written["key"]),
                (&json!(provider), &json!(key))
            );
            assert_eq!(
                written["keyId"].is_string(),
                provider == "kms-v2",
                "{written:#}"
            );
        }
        if least_events > 0 {
            let row = row(&inventory, "events");
            let total = row["total"].as_u64().unwrap();
            assert!((least_events..=most_events).contains(&total), "{row:#}");
            assert_eq!(row[state], total, "{row:#}");
        }
        self.cluster.counts_like_the_apiserver();
    }
}

fn row<'a>(inventory: &'a Value, resource: &str) -> &'a Value {
    let mut rows = inventory["resources"].as_array().unwrap().iter();
    rows.find(|row| row["resource"] == resource)
        .unwrap_or_else(|| panic!("no row for {resource}: {inventory:#}"))
}
