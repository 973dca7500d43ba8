//! A run may be killed at any instant and started again.

use std::collections::BTreeMap;

use super::store::{SECRETS, Store};
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesCbc, AesGcm, Identity},
    eventually,
};

const OBJECTS: usize = 2000;
const KILLS: usize = 50;
/// The lock of a killed run lives on for a while; here nobody else could be running.
const RUN: [&str; 5] = [
    "--yes",
    "--assume-converged",
    "--max",
    "--no-lock",
    "--output=json",
];

#[test]
fn fifty_kills_lose_nothing() {
    let mut dice = Dice::new();
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    let plaintexts = store.fill(OBJECTS, AesCbc("old"), &mut dice);
    let leases = leases(&store);

    // Whatever is current becomes stale again when all of it is: kills strike everywhere.
    let mut targets = [AesGcm("newer"), AesGcm("new")].into_iter().cycle();
    let mut kills = 0;
    while kills < KILLS {
        let mut run = store.start_rewrap("run", &RUN);
        let begin = store.etcd.revision();
        let writes = dice.below(OBJECTS / 4) as i64;
        let ended = eventually("rewrap writes or ends", || {
            let ended = run.child.try_wait().unwrap();
            (ended.is_some() || store.etcd.revision() >= begin + writes).then_some(ended)
        });
        run.child.kill().unwrap();
        let finished = run.finish();
        if ended.is_none() {
            kills += 1;
        } else {
            assert_eq!(finished.code, Some(0), "{finished}");
            let target = targets.next().unwrap();
            store.configure(&[
                target,
                AesGcm("newer"),
                AesGcm("new"),
                AesCbc("old"),
                Identity,
            ]);
        }
        let (now, _) = store.opened();
        assert!(now == plaintexts, "an object changed, appeared or was lost");
    }

    store.configure(&[
        AesGcm("last"),
        AesGcm("newer"),
        AesGcm("new"),
        AesCbc("old"),
        Identity,
    ]);
    store.rewrap("run", &RUN).expect(0);
    let (now, names) = store.opened();
    assert!(now == plaintexts, "an object changed, appeared or was lost");
    assert_eq!(names, BTreeMap::from([("last".to_owned(), OBJECTS)]));
    assert_eq!(self::leases(&store), leases);
    store.rewrap("verify", &[]).expect(0);

    // And once more: nothing is left to do.
    let revision = store.etcd.revision();
    store.rewrap("run", &RUN).expect(0);
    assert_eq!(store.etcd.revision(), revision);
}

fn leases(store: &Store) -> BTreeMap<String, i64> {
    store
        .etcd
        .list(SECRETS)
        .into_iter()
        .map(|stored| (stored.key, stored.lease))
        .collect()
}
