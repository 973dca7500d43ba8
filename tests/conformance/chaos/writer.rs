use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle, sleep},
    time::Duration,
};

use serde_json::Value;

use crate::{
    churn::secret,
    kinds::create_namespace,
    support::{
        dice::Dice,
        eventually,
        kube::{Kube, KubeError},
    },
};

/// How many Secrets a writer has, most of the time.
const SECRETS: usize = 20;

/// Between a refusal, or no answer, and the next try.
const PAUSE: Duration = Duration::from_millis(50);

/// A client that creates, replaces, deletes and creates again the Secrets of its own namespace, and knows
/// of each at any time what it must be. Where an answer is lost it asks until it knows.
pub(super) struct Writer {
    namespace: &'static str,
    /// The data of every Secret, by name.
    secrets: BTreeMap<String, Value>,
    writes: usize,
}

/// A writer on a thread of its own.
pub(super) struct AtWork {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Writer>,
}

impl Writer {
    /// Two with a namespace each.
    pub(super) fn two(kube: &Kube) -> Vec<Self> {
        ["one", "two"]
            .map(|namespace| {
                create_namespace(kube, namespace);
                Self {
                    namespace,
                    secrets: BTreeMap::new(),
                    writes: 0,
                }
            })
            .into()
    }

    pub(super) fn start(mut self, kube: Kube, mut dice: Dice) -> AtWork {
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                self.write(&kube, &mut dice);
            }
            self
        });
        AtWork { stop, thread }
    }

    /// How often it wrote.
    pub(super) fn writes(&self) -> usize {
        self.writes
    }

    pub(super) fn write_once(&mut self, kube: &Kube) {
        self.put(kube, "once", &mut Dice::from(self.writes as u64));
    }

    /// Fails unless the apiserver shows exactly its Secrets.
    pub(super) fn reads_back(&self, kube: &Kube) {
        let listed = kube.list(&self.collection()).unwrap();
        let listed: BTreeMap<_, _> = listed
            .iter()
            .map(|secret| {
                let name = secret["metadata"]["name"].as_str().unwrap();
                (name.to_owned(), secret["data"].clone())
            })
            .collect();
        assert_eq!(listed, self.secrets, "in {}", self.namespace);
    }

    fn write(&mut self, kube: &Kube, dice: &mut Dice) {
        let name = format!("secret-{}", dice.below(SECRETS));
        if self.secrets.contains_key(&name) && dice.below(4) == 0 {
            self.delete(kube, &name);
        } else {
            self.put(kube, &name, dice);
        }
    }

    /// Creates or replaces a Secret.
    fn put(&mut self, kube: &Kube, name: &str, dice: &mut Dice) {
        let object = secret(name, dice);
        let known = self.secrets.get(name).cloned();
        eventually(&format!("{name} is written"), || {
            let answer = match self.look(kube, name) {
                Err(error) => Err(error),
                // An answer was lost.
                Ok(Some(found)) if found["data"] == object["data"] => return Some(()),
                Ok(Some(mut found)) => {
                    assert_eq!(Some(&found["data"]), known.as_ref(), "{name} is another");
                    found["data"] = object["data"].clone();
                    kube.update(&self.path(name), &found)
                }
                Ok(None) => {
                    assert_eq!(known, None, "{name} is lost");
                    kube.create(&self.collection(), &object)
                }
            };
            retried(answer)
        });
        self.secrets.insert(name.to_owned(), object["data"].clone());
        self.writes += 1;
    }

    fn delete(&mut self, kube: &Kube, name: &str) {
        let known = self.secrets.remove(name);
        eventually(&format!("{name} is deleted"), || {
            let answer = match self.look(kube, name) {
                Err(error) => Err(error),
                Ok(None) => return Some(()),
                Ok(Some(found)) => {
                    assert_eq!(Some(&found["data"]), known.as_ref(), "{name} is another");
                    // A request that comes late must not delete the next one of that name.
                    let uid = found["metadata"]["uid"].as_str().unwrap();
                    kube.delete_only(&self.path(name), uid)
                }
            };
            retried(answer)
        });
        self.writes += 1;
    }

    fn look(&self, kube: &Kube, name: &str) -> Result<Option<Value>, KubeError> {
        match kube.get(&self.path(name)) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.status == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn collection(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets", self.namespace)
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.collection())
    }
}

impl AtWork {
    pub(super) fn finish(self) -> Writer {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Nothing where the answer leaves something to do.
fn retried(answer: Result<Value, KubeError>) -> Option<()> {
    answer.map(drop).map_err(|_| sleep(PAUSE)).ok()
}
