//! An apiserver that is behind must not lose sight of its objects.

use std::{collections::BTreeMap, fs};

use super::{churn::secret, cluster::Cluster, kinds::config_map, ledger::Ledger};
use crate::support::{
    apiserver::Apiserver,
    dice::Dice,
    encryption::{
        self,
        Provider::{AesCbc, AesGcm, Identity},
    },
};

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn an_apiserver_that_lacks_the_new_key_stops_the_run() {
    let mut cluster = Cluster::start();
    cluster.write_encryption(&["secrets"], &[AesCbc("old")]);
    cluster.restart();
    let mut dice = Dice::new();
    let mut secrets = Ledger::new("/api/v1/namespaces/default/secrets");
    for number in 0..20 {
        let object = secret(&format!("secret-{number}"), &mut dice);
        secrets.create(&cluster.kube(), &object).unwrap();
    }

    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old.yaml");
    encryption::write(&old, &["secrets"], &[AesCbc("old")]);
    let mut behind = Apiserver::start(&cluster.etcd.endpoint(), Some(&old), &[]);
    cluster.write_encryption(&["secrets"], &[AesGcm("new"), AesCbc("old")]);
    cluster.wait_for_reload();

    let stored = values(&cluster, "/registry/secrets/");
    let refused = cluster.rewrap_run(&[&behind]).expect(5);
    assert!(refused.stderr.contains(&behind.url()), "{refused}");
    assert!(
        values(&cluster, "/registry/secrets/") == stored,
        "the old value is not back"
    );
    secrets.read_back(&cluster.kube());
    secrets.read_back(&behind.client());

    // Nor do a few that are named.
    let named = folder.path().join("named");
    let keys: Vec<_> = stored.keys().skip(7).take(3).collect();
    let lines = keys.iter().map(|key| format!("{{\"key\": \"{key}\"}}\n"));
    fs::write(&named, lines.collect::<String>()).unwrap();
    let only = format!("--only-keys={}", named.display());
    let refused = cluster.rewrap_run_with(&[&behind], &[&only]).expect(5);
    assert!(refused.stderr.contains(&behind.url()), "{refused}");
    assert!(
        values(&cluster, "/registry/secrets/") == stored,
        "the old value of a named one is not back"
    );

    behind.restart(Some(&cluster.encryption()));
    let few = cluster.rewrap_run_with(&[&behind], &[&only]).expect(0);
    assert_eq!(few.json()["rewrapped"], keys.len(), "{few}");
    let now = values(&cluster, "/registry/secrets/");
    let written = now.iter().filter(|(key, value)| stored[*key] != **value);
    assert!(written.map(|(key, _)| key).eq(keys), "others were written");
    cluster.rewrap_run(&[&behind]).expect(0);
    cluster.rewrap("verify", &[]).expect(0);
    secrets.read_back(&cluster.kube());
    secrets.read_back(&behind.client());
}

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn an_apiserver_that_encrypts_fewer_resources_stops_the_run() {
    let mut cluster = Cluster::start();
    cluster.write_encryption(&["secrets"], &[AesCbc("old")]);
    cluster.restart();
    let mut secrets = Ledger::new("/api/v1/namespaces/default/secrets");
    secrets
        .create(&cluster.kube(), &secret("only", &mut Dice::new()))
        .unwrap();
    let mut config_maps = Ledger::new("/api/v1/namespaces/default/configmaps");
    for number in 0..5 {
        let object = config_map(&format!("map-{number}"));
        config_maps.create(&cluster.kube(), &object).unwrap();
    }

    // It has the new key, and reads with it: but Secrets only.
    let folder = tempfile::tempdir().unwrap();
    let fewer = folder.path().join("fewer.yaml");
    encryption::write(&fewer, &["secrets"], &[AesGcm("new"), AesCbc("old")]);
    let behind = Apiserver::start(&cluster.etcd.endpoint(), Some(&fewer), &[]);
    cluster.write_encryption(
        &["secrets", "configmaps"],
        &[AesGcm("new"), AesCbc("old"), Identity],
    );
    cluster.wait_for_reload();

    let stored = values(&cluster, "/registry/configmaps/");
    let refused = cluster.rewrap_run(&[&behind]).expect(5);
    assert!(refused.stderr.contains("configmaps"), "{refused}");
    assert!(
        values(&cluster, "/registry/configmaps/") == stored,
        "the old value is not back"
    );
    for kube in [cluster.kube(), behind.client()] {
        secrets.read_back(&kube);
        config_maps.read_back(&kube);
    }
}

/// What is stored under a prefix; who wrote it how often does not matter.
fn values(cluster: &Cluster, prefix: &str) -> BTreeMap<String, (Vec<u8>, i64)> {
    let stored = cluster.etcd.list(prefix).into_iter();
    stored
        .map(|stored| (stored.key, (stored.value, stored.lease)))
        .collect()
}
