//! An etcd that is away, does not let us in, is full or forgets: what is said, how it ends, and that
//! nothing is lost.

mod compaction;
mod quota;

use std::fs;

use tempfile::TempDir;

use super::store::{SECRETS, Store, assert_unsaid};
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesCbc, AesGcm, Identity},
    etcd::{
        Certificates, Etcd,
        liar::{Liar, Lie},
        unused_endpoint,
        wire::RangeResponse,
    },
    rewrap::Finished,
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
pub(crate) fn says(finished: &Finished, words: &[&str]) {
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
    let server = [
        file("cert", "server-only.pem"),
        file("key", "server-only.key"),
    ];
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
    // It is told of everything at once, before the first write.
    let run = [&reader, &RUN[..]].concat();
    let told = store.harmless("run", &run, 5);
    let shut =
        |keys: &str| format!("the user \"reader\" to write {keys}; grant its role that range");
    let flags = ["nothing was written", "--ignore-permissions", "--no-lock"];
    says(&told, &flags);
    says(
        &told,
        &[&shut("/ringfence.dev/rewrap.lock"), &shut(SECRETS)],
    );
    let run = [&run[..], &["--ignore-permissions"]].concat();
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
    let told = store.harmless("run", &run, 5);
    says(&told, &["\"rewrap\" to write /ringfence.dev/rewrap.lock"]);
    assert!(!told.stderr.contains(SECRETS), "{told}");
    store
        .rewrap("run", &[&run[..], &["--no-lock"]].concat())
        .expect(0);
    store.rewrap("verify", &rewrap).expect(0);
}

#[test]
fn keys_that_reading_passes_over_are_never_a_clean_store() {
    let store = store(Etcd::start());
    store.rewrap("run", &RUN).expect(0);
    store.rewrap("verify", &[]).expect(0);

    // A Secret is missing in its page; then all of them, where the resources are looked for.
    let one = Lie::Reads(|answer| {
        answer.kvs.retain(|kv| !kv.key.ends_with(b"secret-00003"));
    });
    let all = Lie::Reads(|answer| {
        let first = answer.kvs.first();
        if answer.more && first.is_some_and(|kv| kv.key.starts_with(SECRETS.as_bytes())) {
            *answer = RangeResponse {
                header: answer.header.take(),
                ..RangeResponse::default()
            };
        }
    });
    for (lie, read, counted) in [(one, 4, 5), (all, 1, 6)] {
        let liar = Liar::start(&store.etcd, lie);
        let endpoint = format!("--endpoints={}", liar.endpoint());
        let told = store.harmless("verify", &[&endpoint], 2);
        assert_eq!(told.stdout, "");
        let words = format!("gave {read} keys, but the store counts {counted}");
        says(&told, &[&words, "do not trust what was read"]);
    }
}
