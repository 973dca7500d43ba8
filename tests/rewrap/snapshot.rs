//! The copy of etcd from before the first write.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use serde_json::Value;

use super::store::{SECRETS, Store};
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesCbc, AesGcm, Identity},
    etcd::Etcd,
    rewrap::Finished,
    server,
};

const OBJECTS: usize = 40;

fn run(store: &Store, file: &Path) -> Finished {
    let before = format!("--snapshot-before={}", file.display());
    store.rewrap(
        "run",
        &["--yes", "--assume-converged", "--output=json", &before],
    )
}

/// What etcd's own tool says.
fn etcdutl(arguments: &[&str]) -> String {
    let done = Command::new(server::binary("etcdutl"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn a_snapshot_holds_what_was_there_before_the_first_write() {
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    store.fill(OBJECTS, AesCbc("old"), &mut Dice::new());
    let before = store.etcd.list(SECRETS);
    let revision = store.etcd.revision();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("before.db");
    // Of a run that was killed.
    fs::write(folder.path().join("before.db.partial"), "half").unwrap();

    let done = run(&store, &file).expect(0);
    let report = done.json();
    assert_eq!(report["rewrapped"], OBJECTS, "{done}");
    let told = &report["snapshots"][0];
    assert_eq!(told["revision"], revision, "{done}");
    assert!(
        done.stderr.contains(&format!("up to revision {revision}")),
        "{done}"
    );
    let bytes = fs::read(&file).unwrap();
    assert_eq!(told["bytes"], bytes.len(), "{done}");
    let hash = &bytes[bytes.len() - 32..];
    assert_eq!(told["sha256"], hex::encode(hash), "{done}");
    let mode = file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let names = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 1, "something is left beside it");

    let path = file.to_str().unwrap();
    let status = etcdutl(&["snapshot", "status", path, "--write-out=json"]);
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["revision"], revision, "{status}");

    // It is restored, which checks its hash, and what is served from it is what there was.
    let data = folder.path().join("restored");
    let data = format!("--data-dir={}", data.display());
    etcdutl(&["snapshot", "restore", path, &data]);
    let restored = Etcd::start_with(&[data]);
    assert!(restored.list(SECRETS) == before);
    assert!(store.etcd.list(SECRETS) != before);
}

#[test]
fn a_file_that_is_there_is_never_written_over() {
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    store.fill(5, AesCbc("old"), &mut Dice::new());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("before.db");
    fs::write(&file, "precious").unwrap();

    let before = store.etcd.everything();
    let refused = run(&store, &file).expect(5);
    assert!(
        refused
            .stderr
            .contains("before.db exists; give --snapshot-before another name"),
        "{refused}"
    );
    let nowhere = folder.path().join("missing").join("before.db");
    let refused = run(&store, &nowhere).expect(2);
    assert!(
        refused.stderr.contains("cannot write the snapshot"),
        "{refused}"
    );
    assert!(store.etcd.everything() == before);
    assert_eq!(fs::read(&file).unwrap(), b"precious");
}
