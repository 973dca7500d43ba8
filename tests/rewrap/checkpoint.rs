//! A run that goes on where another ended.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::store::{SECRETS, Store, assert_unsaid};
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesCbc, AesGcm, Identity},
    eventually,
    rewrap::Running,
    sealed::seal,
};

const RUN: [&str; 4] = ["--yes", "--assume-converged", "--no-lock", "--output=json"];

struct Scene {
    store: Store,
    plaintexts: BTreeMap<String, Vec<u8>>,
    folder: TempDir,
}

impl Scene {
    /// Secrets that are read in several pages.
    fn new(secrets: u64) -> Self {
        let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
        let size = 20_000;
        let plaintexts = store.fill_large(secrets, size, AesCbc("old"), &mut Dice::new());
        Self {
            store,
            plaintexts,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn flag(&self) -> String {
        format!("--checkpoint={}", self.path())
    }

    fn path(&self) -> String {
        self.folder.path().join("checkpoint").display().to_string()
    }

    fn checkpoint(&self) -> Option<Value> {
        let text = fs::read_to_string(self.path()).ok()?;
        Some(serde_json::from_str(&text).unwrap())
    }

    fn cut(&self) -> Option<String> {
        let cut = self.checkpoint()?["standing"]["cut"]["key"].clone();
        cut.as_str().map(str::to_owned)
    }

    fn start(&self, more: &[&str]) -> Running {
        let flag = self.flag();
        let flags = [&RUN[..], &[&flag], more].concat();
        self.store.start_rewrap("run", &flags)
    }

    /// Writes since a revision.
    fn writes_since(&self, revision: i64) -> i64 {
        self.store.etcd.revision() - revision
    }

    /// Starts a run and interrupts it when it has written so many.
    fn interrupted(&self, writes: i64, more: &[&str]) -> Value {
        let begin = self.store.etcd.revision();
        let run = self.start(&[&["--rate=100"], more].concat());
        eventually("the run writes", || {
            (self.writes_since(begin) >= writes).then_some(())
        });
        kill_process(Pid::from_child(&run.child), Signal::INT).unwrap();
        let finished = run.finish().expect(130);
        assert_unsaid(&finished, &[]);
        finished.json()
    }

    fn assert_whole(&self) {
        let (now, names) = self.store.opened();
        assert!(
            now == self.plaintexts,
            "an object changed, appeared or was lost"
        );
        assert_eq!(names, BTreeMap::from([("new".to_owned(), now.len())]));
    }
}

#[test]
fn an_interrupted_run_goes_on_from_its_cut_and_with_its_counters() {
    let scene = Scene::new(300);
    let first = scene.interrupted(200, &[]);
    let done = first["rewrapped"].as_u64().unwrap();
    let checkpoint = scene.checkpoint().unwrap();
    let cut = &checkpoint["standing"]["cut"];
    assert_eq!(cut["area"], SECRETS, "{checkpoint:#}");
    // Not behind what is not done, and not much before it.
    let cut = cut["key"].as_str().unwrap();
    let stored = scene.store.etcd.list(SECRETS);
    let stale = |value: &[u8]| value.starts_with(b"k8s:enc:aescbc:");
    let behind = stored.iter().filter(|stored| *stored.key <= *cut);
    assert!(behind.clone().count() >= 50, "{cut}");
    assert!(behind.clone().all(|stored| !stale(&stored.value)), "{cut}");
    let mode = fs::metadata(scene.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let begin = scene.store.etcd.revision();
    let second = scene.start(&[]).finish().expect(0);
    assert!(
        second.stderr.contains(&format!("going on behind {cut}")),
        "{second}"
    );
    let report = second.json();
    assert_eq!(
        [
            &report["total"],
            &report["alreadyCurrent"],
            &report["rewrapped"]
        ],
        [&301.into(), &first["alreadyCurrent"], &300.into()],
        "{report:#}"
    );
    assert_eq!(
        scene.writes_since(begin),
        300 - i64::try_from(done).unwrap()
    );
    assert!(report["elapsedSeconds"].as_f64() > first["elapsedSeconds"].as_f64());
    assert_eq!(scene.checkpoint(), None, "all is done");
    scene.assert_whole();
}

#[test]
fn what_does_not_open_before_the_cut_is_not_hidden() {
    let scene = Scene::new(300);
    scene.interrupted(200, &[]);
    let key = |number: u64| format!("{SECRETS}default/large-{number:05}");
    let cut = scene.cut().unwrap();
    assert!(cut > key(4), "{cut}");
    let dice = &mut Dice::from(1);
    let put = |number: u64, value: &[u8]| scene.store.etcd.put(&key(number), value);
    let unreadable = seal(AesGcm("gone"), &key(4), &scene.plaintexts[&key(4)], dice);
    put(4, &unreadable);
    let report = scene.start(&[]).finish().expect(6).json();
    assert_eq!(report["failures"][0]["key"], key(4), "{report:#}");
    assert_eq!(scene.store.etcd.get(&key(4)).unwrap().0, unreadable);
    let current = seal(AesGcm("new"), &key(4), &scene.plaintexts[&key(4)], dice);
    put(4, &current);
    scene.assert_whole();
}

#[test]
fn what_is_to_be_written_once_is_written_once_over_several_runs() {
    let scene = Scene::new(300);
    scene
        .store
        .rewrap("run", &[&RUN[..], &["--max"]].concat())
        .expect(0);
    let begin = scene.store.etcd.revision();
    scene.interrupted(150, &["--also-current"]);
    let limited = scene
        .start(&["--also-current", "--limit=50"])
        .finish()
        .expect(0);
    assert!(scene.checkpoint().is_some(), "{limited}");
    let report = scene.start(&["--also-current"]).finish().expect(0).json();
    assert_eq!(report["rewrapped"], 300, "{report:#}");
    assert_eq!(scene.writes_since(begin), 300);
    scene.assert_whole();
}

#[test]
fn runs_that_are_killed_go_on_until_all_is_done() {
    let mut dice = Dice::new();
    let scene = Scene::new(400);
    let mut resumed = 0;
    for kills in 0.. {
        let mut run = scene.start(&["--rate=60"]);
        let begin = scene.store.etcd.revision();
        let writes = 20 + dice.below(60) as i64;
        // Every other time when the cut has just been moved.
        let at_checkpoint = kills % 2 == 0;
        let known = scene.cut();
        let ended = eventually("rewrap writes or ends", || {
            let ended = run.child.try_wait().unwrap();
            let kill = match at_checkpoint {
                true => scene.cut().is_some_and(|cut| Some(cut) != known),
                false => scene.writes_since(begin) >= writes,
            };
            (ended.is_some() || kill).then_some(ended)
        });
        run.child.kill().unwrap();
        let finished = run.finish();
        resumed += usize::from(finished.stderr.contains("going on behind"));
        if ended.is_some() {
            assert_eq!(finished.code, Some(0), "{finished}");
            break;
        }
        assert!(scene.store.opened().0 == scene.plaintexts);
        // Whole, unless the run was about to end and had removed it.
        scene.checkpoint();
    }
    assert!(resumed > 0, "no run began at a cut");
    assert_eq!(scene.checkpoint(), None);
    let left: Vec<_> = fs::read_dir(scene.folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    scene.assert_whole();
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let scene = Scene::new(20);
    let limited = scene.start(&["--limit=10"]).finish().expect(0);
    assert!(scene.checkpoint().is_some(), "{limited}");
    let flag = scene.flag();
    let refused = |more: &[&str], code, why: &str| {
        let flags = [&RUN[..], &[&flag], more].concat();
        let refused = scene.store.harmless("run", &flags, code);
        assert!(refused.stderr.contains(why), "{refused}");
    };
    refused(
        &["--resource=secrets"],
        3,
        "another scope: everything, now --resource=secrets",
    );
    refused(&["--also-current"], 3, "another scope");
    scene
        .store
        .configure(&[AesGcm("newer"), AesGcm("new"), AesCbc("old"), Identity]);
    refused(&[], 3, "another EncryptionConfiguration");
    scene
        .store
        .configure(&[AesGcm("new"), AesCbc("old"), Identity]);
    let namespace = "/registry/namespaces/kube-system";
    let before = scene.store.etcd.get(namespace).unwrap().0;
    let other = br#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-system","uid":"other"}}"#;
    scene.store.etcd.put(namespace, other);
    refused(&[], 3, "another cluster: cluster, now other");
    scene.store.etcd.put(namespace, &before);

    let whole = fs::read_to_string(scene.path()).unwrap();
    for damaged in [
        "",
        "{}",
        &whole[..whole.len() / 2],
        &whole.replace("v1alpha1", "v9"),
    ] {
        fs::write(scene.path(), damaged).unwrap();
        refused(&[], 3, "is no checkpoint");
    }
    fs::remove_file(scene.path()).unwrap();
    fs::create_dir(scene.path()).unwrap();
    refused(&[], 3, "cannot read the checkpoint");
    let nowhere = format!("{}/nowhere/checkpoint", scene.path());
    let flags = [&RUN[..], &["--checkpoint", &nowhere]].concat();
    let unwritable = scene.store.harmless("run", &flags, 2);
    assert!(
        unwritable.stderr.contains("cannot write the checkpoint"),
        "{unwritable}"
    );
}
