//! The pieces against an etcd of the mind, which does what `storage/mvcc/index.go` of etcd 3.4 to 3.7
//! does: it visits every key up to the end of a range, whatever the limit.

use std::collections::{BTreeSet, VecDeque};

use proptest::prelude::*;
use prost::bytes::Bytes;

use super::*;
use crate::store::prefix_end;

const PREFIX: &[u8] = b"/registry/secrets/";
const AHEAD: usize = 8;

/// The answers of a range, and what they cost.
struct Index {
    keys: BTreeSet<Vec<u8>>,
    size: usize,
    requests: usize,
    visited: usize,
    /// Records of all answers, those that are dropped and read again too.
    sent: usize,
    most_at_once: usize,
}

impl Index {
    fn new(names: impl IntoIterator<Item = String>) -> Self {
        let keys = names
            .into_iter()
            .map(|name| [PREFIX, name.as_bytes()].concat());
        Self {
            keys: keys.collect(),
            size: 1000,
            requests: 0,
            visited: 0,
            sent: 0,
            most_at_once: 0,
        }
    }

    fn answer(&mut self, ask: &Ask) -> Page {
        assert!(self.requests < 100_000, "this walk has no end");
        let all: Vec<_> = self.keys.range(ask.from.clone()..ask.end.clone()).collect();
        self.requests += 1;
        self.visited += all.len();
        let limit = usize::try_from(ask.limit).unwrap();
        self.sent += all.len().min(limit);
        let value = Bytes::from(vec![0; self.size]);
        let record = |key: &&Vec<u8>| Record {
            key: key.to_vec().into(),
            value: value.clone(),
            mod_revision: 1,
            create_revision: 1,
            lease: 0,
        };
        Page {
            records: all.iter().take(limit).map(record).collect(),
            more: all.len() > limit,
            count: all.len() as i64,
            revision: 1,
        }
    }

    /// Walks through everything, with answers that come out of order, and says whether every key was
    /// delivered once and in its place.
    fn walk(&mut self, ahead: usize, mut newest_first: impl FnMut() -> bool) -> bool {
        let mut cuts = Cuts::new(PREFIX.into(), prefix_end(PREFIX), PREFIX.len(), ahead);
        let whole = cuts.ask_whole().unwrap();
        assert_eq!(cuts.ask_whole(), None);
        cuts.answered(whole.id, Ok(self.answer(&whole)));
        let mut asked = VecDeque::new();
        let mut seen = Vec::new();
        loop {
            while let Some(ask) = (asked.len() < ahead).then(|| cuts.ask()).flatten() {
                asked.push_back(ask);
            }
            let held = cuts.cuts.iter().filter(|cut| !cut.is_unread()).count();
            self.most_at_once = self.most_at_once.max(held);
            match cuts.pop() {
                Front::Records(records) => {
                    assert!(!records.is_empty());
                    seen.extend(records.into_iter().map(|record| record.key.to_vec()));
                }
                Front::End => return self.keys.iter().eq(&seen),
                Front::Failed(error) => panic!("{error}"),
                Front::Waiting => {
                    let next = if newest_first() {
                        asked.pop_back()
                    } else {
                        asked.pop_front()
                    };
                    let ask = next.expect("somebody is waited for");
                    cuts.answered(ask.id, Ok(self.answer(&ask)));
                }
            }
        }
    }
}

/// What a cluster may have of one resource: a name and how its keys are spread.
fn clusters() -> Vec<(&'static str, Vec<String>)> {
    // Five letters at the end, as for generated names.
    let generated = |number: u64| {
        let letters = b"bcdfghjklmnpqrstvwxz2456789";
        let mut rest = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        (0..5).fold(String::new(), |mut name, _| {
            name.push(char::from(letters[(rest % 27) as usize]));
            rest /= 27;
            name
        })
    };
    vec![
        (
            "one huge namespace, numbered",
            (0..100_000)
                .map(|n| format!("payments/secret-{n:07}"))
                .collect(),
        ),
        (
            "one huge namespace, numbered without zeros",
            (0..100_000)
                .map(|n| format!("payments/secret-{n}"))
                .collect(),
        ),
        (
            "generated names",
            (0..100_000)
                .map(|n| {
                    format!(
                        "batch/a-long-name-of-a-job-that-runs-often-{}",
                        generated(n)
                    )
                })
                .collect(),
        ),
        (
            "many namespaces of a few objects",
            (0..100_000)
                .map(|n| format!("team-{:05}/app-{}", n / 7, n % 7))
                .collect(),
        ),
        (
            "namespaces of a page each",
            (0..100_000)
                .map(|n| format!("{}-tenant/app-{:04}", generated(n / 900), n % 900))
                .collect(),
        ),
        (
            "numbered namespaces of many pages",
            (0..200_000)
                .map(|n| format!("team-{:02}/object-{n:07}", n / 10_000))
                .collect(),
        ),
        (
            "namespaces of all sizes",
            (0..200_000u64)
                .map(|n| {
                    let namespace = (f64::from(n as u32) + 1.0).log(1.05) as u64;
                    format!("{}-prod/{}-tls", generated(namespace), generated(n))
                })
                .collect(),
        ),
        (
            "one huge namespace amid small ones",
            (0..100_000)
                .map(|n| match n % 10 {
                    0 => format!("team-{:05}/app", n),
                    _ => format!(
                        "kube-system/sh.helm.release.v1.release-{}.v{n}",
                        generated(n / 10)
                    ),
                })
                .collect(),
        ),
        (
            "names of every kind of letter",
            (0..50_000)
                .map(|n| format!("system:Controller:{:x}:ROLE-{}", n * 7919, n))
                .collect(),
        ),
    ]
}

#[test]
fn a_walk_visits_few_keys_twice() {
    for (what, names) in clusters() {
        let mut index = Index::new(names);
        let count = index.keys.len();
        assert!(index.walk(AHEAD, || false), "{what}");
        let pages = count * index.size / PAGE_BYTES as usize;
        let Index {
            requests,
            visited,
            sent,
            most_at_once,
            ..
        } = index;
        assert!(
            visited < 5 * count,
            "{what}: {visited} visits of {count} keys"
        );
        assert!(
            requests < 4 * pages,
            "{what}: {requests} requests for {pages} pages"
        );
        assert!(
            10 * sent < 11 * count,
            "{what}: {sent} records sent of {count}"
        );
        assert!(
            most_at_once <= 2 * AHEAD + 1,
            "{what}: {most_at_once} pages at once"
        );
    }
}

#[test]
fn where_nothing_is_read_ahead_nothing_is_cut() {
    let mut index = Index::new((0..5000).map(|n| format!("default/{n:04}")));
    assert!(index.walk(1, || false));
    assert_eq!(index.most_at_once, 2);
    // To the end each time, as kine wants it.
    assert!(index.visited > 2 * 5000, "{}", index.visited);
}

#[test]
fn what_failed_is_told_in_its_place_and_asked_for_again() {
    let mut index = Index::new((0..5000).map(|n| format!("default/{n:04}")));
    let mut cuts = Cuts::new(PREFIX.into(), prefix_end(PREFIX), PREFIX.len(), AHEAD);
    let whole = cuts.ask_whole().unwrap();
    let too_large = || Err(StoreError::ReplyTooLarge { limit: 1 });
    cuts.answered(whole.id, too_large());
    let half = cuts.ask_whole().unwrap();
    assert_eq!((half.limit, &half.end), (whole.limit / 2, &whole.end));
    cuts.answered(half.id, Ok(index.answer(&half)));
    assert!(matches!(cuts.pop(), Front::Records(_)));
    let [one, two] = [(); 2].map(|()| cuts.ask().unwrap());
    cuts.answered(two.id, Err(StoreError::Compacted { revision: 1 }));
    assert!(matches!(cuts.pop(), Front::Waiting));
    cuts.answered(one.id, Ok(index.answer(&one)));
    assert!(matches!(cuts.pop(), Front::Records(_)));
    let failed = cuts.pop();
    assert!(matches!(
        failed,
        Front::Failed(StoreError::Compacted { .. })
    ));
    assert!(matches!(cuts.pop(), Front::Waiting));
    let again = cuts.ask().unwrap();
    assert_eq!(again.from, two.from);
}

proptest! {
    #[test]
    fn every_key_comes_once_in_order(
        names in prop::collection::vec("[a-c/0-9]{1,6}|[ -~]{0,12}|[a-b]{1,30}", 0..600),
        size in prop::sample::select(vec![0, 1000, 30_000, 2_000_000]),
        ahead in 1..6usize,
        order in any::<u64>(),
    ) {
        let mut index = Index::new(names);
        if index.keys.len() > 300 && size > 1000 {
            return Ok(());
        }
        index.size = size;
        let mut turn = 0;
        let complete = index.walk(ahead, || {
            turn += 1;
            order >> (turn % 64) & 1 == 1
        });
        prop_assert!(complete);
    }
}

#[test]
fn pages_follow_the_size_of_what_is_stored() {
    let records = |count: usize, size: usize| {
        let record = Record {
            key: "".into(),
            value: vec![0; size].into(),
            mod_revision: 1,
            create_revision: 1,
            lease: 0,
        };
        vec![record; count]
    };
    let next_limit = |limit, records: &[Record]| next_limit(limit, records.len(), weight(records));
    assert_eq!(
        next_limit(200, &records(200, 1024)),
        800,
        "four times at most"
    );
    assert_eq!(next_limit(800, &records(800, 1024)), 1024);
    assert_eq!(next_limit(500, &records(500, 64 << 10)), 16);
    assert_eq!(next_limit(500, &records(3, 8 << 20)), 1);
    assert_eq!(next_limit(500, &records(3, 1)), 500, "few tell little");
    assert_eq!(next_limit(9000, &records(9000, 1)), MAX_LIMIT);
}
