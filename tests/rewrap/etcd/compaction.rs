//! Revisions that are forgotten while they are read.

use super::{RUN, says};
use crate::{
    store::{SECRETS, Store},
    support::{
        dice::Dice,
        encryption::Provider::{AesCbc, AesGcm, Identity, KmsWithin},
        envelope, eventually,
        puppet::{Call, Puppet, wrapped},
        sealed::seal,
    },
};

/// While the first of two pages waits for the plugin, the revision that it was read at goes away.
#[test]
fn a_compaction_during_a_scan_hides_nothing() {
    const OBJECTS: usize = 520;
    let mut dice = Dice::new();
    let puppet = Puppet::start();
    let store = Store::start(&[Identity]);
    let plaintexts = store.fill(OBJECTS, AesCbc("old"), &mut dice);
    let socket = puppet.socket();
    let kms = KmsWithin("puppet", &socket, "60s");
    store.configure(&[kms, AesCbc("old"), Identity]);
    store.rewrap("run", &RUN).expect(0);

    let path = format!("{SECRETS}default/secret-00000");
    let forget_all_before = |value: &[u8]| {
        let revision = store.etcd.put(&path, value);
        store.etcd.compact(revision);
    };
    let overtaken = |verb, more: &[&str], values: &[Vec<u8>]| {
        puppet.answer(|answers| answers.withheld = Some(Call::Decrypt));
        let mut asked = puppet.asked(Call::Decrypt);
        let running = store.start_rewrap(verb, more);
        for value in values {
            eventually("the first page waits", || {
                let waits = puppet.asked(Call::Decrypt) > asked;
                waits.then(|| asked = puppet.asked(Call::Decrypt))
            });
            forget_all_before(value);
            puppet.release();
        }
        let finished = running.finish();
        puppet.behave();
        finished
    };

    // What an apiserver that does not use the plugin yet writes meanwhile, on the first page.
    let stale = [seal(AesCbc("old"), &path, &plaintexts[&path], &mut dice)];
    let seen = overtaken("verify", &["--output=json"], &stale).expect(1);
    says(&seen, &["was compacted away", "beginning again"]);
    let secrets = &seen.json()["resources"][0];
    let counts = (&secrets["total"], &secrets["stale"]);
    assert_eq!(counts, (&OBJECTS.into(), &1.into()), "{seen}");
    assert_eq!(secrets["revision"], store.etcd.revision(), "{seen}");

    let seen = overtaken("status", &["--output=json"], &stale).expect(0);
    assert_eq!(seen.json()["resources"][0]["total"], OBJECTS, "{seen}");

    // One with a seed of its own every time, so that the plugin is needed again.
    let mut fresh = || {
        let seed: [u8; 32] = dice.bytes(32).try_into().unwrap();
        let wrapped = wrapped(&seed);
        envelope::seal(
            "puppet",
            &seed,
            wrapped,
            &path,
            &plaintexts[&path],
            &mut dice,
        )
    };
    let fresh = [fresh(), fresh(), fresh()];
    let given_up = overtaken("verify", &[], &fresh).expect(2);
    says(
        &given_up,
        &[
            "etcd compacts its revisions faster",
            "one --resource at a time",
        ],
    );
    assert_eq!(given_up.stdout, "");
    store.rewrap("verify", &[]).expect(0);

    // Back out of the plugin, in a run that is overtaken as well.
    store.configure(&[AesGcm("new"), kms, AesCbc("old"), Identity]);
    let report = overtaken("run", &RUN, &stale).expect(0).json();
    assert_eq!(report["rewrapped"], OBJECTS, "{report:#}");
    store.rewrap("verify", &[]).expect(0);
    assert!(store.opened().0 == plaintexts);
}
