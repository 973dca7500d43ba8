//! The file with the figures of a run.

use std::{collections::BTreeMap, fs, path::Path, time::SystemTime};

use rustix::process::{Pid, Signal, kill_process};

use super::store::Store;
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesCbc, AesGcm, Identity},
    eventually,
};

const OBJECTS: usize = 80;

fn stale() -> Store {
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    store.fill(OBJECTS, AesCbc("old"), &mut Dice::new());
    store
}

/// The samples by name and labels, read as strictly as the format allows: help, type, then samples of
/// that name.
#[track_caller]
fn samples(file: &Path) -> BTreeMap<String, f64> {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.ends_with('\n'), "cut short: {text}");
    let (mut samples, mut known, mut name, mut kind) =
        (BTreeMap::new(), Vec::new(), String::new(), String::new());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (told, help) = help.split_once(' ').unwrap();
            assert!(!help.is_empty() && told.starts_with("ringfence_rewrap_"));
            name = told.to_owned();
            assert!(!known.contains(&name), "{name} twice");
            known.push(name.clone());
        } else if let Some(told) = line.strip_prefix("# TYPE ") {
            kind = told.strip_prefix(&name).unwrap().trim_start().to_owned();
            assert!(["counter", "gauge"].contains(&&*kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let labels = sample.strip_prefix(&name).unwrap();
            assert!(labels.is_empty() || labels.starts_with('{') && labels.ends_with("\"}"));
            assert!(!kind.is_empty());
            let value: f64 = value.parse().unwrap();
            assert!(value.is_finite() && value >= 0.0, "{line}");
            let before = samples.insert(sample.replacen("ringfence_rewrap_", "", 1), value);
            assert_eq!(before, None, "{line}");
        }
    }
    samples
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs_f64()
}

#[test]
fn a_run_tells_how_it_goes_and_how_it_ended() {
    let store = stale();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rewrap.prom");
    let metrics = format!("--metrics-file={}", file.display());
    let run = ["--yes", "--assume-converged", "--output=json", &metrics];
    let began = now();

    let running = store.start_rewrap("run", &[&run[..], &["--rate=10"]].concat());
    let seen = eventually("the file tells of objects", || {
        let seen = file.exists().then(|| samples(&file))?;
        (seen["objects_total{result=\"rewrapped\"}"] > 0.0).then_some(seen)
    });
    assert_eq!(seen["running"], 1.0, "{seen:?}");
    assert!(!seen.contains_key("success"), "{seen:?}");
    assert!(seen["objects_per_second"] > 0.0, "{seen:?}");
    assert!(seen["bytes_per_second"] > 0.0, "{seen:?}");
    assert_eq!(seen["db_quota_bytes{store=\"default\"}"], 2_147_483_648.0);
    assert!(seen["db_in_use_bytes{store=\"default\"}"] > 0.0);
    let done = seen["objects_total{result=\"rewrapped\"}"];
    assert_eq!(seen["left_objects"], OBJECTS as f64 - done, "{seen:?}");

    kill_process(Pid::from_child(&running.child), Signal::INT).unwrap();
    let report = running.finish().expect(130).json();
    let seen = samples(&file);
    assert_eq!(seen["running"], 0.0, "{seen:?}");
    assert_eq!(seen["success"], 0.0, "{seen:?}");
    assert_eq!(seen["exit_code"], 130.0, "{seen:?}");
    let rewrapped = |seen: &BTreeMap<String, f64>| seen["objects_total{result=\"rewrapped\"}"];
    assert_eq!(Some(rewrapped(&seen)), report["rewrapped"].as_f64());
    let left = OBJECTS as f64 - rewrapped(&seen);
    assert_eq!(seen["left_objects"], left, "{seen:?}");

    let plan = store.rewrap("plan", &["--output=json"]).expect(0).json();
    assert_eq!(plan["objects"].as_f64(), Some(left));
    let report = store.rewrap("run", &run).expect(0).json();
    let seen = samples(&file);
    assert_eq!(rewrapped(&seen), left);
    assert_eq!(seen["bytes_total"], plan["bytes"].as_f64().unwrap());
    assert_eq!(report["bytes"], plan["bytes"]);
    for (name, value) in [
        ("running", 0.0),
        ("success", 1.0),
        ("exit_code", 0.0),
        ("left_objects", 0.0),
        ("in_flight", 0.0),
        ("failed_objects", 0.0),
    ] {
        assert_eq!(seen[name], value, "{name} in {seen:?}");
    }
    let (start, finish) = (seen["start_time_seconds"], seen["finish_time_seconds"]);
    assert!(
        began <= start && start <= finish && finish <= now(),
        "{seen:?}"
    );
    // Nothing is left beside it.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_run_that_is_refused_is_no_success() {
    let store = stale();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rewrap.prom");
    let metrics = format!("--metrics-file={}", file.display());
    store.harmless("run", &["--yes", &metrics], 5);
    let seen = samples(&file);
    assert_eq!((seen["success"], seen["exit_code"]), (0.0, 5.0), "{seen:?}");
}

#[test]
fn where_the_file_cannot_be_written_nothing_begins() {
    let store = stale();
    let flags = [
        "--yes",
        "--assume-converged",
        "--metrics-file=/nowhere/rewrap.prom",
    ];
    let told = store.harmless("run", &flags, 2);
    let words = "cannot write the metrics to /nowhere/rewrap.prom; nothing was written to etcd";
    assert!(told.stderr.contains(words), "{told}");
}
