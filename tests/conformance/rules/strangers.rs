//! What lies in etcd and no apiserver serves: left behind by older releases, or somebody else's.

use serde_json::{Value, json};

use crate::{
    agreement::assert_written_with,
    cluster::Cluster,
    collections::count_everything,
    kinds::{self, create_namespace, define},
    step,
    support::{
        apiserver::Release,
        dice::Dice,
        encryption::Provider::{AesGcm, Identity},
        sealed,
    },
};

/// A resource of older releases, whose objects no upgrade deletes; its rule is still that of `*.*`.
const POLICY: &str = "/registry/podsecuritypolicy/restricted";
const POLICIES: &str = "podsecuritypolicies.policy";

/// Keys that are nobody's here, with the words for each.
const STRANGERS: [(&str, &str); 4] = [
    // Where Kubernetes' sample of an aggregated API server keeps its objects.
    (
        "/registry/wardle.example.com/wardle.example.com/flunders/default/one",
        "no CustomResourceDefinition of this cluster defines wardle.example.com.wardle.example.com",
    ),
    // In a group that has other resources.
    (
        "/registry/awesome.bears.com/koalas/default/one",
        "no CustomResourceDefinition of this cluster defines koalas.awesome.bears.com",
    ),
    (
        "/registry/thirdpartyresources/default/one",
        "an unknown resource",
    ),
    // A former prefix.
    ("/kubernetes.io/secrets/default/one", ""),
];

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn what_no_apiserver_serves() {
    what_no_apiserver_serves_on(Release::NEWEST);
}

pub(super) fn what_no_apiserver_serves_on(release: Release) {
    let mut cluster = Cluster::of(release, &[]);
    let kube = cluster.kube();
    create_namespace(&kube, "strangers");
    define(&kube, "pandas", "Panda");
    cluster.write_encryption(&["*.*"], &[AesGcm("old"), Identity]);
    cluster.restart();
    let panda = kinds::PANDAS.create(&cluster.kube(), "strangers", "panda");
    cluster.rewrap_run(&[]).expect(0);

    let mut dice = Dice::new();
    let mut put = |key: &str, object: &Value| {
        let object = object.to_string();
        let value = sealed::seal(AesGcm("old"), key, object.as_bytes(), &mut dice);
        cluster.etcd.put(key, &value);
        cluster.etcd.stored(key).unwrap()
    };
    let policy = json!({
        "apiVersion": "policy/v1beta1", "kind": "PodSecurityPolicy",
        "metadata": {"name": "restricted"}, "spec": {},
    });
    let policy = put(POLICY, &policy);
    let stranger = json!({
        "apiVersion": "example.com/v1", "kind": "Stranger",
        "metadata": {"name": "one", "namespace": "default"},
    });
    let strangers = STRANGERS.map(|(key, _)| put(key, &stranger));

    step("what a run would write, and what it leaves alone");
    cluster.write_encryption(&["*.*"], &[AesGcm("new"), AesGcm("old")]);
    cluster.restart();
    assert!(cluster.agrees_is_stale(&panda));
    let inventory = cluster.status(&[]);
    let rows = inventory["resources"].as_array().unwrap();
    let row = rows.iter().find(|row| row["resource"] == POLICIES).unwrap();
    let new = json!({"provider": "aesgcm", "key": "new"});
    assert_eq!(
        (&row["stale"], &row["writesWith"]),
        (&json!(1), &new),
        "{row:#}"
    );
    let unowned = inventory["unowned"].as_array().unwrap();
    for (key, reason) in STRANGERS {
        let area = unowned
            .iter()
            .find(|area| key.starts_with(area["path"].as_str().unwrap()));
        let outside = !key.starts_with("/registry/");
        assert_eq!(area.is_none(), outside, "{key}: {unowned:#?}");
        if let Some(area) = area {
            let old = json!([{"provider": "aesgcm", "key": "old"}]);
            assert_eq!(
                (&area["reason"], &area["writtenWith"]),
                (&json!(reason), &old)
            );
        }
    }

    step("no apiserver can prove anything about what none serves");
    let refused = cluster.rewrap_run(&[]).expect(5);
    assert!(
        refused.stderr.contains(&format!("--exclude {POLICIES}")),
        "{refused}"
    );
    assert_eq!(cluster.etcd.stored(POLICY).unwrap(), policy);
    let exclude = format!("--exclude={POLICIES}");
    cluster.rewrap_run_with(&[], &[&exclude]).expect(0);
    cluster.rewrap("verify", &[&exclude]).expect(0);
    cluster.rewrap("verify", &[]).expect(1);
    let only = format!("--resource={POLICIES}");
    let run = ["--yes", "--assume-converged", &only];
    cluster.rewrap("run", &run).expect(0);
    let rewritten = cluster.etcd.stored(POLICY).unwrap();
    assert_written_with(&rewritten, &new);
    let (_, plaintext) = sealed::open(POLICY, &policy.value);
    let opened = sealed::open(POLICY, &rewritten.value);
    assert_eq!(opened, ("new".to_owned(), plaintext));
    // Whose the strangers are nobody can say, so their key is not called unneeded.
    let verified = cluster.rewrap("verify", &[]).expect(0);
    assert!(
        !verified.stdout.contains("no stored object needs"),
        "{verified}"
    );
    for stranger in &strangers {
        assert_eq!(cluster.etcd.stored(&stranger.key).as_ref(), Some(stranger));
    }

    step("without the old key");
    cluster.write_encryption(&["*.*"], &[AesGcm("new")]);
    cluster.restart();
    assert!(!cluster.agrees_is_stale(&panda));
    count_everything(&cluster.kube());
}
