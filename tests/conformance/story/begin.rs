//! The cluster before the story, and the Events that happen in it.

use serde_json::json;

use super::Story;
use crate::{
    churn::secret,
    cluster::Cluster,
    ledger::Ledger,
    support::{apiserver::Release, dice::Dice, eventually, kube::Kube},
};

const SECRETS: usize = 500;
const CONFIG_MAPS: usize = 100;
const PANDAS: usize = 100;
const EVENTS: usize = 50;

impl Story {
    /// A cluster that encrypts nothing, and what its clients put there.
    pub(super) fn begin(release: Release) -> Self {
        let cluster = Cluster::of(release, &[]);
        let kube = cluster.kube();
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "story"}});
        kube.create("/api/v1/namespaces", &namespace).unwrap();
        define_pandas(&kube);

        let mut dice = Dice::new();
        let mut secrets = Ledger::new("/api/v1/namespaces/story/secrets");
        let mut config_maps = Ledger::new("/api/v1/namespaces/story/configmaps");
        let mut pandas = Ledger::new("/apis/awesome.bears.com/v1/namespaces/story/pandas");
        for number in 0..SECRETS {
            secrets
                .create(&kube, &secret(&format!("secret-{number}"), &mut dice))
                .unwrap();
        }
        for number in 0..CONFIG_MAPS {
            let object = json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("map-{number}")},
                "data": {"number": number.to_string()},
            });
            config_maps.create(&kube, &object).unwrap();
        }
        for number in 0..PANDAS {
            let object = json!({
                "apiVersion": "awesome.bears.com/v1", "kind": "Panda",
                "metadata": {"name": format!("panda-{number}")}, "spec": {"bamboo": number},
            });
            pandas.create(&kube, &object).unwrap();
        }
        Self {
            cluster,
            dice,
            secrets,
            config_maps,
            pandas,
            news: 0,
            events_rewrapped: 0,
        }
    }

    /// Creates Events that a minute later are gone.
    pub(super) fn events_happen(&mut self) {
        self.news += 1;
        let kube = self.cluster.kube();
        for number in 0..EVENTS {
            let object = json!({
                "apiVersion": "v1", "kind": "Event", "type": "Normal", "reason": "Tested",
                "metadata": {"name": format!("event-{}-{number}", self.news)},
                "involvedObject": {"kind": "Secret", "name": "secret-0", "namespace": "story"},
            });
            kube.create("/api/v1/namespaces/story/events", &object)
                .unwrap();
        }
    }
}

fn define_pandas(kube: &Kube) {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "pandas.awesome.bears.com"},
        "spec": {
            "group": "awesome.bears.com",
            "scope": "Namespaced",
            "names": {"plural": "pandas", "singular": "panda", "kind": "Panda"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                }},
            }],
        },
    });
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    kube.create(definitions, &definition).unwrap();
    eventually("pandas are served", || {
        kube.list("/apis/awesome.bears.com/v1/namespaces/story/pandas")
            .ok()
    });
}
