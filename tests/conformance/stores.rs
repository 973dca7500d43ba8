//! The main job on every store that kube-apiserver can have.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    backend::{Backend, Guarded},
    churn::secret,
    cluster::Cluster,
    ledger::Ledger,
    step, story,
    support::{
        apiserver::Release,
        dice::Dice,
        encryption::Provider::{AesCbc, AesGcm, Identity},
        etcd::members::Members,
        kine::Kine,
        rewrap::Running,
        within,
    },
};

/// What is stored under this key begins so.
const NEW: &[u8] = b"k8s:enc:aesgcm:v1:new:";
const SECRETS: &str = "/registry/secrets/default/";

#[test]
#[ignore = "needs kube-apiserver and etcd 3.4: make conformance"]
fn the_story_on_etcd_3_4_behind_mutual_tls_and_roles() {
    let etcd = Guarded::start("etcd-3.4");
    story::lived_through(Cluster::on(etcd, Release::NEWEST, &[]));
}

#[test]
#[ignore = "needs kube-apiserver and kine: make conformance"]
fn the_story_on_kine() {
    let kine = Kine::start("kine", &[]);
    story::lived_through(Cluster::on(kine, Release::NEWEST, &[]));
}

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn a_leader_that_moves_and_one_that_is_killed_cost_nothing() {
    const OBJECTS: usize = 1000;
    let mut cluster = Cluster::on(Members::start(), Release::NEWEST, &[]);
    cluster.write_encryption(&["secrets"], &[AesCbc("old"), Identity]);
    cluster.restart();
    let (kube, mut dice) = (cluster.kube(), Dice::new());
    let mut secrets = Ledger::new("/api/v1/namespaces/default/secrets");
    for number in 0..OBJECTS {
        let object = secret(&format!("secret-{number}"), &mut dice);
        secrets.create(&kube, &object).unwrap();
    }
    cluster.write_encryption(&["secrets"], &[AesGcm("new"), AesCbc("old"), Identity]);
    cluster.restart();

    let flags = [
        "--yes",
        "--assume-converged",
        "--rate=150",
        "--output=json",
        "--ignore-members",
    ];
    let mut command = cluster.rewrap_command("run", &flags);
    let run = Running::start(&mut command);
    step("the leader moves");
    reaches(&cluster, OBJECTS / 5);
    cluster.etcd.move_leader();
    step("the leader is killed");
    reaches(&cluster, OBJECTS / 2);
    let leader = cluster.etcd.leader();
    cluster.etcd.kill(leader);
    let ended = run.finish();
    eprintln!("{ended}");
    // An election may take longer than anybody should wait for one object.
    if !matches!(ended.code, Some(0)) {
        assert!(matches!(ended.code, Some(2 | 4)), "{ended}");
        Running::start(&mut command).finish().expect(0);
    }

    step("one member is dead");
    let plan = cluster.rewrap("plan", &["--output=json"]).expect(0).json();
    assert_eq!(plan["objects"], 0);
    let warnings = plan["warnings"].to_string();
    assert!(warnings.contains("Connection refused"), "{warnings}");
    all_is_there_once(&cluster, OBJECTS);
    step("it comes back");
    cluster.etcd.restart();
    all_is_there_once(&cluster, OBJECTS);
    cluster.restart();
    secrets.read_back(&cluster.kube());
}

/// Waits until so many objects are under the new key.
fn reaches(cluster: &Cluster<Members>, objects: usize) {
    within(Duration::from_secs(60), "a run comes so far", || {
        let stored = cluster.etcd.list(SECRETS);
        let new = stored.iter().filter(|stored| stored.value.starts_with(NEW));
        (new.count() >= objects).then_some(())
    });
}

/// All objects are under the new key and were written twice: by the apiserver, and by one run.
fn all_is_there_once(cluster: &Cluster<Members>, objects: usize) {
    cluster.rewrap("verify", &[]).expect(0);
    let mut versions = BTreeMap::<_, usize>::new();
    for stored in Backend::list(&cluster.etcd, SECRETS) {
        assert!(stored.value.starts_with(NEW), "{}", stored.key);
        *versions.entry(stored.version).or_default() += 1;
    }
    assert_eq!(versions, BTreeMap::from([(2, objects)]));
}

/// What `make conformance-all` runs besides.
pub(crate) mod every_store {
    use super::*;
    use crate::support::etcd::Etcd;

    #[test]
    #[ignore = "needs kube-apiserver and etcd 3.5: make conformance-all"]
    fn the_story_on_etcd_3_5() {
        story::lived_through(Cluster::on(Etcd::of("etcd-3.5"), Release::NEWEST, &[]));
    }

    #[test]
    #[ignore = "needs kube-apiserver: make conformance-all"]
    fn the_story_on_etcd_3_6_behind_mutual_tls_and_roles() {
        let etcd = Guarded::start("etcd");
        story::lived_through(Cluster::on(etcd, Release::NEWEST, &[]));
    }

    #[test]
    #[ignore = "needs kube-apiserver and etcd 3.7: make conformance-all"]
    fn the_story_on_etcd_3_7() {
        story::lived_through(Cluster::on(Etcd::of("etcd-3.7"), Release::NEWEST, &[]));
    }

    /// Both are of k3s 1.28.
    #[test]
    #[ignore = "needs kube-apiserver 1.28 and kine 0.13: make conformance-all"]
    fn the_story_on_kine_0_13() {
        let kine = Kine::start("kine-0.13", &[]);
        story::lived_through(Cluster::on(kine, Release(28), &[]));
    }
}
