//! An etcd that is away, does not let us in, is full or forgets: what is said, how it ends, and that
//! nothing is lost.

use std::fs;

use tempfile::TempDir;

use super::store::{SECRETS, Store, assert_unsaid};
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesCbc, AesGcm, Identity, KmsWithin},
    envelope,
    etcd::{Certificates, Etcd, unused_endpoint},
    eventually,
    puppet::{Call, Puppet, wrapped},
    rewrap::Finished,
    sealed::seal,
};

const RUN: [&str; 4] = ["--yes", "--assume-converged", "--max", "--output=json"];

/// Every verb that reads the whole of etcd, as a script would call it.
const VERBS: [(&str, &[&str]); 4] = [
    ("status", &[]),
    ("plan", &[]),
    ("verify", &[]),
    ("run", &RUN),
];

fn store(etcd: Etcd) -> Store {
    let store = Store::on(etcd, &[AesGcm("new"), AesCbc("old"), Identity]);
    store.fill(5, AesCbc("old"), &mut Dice::new());
    store
}

/// Every verb must be refused with this code and these words, say nothing on stdout and no password
/// at all, and leave etcd as it is.
#[track_caller]
fn refused(store: &Store, flags: &[&str], code: i32, words: &[&str]) {
    for (verb, more) in VERBS {
        let refused = store.harmless(verb, &[flags, more].concat(), code);
        assert_eq!(refused.stdout, "", "{verb}");
        assert_unsaid(&refused, &[b"hunter".to_vec()]);
        says(&refused, words);
    }
}

#[track_caller]
fn says(finished: &Finished, words: &[&str]) {
    for words in words {
        assert!(
            finished.stderr.contains(words),
            "no {words:?} in {finished}"
        );
    }
}

#[test]
fn an_etcd_that_is_away_is_named() {
    let store = store(Etcd::start());
    let url = unused_endpoint();
    refused(
        &store,
        &[&format!("--endpoints={url}")],
        4,
        &[&url, "Connection refused", "check --endpoints"],
    );
}

#[test]
fn tls_is_refused_unless_both_sides_are_known() {
    let files = Certificates::generate();
    let store = store(Etcd::start_tls(&files));
    let file = |flag: &str, name: &str| format!("--{flag}={}", files.path(name).display());
    let ca = file("cacert", "ca.pem");
    let ours = [file("cert", "client.pem"), file("key", "client.key")];
    let [cert, key] = ours.each_ref().map(String::as_str);
    let endpoint = store.etcd.endpoint();
    let advice = "check --cacert against the server's certificate";

    let other = file("cacert", "other-ca.pem");
    let unknown = [&*endpoint, "UnknownIssuer", advice];
    refused(&store, &[&other, cert, key], 4, &unknown);
    refused(&store, &[cert, key], 4, &unknown);
    let nobody = [&*endpoint, advice, "--cert and --key against the CA"];
    refused(&store, &[&ca], 4, &nobody);
    let server = [file("cert", "server.pem"), file("key", "server.key")];
    refused(&store, &[&ca, &server[0], &server[1]], 4, &nobody);
    let missing = file("cacert", "missing.pem");
    let words = ["missing.pem", "No such file", "see that it exists"];
    refused(&store, &[&missing, cert, key], 3, &words);
    refused(&store, &[&ca, cert], 3, &["give --cert and --key together"]);

    store
        .rewrap("run", &[&[&*ca, cert, key], &RUN[..]].concat())
        .expect(0);
    store.rewrap("verify", &[&ca, cert, key]).expect(0);
}

/// A password file and the flags for this user; the folder goes when it is dropped.
fn login(user: &str, password: &str) -> (TempDir, [String; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, format!("{password}\n")).unwrap();
    let flags = [
        format!("--user={user}"),
        format!("--password-file={}", file.display()),
    ];
    (folder, flags)
}

#[test]
fn users_are_refused_in_words_that_help() {
    let store = store(Etcd::start());
    let registry = ["/registry/", "/registry0"];
    store
        .etcd
        .add_user("rewrap", "hunter2", "READWRITE", registry);
    store.etcd.enable_auth("hunter1");

    refused(&store, &[], 4, &["etcd wants a user", "--password-file"]);
    for (user, password) in [("rewrap", "hunter3"), ("nobody", "hunter2")] {
        let (_folder, login) = login(user, password);
        let login = login.each_ref().map(String::as_str);
        let words = format!("refuses the user {user:?} or its password; check --user");
        refused(&store, &login, 4, &[&words]);
    }
}

#[test]
fn rights_that_are_missing_are_named() {
    let store = store(Etcd::start());
    let registry = ["/registry/", "/registry0"];
    let elsewhere = ["/elsewhere/", "/elsewhere0"];
    store
        .etcd
        .add_user("stranger", "hunter2", "READWRITE", elsewhere);
    store.etcd.add_user("reader", "hunter2", "READ", registry);
    store
        .etcd
        .add_user("rewrap", "hunter2", "READWRITE", registry);
    store.etcd.enable_auth("hunter1");
    let not_permitted = "etcd does not permit this user";

    let (_folder, stranger) = login("stranger", "hunter2");
    let stranger = stranger.each_ref().map(String::as_str);
    let words = format!("{not_permitted} to read /registry/");
    refused(&store, &stranger, 4, &[&words, "grant its role that range"]);

    // One that may read sees everything, and may write nothing.
    let (_folder, reader) = login("reader", "hunter2");
    let reader = reader.each_ref().map(String::as_str);
    store.harmless("status", &reader, 0);
    store.harmless("plan", &reader, 0);
    store.harmless("verify", &reader, 1);
    let run = [&reader, &RUN[..]].concat();
    let told = store.harmless("run", &run, 4);
    let words = format!("{not_permitted} to write /ringfence.dev/rewrap.lock");
    says(&told, &[&words, "grant its role that range"]);
    let told = store.harmless("run", &[&run[..], &["--no-lock"]].concat(), 4);
    says(
        &told,
        &[&format!("{not_permitted} to write {SECRETS}default/")],
    );

    // One that may write all but the lock is told of the lock, and goes without it.
    let (_folder, rewrap) = login("rewrap", "hunter2");
    let rewrap = rewrap.each_ref().map(String::as_str);
    let run = [&rewrap, &RUN[..]].concat();
    says(&store.harmless("run", &run, 4), &[&words]);
    store
        .rewrap("run", &[&run[..], &["--no-lock"]].concat())
        .expect(0);
    store.rewrap("verify", &rewrap).expect(0);
}

#[test]
fn a_full_etcd_stops_a_run_and_once_helped_the_same_run_goes_on() {
    const OBJECTS: u64 = 100;
    // The old and the new values come to more than 4.1 MB, the old ones alone to half of it.
    let etcd = Etcd::start_with(&["--quota-backend-bytes=3600000"]);
    let store = Store::on(etcd, &[AesGcm("new"), AesCbc("old"), Identity]);
    let plaintexts = store.fill_large(OBJECTS, 20_000, AesCbc("old"), &mut Dice::new());

    // etcd learns of its own size only every 100 ms.
    let run = ["--yes", "--assume-converged", "--rate=50", "--output=json"];
    let stopped = store.rewrap("run", &run).expect(2);
    let steps = "compact, defragment, raise --quota-backend-bytes if need be, disarm the alarm, and run this again";
    says(
        &stopped,
        &["etcd's database is full (NOSPACE alarm)", steps],
    );
    assert_unsaid(&stopped, &[]);
    let written = stopped.json()["rewrapped"].as_u64().unwrap();
    assert!((1..OBJECTS).contains(&written), "{stopped}");
    let (now, names) = store.opened();
    assert!(now == plaintexts, "an object changed or was lost");
    assert_eq!(names["new"] as u64, written);
    let everything = store.etcd.everything();
    assert!(everything.leases.is_empty(), "the lock was given back");

    // It can be read, and takes nothing.
    store.harmless("status", &[], 0);
    store.harmless("verify", &[], 1);
    let plan = store.harmless("plan", &[], 0);
    assert!(plan.stdout.contains("NOSPACE"), "{plan}");
    says(&store.harmless("run", &run, 2), &[steps]);

    let mut left = OBJECTS - written;
    while left > 0 {
        store.etcd.compact(store.etcd.revision());
        store.etcd.defragment();
        store.etcd.disarm();
        // It may have to be helped again: how much room was gained is etcd's affair.
        let run = store.rewrap("run", &run);
        let written = run.json()["rewrapped"].as_u64().unwrap();
        assert!(written > 0, "{run}");
        left -= written;
        run.expect(if left > 0 { 2 } else { 0 });
    }
    store.rewrap("verify", &[]).expect(0);
    assert!(store.opened().0 == plaintexts);
}

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
