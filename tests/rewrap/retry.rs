//! Only what failed, again.

use std::{collections::BTreeMap, fs, process::Command};

use super::store::{SECRETS, Store};
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesCbc, AesGcm, Identity},
    rewrap::Running,
    sealed::seal,
};

const RUN: [&str; 3] = ["--yes", "--assume-converged", "--output=json"];

#[test]
fn the_printed_command_tries_only_what_failed() {
    let mut dice = Dice::new();
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    let plaintexts = store.fill(30, AesCbc("old"), &mut dice);
    let key = |number: u32| format!("{SECRETS}default/secret-{number:05}");
    for number in [3, 7, 8] {
        let value = seal(
            AesGcm("gone"),
            &key(number),
            &plaintexts[&key(number)],
            &mut dice,
        );
        store.etcd.put(&key(number), &value);
    }
    let folder = tempfile::tempdir().unwrap();
    let undo = folder.path().join("it's undone");
    let flag = format!("--undo-file={}", undo.display());
    let failed = store
        .rewrap("run", &[&RUN[..], &[&flag]].concat())
        .expect(6)
        .json();
    assert_eq!(failed["failed"], 3, "{failed:#}");
    let retry = failed["retry"].as_str().unwrap();

    // The key is back; meanwhile others have become stale, and one of the failed is gone.
    store.configure(&[AesGcm("new"), AesCbc("old"), AesGcm("gone"), Identity]);
    for number in [1, 2] {
        let value = seal(
            AesCbc("old"),
            &key(number),
            &plaintexts[&key(number)],
            &mut dice,
        );
        store.etcd.put(&key(number), &value);
    }
    store.etcd.delete(&key(8));
    let begin = store.etcd.revision();
    let mut shell = Command::new("sh");
    let again = Running::start(shell.args(["-c", retry])).finish().expect(0);
    let report = again.json();
    assert_eq!(report["rewrapped"], 2, "{again}");
    assert_eq!(report["failed"], 0, "{again}");
    // The lock is two writes.
    assert_eq!(store.etcd.revision(), begin + 2 + 2, "{again}");
    let (now, names) = store.opened();
    let left = plaintexts.into_iter().filter(|(path, _)| *path != key(8));
    assert!(now == left.collect());
    assert_eq!(
        names,
        BTreeMap::from([("new".to_owned(), 27), ("old".to_owned(), 2)])
    );
    // What was replaced by both.
    assert_eq!(
        fs::read_to_string(undo).unwrap().lines().count(),
        1 + 27 + 2
    );
    let (_, keys) = retry.rsplit_once("--only-keys=").unwrap();
    fs::remove_file(keys).unwrap();
}

#[test]
fn a_file_that_names_no_keys_is_refused() {
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    store.fill(3, AesCbc("old"), &mut Dice::new());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    let flag = format!("--only-keys={}", file.display());
    let flags = [&RUN[..], &[&flag]].concat();
    for (content, why) in [
        (None, "cannot read the keys"),
        (Some(""), "names no key"),
        (Some("{\"key\":\"/a\"}\n/b\n"), "in line 2"),
    ] {
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
        }
        let refused = store.harmless("run", &flags, 3);
        assert!(refused.stderr.contains(why), "{refused}");
    }
}
