//! The cluster before the story, and the Events that happen in it.

use super::Story;
use crate::{
    backend::Backend,
    churn::secret,
    cluster::Cluster,
    kinds::{config_map, create_namespace, define, event, panda},
    ledger::Ledger,
    support::dice::Dice,
};

const SECRETS: usize = 500;
const CONFIG_MAPS: usize = 100;
const PANDAS: usize = 100;
const EVENTS: usize = 50;

impl<S: Backend> Story<S> {
    /// A cluster that encrypts nothing, and what its clients put there.
    pub(super) fn begin(cluster: Cluster<S>) -> Self {
        let kube = cluster.kube();
        create_namespace(&kube, "story");
        define(&kube, "pandas", "Panda");

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
            let object = config_map(&format!("map-{number}"));
            config_maps.create(&kube, &object).unwrap();
        }
        for number in 0..PANDAS {
            let object = panda(&format!("panda-{number}"), number);
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
            let object = event("story", &format!("event-{}-{number}", self.news));
            kube.create("/api/v1/namespaces/story/events", &object)
                .unwrap();
        }
    }
}
