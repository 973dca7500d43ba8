//! What a run leaves behind in files, and taking it back.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::store::{SECRETS, Store, assert_unsaid};
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesCbc, AesGcm, Identity},
    etcd::gateway::Stored,
    eventually,
    rewrap::Finished,
    sealed::{seal, secret_json},
};

const RUN: [&str; 3] = ["--yes", "--assume-converged", "--output=json"];
const OBJECTS: usize = 200;

struct Scene {
    store: Store,
    plaintexts: BTreeMap<String, Vec<u8>>,
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
        let plaintexts = store.fill(OBJECTS, AesCbc("old"), &mut Dice::new());
        Self {
            store,
            plaintexts,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn flag(&self, name: &str) -> String {
        format!("--{name}={}", self.path(name))
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn lines(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(name)).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// What the audit log says was begun, and done.
    fn told(&self) -> [Vec<Value>; 2] {
        ["begun", "rewritten"].map(|result| {
            let mut lines = self.lines("audit-log");
            lines.retain(|line| line["result"] == result);
            lines
        })
    }

    fn values(&self) -> BTreeMap<String, (Vec<u8>, i64)> {
        let of = |stored: Stored| (stored.key, (stored.value, stored.lease));
        self.store.etcd.list(SECRETS).into_iter().map(of).collect()
    }

    fn undo(&self, more: &[&str], code: i32) -> Finished {
        let file = self.path("undo-file");
        let flags = [&[&*file, "--yes", "--output=json"], more].concat();
        let finished = self.store.rewrap("undo", &flags).expect(code);
        assert_unsaid(&finished, &[]);
        finished
    }
}

#[test]
fn an_undo_is_as_polite_as_a_run() {
    const FEW: u32 = 40;
    const RATE: u32 = 20;
    let scene = Scene::new();
    let (undo_file, limit) = (scene.flag("undo-file"), format!("--limit={FEW}"));
    scene
        .store
        .rewrap("run", &[&RUN[..], &[&undo_file, &limit]].concat())
        .expect(0);
    let start = Instant::now();
    let report = scene.undo(&[&format!("--rate={RATE}")], 0).json();
    assert_eq!(report["restored"], FEW);
    // The first leaves at once.
    assert!(start.elapsed() >= Duration::from_secs(1) * (FEW - 1) / RATE);
}

#[test]
fn an_undo_that_is_interrupted_ends_at_once_and_goes_on_later() {
    let scene = Scene::new();
    let before = scene.values();
    let undo_file = scene.flag("undo-file");
    scene
        .store
        .rewrap("run", &[&RUN[..], &[&undo_file]].concat())
        .expect(0);
    let file = scene.path("undo-file");
    let flags = [&*file, "--yes", "--output=json", "--rate=1"];
    let undo = scene.store.start_rewrap("undo", &flags);
    let begin = scene.store.etcd.revision();
    eventually("something is restored", || {
        (scene.store.etcd.revision() > begin + 2).then_some(())
    });
    // Sixteen wait for their turns, the last of them for that many seconds.
    kill_process(Pid::from_child(&undo.child), Signal::INT).unwrap();
    let report = undo.finish().expect(130).json();
    let restored = report["restored"].as_u64().unwrap();
    assert!((1..12).contains(&restored), "{report:#}");
    let report = scene.undo(&[], 0).json();
    assert_eq!(report["restored"], OBJECTS as u64 - restored, "{report:#}");
    assert!(scene.values() == before);
}

#[test]
fn every_rewrite_is_in_the_audit_log_and_no_value() {
    let scene = Scene::new();
    let log = scene.flag("audit-log");
    scene
        .store
        .rewrap("run", &[&RUN[..], &[&log, "--limit=50"]].concat())
        .expect(0);
    scene
        .store
        .rewrap("run", &[&RUN[..], &[&log]].concat())
        .expect(0);

    let [begun, lines] = scene.told();
    assert_eq!((begun.len(), lines.len()), (OBJECTS, OBJECTS));
    let stored = scene.store.etcd.list(SECRETS).into_iter();
    let revisions: BTreeMap<_, _> = stored.map(|stored| (stored.key, stored.revision)).collect();
    for line in &lines {
        let key = line["key"].as_str().unwrap();
        assert_eq!(line["revision"], revisions[key]);
        assert!(line["revisionBefore"].as_i64().unwrap() < revisions[key]);
        assert_eq!(
            (&line["from"]["provider"], &line["from"]["key"]),
            (&"aescbc".into(), &"old".into())
        );
        assert_eq!(
            (&line["to"]["provider"], &line["to"]["key"]),
            (&"aesgcm".into(), &"new".into())
        );
        assert_eq!(line["result"], "rewritten");
        assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
    }
    let mode = fs::metadata(scene.path("audit-log"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(scene.path("audit-log")).unwrap();
    let said = Finished {
        code: None,
        stdout: text,
        stderr: String::new(),
    };
    assert_unsaid(&said, &[]);
}

#[test]
fn nothing_is_written_that_cannot_be_told_or_undone() {
    let scene = Scene::new();
    for flag in ["--audit-log=/dev/full", "--undo-file=/dev/full"] {
        let stopped = scene.store.rewrap("run", &[&RUN[..], &[flag]].concat());
        let stopped = stopped.expect(2);
        assert!(stopped.stderr.contains("/dev/full"), "{stopped}");
        let (plaintexts, names) = scene.store.opened();
        assert!(plaintexts == scene.plaintexts);
        assert_eq!(names.get("new"), None, "{flag}");
    }
}

#[test]
fn half_a_line_of_a_run_that_was_killed_spoils_no_other() {
    let scene = Scene::new();
    fs::write(scene.path("audit-log"), r#"{"time":"2026-"#).unwrap();
    let log = scene.flag("audit-log");
    scene
        .store
        .rewrap("run", &[&RUN[..], &[&log]].concat())
        .expect(0);
    let text = fs::read_to_string(scene.path("audit-log")).unwrap();
    let (torn, rest) = text.split_once('\n').unwrap();
    assert_eq!(torn, r#"{"time":"2026-"#);
    let whole = |line: &str| serde_json::from_str::<Value>(line).is_ok();
    assert!(rest.lines().all(whole));
    assert_eq!(rest.lines().count(), 2 * OBJECTS);
}

#[test]
fn what_was_rewritten_twice_goes_back_twice() {
    let scene = Scene::new();
    let before = scene.values();
    for target in [AesGcm("new"), AesGcm("newer")] {
        scene
            .store
            .configure(&[target, AesGcm("newer"), AesGcm("new"), AesCbc("old")]);
        // The second run adds to what the first one kept.
        scene
            .store
            .rewrap("run", &[&RUN[..], &[&scene.flag("undo-file")]].concat())
            .expect(0);
    }
    let report = scene.undo(&[], 0).json();
    let counts = (&report["restored"], &report["leftAlone"]);
    assert_eq!(counts, (&(2 * OBJECTS).into(), &0.into()), "{report:#}");
    assert!(scene.values() == before);
}

#[test]
fn what_a_run_replaced_is_restored_where_nobody_wrote_since() {
    let scene = Scene::new();
    let before = scene.values();
    let flags = [scene.flag("undo-file"), scene.flag("audit-log")];
    let run = [&RUN[..], &flags.each_ref().map(String::as_str)].concat();
    scene.store.rewrap("run", &run).expect(0);
    let mode = fs::metadata(scene.path("undo-file"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    // Others write: one object is replaced, one deleted.
    let key = |number: usize| format!("{SECRETS}default/secret-{number:05}");
    let newer = secret_json("default", "secret-00003", "newer");
    let value = seal(AesGcm("new"), &key(3), &newer, &mut Dice::from(1));
    scene.store.etcd.put(&key(3), &value);
    scene.store.etcd.delete(&key(4));

    let report = scene.undo(&[&scene.flag("audit-log")], 0).json();
    assert_eq!(report["restored"], OBJECTS - 2, "{report:#}");
    assert_eq!(
        (&report["leftAlone"], &report["vanished"]),
        (&1.into(), &1.into())
    );
    let mut expected = before;
    expected.insert(key(3), (value, 0));
    expected.remove(&key(4));
    assert!(scene.values() == expected);
    let restored = scene.lines("audit-log");
    let restored = restored.iter().filter(|line| line["result"] == "restored");
    assert_eq!(restored.count(), OBJECTS - 2);

    // A second time there is nothing left to restore.
    let report = scene.undo(&[], 0).json();
    assert_eq!(
        (&report["restored"], &report["leftAlone"]),
        (&0.into(), &(OBJECTS - 1).into())
    );
}

#[test]
fn nothing_is_restored_that_would_not_open() {
    let scene = Scene::new();
    scene
        .store
        .rewrap("run", &[&RUN[..], &[&scene.flag("undo-file")]].concat())
        .expect(0);
    let after = scene.values();
    // The old key is gone from the configuration.
    scene.store.configure(&[AesGcm("new")]);
    let report = scene.undo(&[], 6).json();
    assert_eq!(report["failures"].as_array().unwrap().len(), OBJECTS);
    assert!(scene.values() == after);
}

#[test]
fn an_undo_file_of_another_cluster_or_none_is_refused() {
    let scene = Scene::new();
    scene
        .store
        .rewrap("run", &[&RUN[..], &[&scene.flag("undo-file")]].concat())
        .expect(0);
    let file = scene.path("undo-file");
    let other = Scene::new();
    let namespace = br#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-system","uid":"other"}}"#;
    other
        .store
        .etcd
        .put("/registry/namespaces/kube-system", namespace);
    let refused = other.store.harmless("undo", &[&file, "--yes"], 3);
    assert!(
        refused.stderr.contains("is of the cluster cluster"),
        "{refused}"
    );
    let none = other.path("none");
    fs::write(Path::new(&none), "no JSON\n").unwrap();
    let refused = other.store.harmless("undo", &[&none, "--yes"], 3);
    assert!(refused.stderr.contains("(line 1)"), "{refused}");
    other
        .store
        .harmless("undo", &["/does/not/exist", "--yes"], 3);
}

#[test]
fn plain_text_is_never_kept() {
    let store = Store::start(&[AesGcm("new"), Identity]);
    store.fill(20, Identity, &mut Dice::new());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("undo");
    let flag = format!("--undo-file={}", file.display());
    let run = store
        .rewrap("run", &[&RUN[..], &[&flag]].concat())
        .expect(0);
    assert!(
        run.stderr
            .contains("20 objects in plain text cannot be undone"),
        "{run}"
    );
    let kept = fs::read_to_string(&file).unwrap();
    assert_eq!(kept.lines().count(), 1, "{kept}");
}

#[test]
fn many_in_one_transaction_leave_as_much_behind() {
    let scene = Scene::new();
    let before = scene.values();
    let flags = [scene.flag("undo-file"), scene.flag("audit-log")];
    let run = [
        "--yes",
        "--assume-converged",
        "--apiservers-stopped",
        "--output=json",
    ];
    let run = [&run[..], &flags.each_ref().map(String::as_str)].concat();
    scene.store.rewrap("run", &run).expect(0);
    assert_eq!(scene.told().map(|lines| lines.len()), [OBJECTS; 2]);
    let report = scene.undo(&[], 0).json();
    assert_eq!(report["restored"], OBJECTS, "{report:#}");
    assert!(scene.values() == before);
}
