//! What a whole store costs in memory: no more than a part of it.

use std::{fs, path::Path, time::Duration};

use futures_util::{StreamExt as _, stream};
use rewrap_cli::store::{self, Put, StoreConfig};

use super::store::{SECRETS, Store};
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesCbc, AesGcm, Identity},
    rewrap::{Finished, Running, command},
    sealed::{seal, secret_json},
    within,
};

const MIB: u64 = 1 << 20;

/// Secrets of a size, under an AES-GCM key.
async fn fill(store: &Store, key: &str, names: &str, count: usize, size: usize) {
    let config = StoreConfig::new(vec![store.etcd.endpoint()]);
    let etcd = store::Store::connect(config).await.unwrap();
    let mut dice = Dice::new();
    let data = "x".repeat(size);
    let values = (0..count).map(|number| {
        let name = format!("{names}-{number:06}");
        let path = format!("{SECRETS}default/{name}");
        let value = seal(
            AesGcm(key),
            &path,
            &secret_json("default", &name, &data),
            &mut dice,
        );
        (path, value)
    });
    stream::iter(values)
        .map(async |(path, value)| {
            let put = etcd.compare_and_put(path.as_bytes(), 0, value.into(), 0);
            assert!(matches!(put.await.unwrap(), Put::Done { .. }));
        })
        .buffer_unordered(32)
        .collect::<()>()
        .await;
}

/// `rewrap status`, and the most memory it had, in bytes.
fn status(store: &Store, temporary: &Path) -> (Finished, u64) {
    let mut command = command(["status", "--output=json"]);
    command
        .arg(format!("--endpoints={}", store.etcd.endpoint()))
        .arg("--encryption-provider-config")
        .arg(store.encryption())
        .env("TMPDIR", temporary);
    let mut running = Running::start(&mut command);
    let process = format!("/proc/{}/status", running.child.id());
    let mut most = 0;
    within(Duration::from_secs(180), "rewrap status ends", || {
        // The peak only grows, and is gone with the process.
        let status = fs::read_to_string(&process).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
        most = most.max(peak.map_or(0, |peak| peak.trim().parse().unwrap()));
        running.child.try_wait().unwrap()
    });
    (running.finish().expect(0), most << 10)
}

#[tokio::test]
async fn a_whole_store_never_is_in_memory() {
    const MANY: usize = 50_000;
    const LARGE: usize = 200;
    let store = Store::start(&[AesGcm("old"), AesCbc("new"), Identity]);
    let temporary = tempfile::tempdir().unwrap();
    fill(&store, "old", "small", MANY, 1500).await;
    let (finished, most) = status(&store, temporary.path());
    let inventory = finished.json();
    assert_eq!(inventory["resources"][0]["current"], MANY, "{finished}");
    assert!(most > MIB && most <= 64 * MIB, "{} MiB", most / MIB);

    // Large ones before those and behind, and none that opens: more than the list holds.
    fill(&store, "old", "large", LARGE / 2, MIB as usize).await;
    fill(&store, "old", "zebra", LARGE / 2, MIB as usize).await;
    store.configure(&[AesGcm("new"), Identity]);
    let (finished, most) = status(&store, temporary.path());
    let inventory = finished.json();
    let all = MANY + LARGE;
    assert_eq!(
        inventory["resources"][0]["unreadable"], all,
        "{}",
        finished.stderr
    );
    assert!(most > MIB && most <= 128 * MIB, "{} MiB", most / MIB);

    let listed = inventory["unreadable"].as_array().unwrap();
    let rest = &inventory["unreadableRest"];
    let file = rest["file"].as_str().unwrap();
    assert!(finished.stderr.contains(file), "{}", finished.stderr);
    assert!(Path::new(file).starts_with(temporary.path()));
    let text = fs::read_to_string(file).unwrap();
    assert_eq!(rest["objects"], text.lines().count());
    assert_eq!(listed.len() + text.lines().count(), all);
    let last = text.lines().last().unwrap();
    assert!(last.contains("/registry/secrets/default/zebra-"), "{last}");
}
