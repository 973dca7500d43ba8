//! Why values do not open: many objects, few causes, and for each one what to do next.

use std::collections::BTreeMap;

use kms_proto::inventory::{Unreadable, UnreadableCause};

use crate::{
    explain::{explain, object},
    stored::EtcdPrefix,
};

/// How many are told apart: what a plugin says may be different every time.
const LIMIT: usize = 100;

/// How often which cause was met.
#[derive(Debug, Default)]
pub(super) struct Causes {
    met: BTreeMap<String, Met>,
    others: Option<Met>,
}

#[derive(Debug)]
struct Met {
    objects: u64,
    /// The first etcd key.
    example: String,
}

impl Causes {
    pub(super) fn of(unreadable: &[Unreadable]) -> Self {
        let mut causes = Self::default();
        unreadable.iter().for_each(|one| causes.add(one));
        causes
    }

    pub(super) fn add(&mut self, unreadable: &Unreadable) {
        let Unreadable { key, error } = unreadable;
        if let Some(met) = self.met.get_mut(error) {
            met.objects += 1;
            return;
        }
        let first = || Met {
            objects: 0,
            example: key.clone(),
        };
        let met = if self.met.len() < LIMIT {
            self.met.entry(error.clone()).or_insert_with(first)
        } else {
            self.others.get_or_insert_with(first)
        };
        met.objects += 1;
    }

    /// The most frequent one first.
    pub(super) fn told(&self, prefix: &EtcdPrefix) -> Vec<UnreadableCause> {
        let tell = |error: Option<&String>, met: &Met| UnreadableCause {
            error: error.cloned(),
            objects: met.objects,
            example: met.example.clone(),
            next: next(error.map_or("", String::as_str), &met.example, prefix),
        };
        let mut causes: Vec<_> = self
            .met
            .iter()
            .map(|(error, met)| tell(Some(error), met))
            .collect();
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.objects));
        causes.extend(self.others.iter().map(|met| tell(None, met)));
        causes
    }
}

/// The texts of causes are kube-apiserver's own, so what explains those explains these. What is said of
/// a plugin are our words.
fn next(error: &str, example: &str, prefix: &EtcdPrefix) -> String {
    const GET: &str = "rewrap get OBJECT  # names the provider, the key and why it does not open";
    const PLUGIN: &str =
        "kms-plugin status  # on this node: whether it runs, and which keys it has";
    let next = if error.contains("the KMS plugin at") {
        PLUGIN
    } else {
        let explained = explain(error).into_iter().next();
        explained.map_or(GET, |known| known.next[0])
    };
    match object(example, prefix) {
        Some(object) => next.replace("OBJECT", &object),
        // `rewrap get` knows objects by their names, and this key has none.
        None if next == GET => {
            "etcdctl get KEY  # no object of Kubernetes has such a key".to_owned()
        }
        None => next.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreadable(key: &str, error: &str) -> Unreadable {
        Unreadable {
            key: format!("/registry/secrets/default/{key}"),
            error: error.to_owned(),
        }
    }

    #[test]
    fn every_cause_has_what_to_type_next() {
        let missing = "aescbc: no matching key was found for the provided AES transformer";
        let away = "kms-v2 \"a\": the KMS plugin at unix:///a cannot be reached: gone";
        let mut causes = Causes::of(&[unreadable("a", away)]);
        for key in ["b", "c"] {
            causes.add(&unreadable(key, missing));
        }
        causes.add(&Unreadable {
            key: "/registry/secrets/odd".to_owned(),
            error: "no object of the resource has such a key".to_owned(),
        });
        let told = causes.told(&EtcdPrefix::default());
        assert_eq!(told[0].error.as_deref(), Some(missing));
        assert_eq!(told[0].objects, 2);
        assert!(told[0].next.starts_with("rewrap get secrets default/b  # "));
        let next = |error: &str| {
            let mut found = told
                .iter()
                .filter(|cause| cause.error.as_deref() == Some(error));
            &*found.next().unwrap().next
        };
        assert!(next(away).starts_with("kms-plugin status  # "));
        assert!(next("no object of the resource has such a key").starts_with("etcdctl get KEY"));
    }

    #[test]
    fn any_number_of_causes_is_told_in_few() {
        let mut causes = Causes::default();
        for number in 0..1000 {
            causes.add(&unreadable("a", &format!("cause {number}")));
        }
        let told = causes.told(&EtcdPrefix::default());
        assert_eq!(told.len(), LIMIT + 1);
        let others = told.last().unwrap();
        assert_eq!(
            (others.objects, &others.error),
            (1000 - LIMIT as u64, &None)
        );
    }
}
