//! What is rewritten first, and what last, as etcd's revisions tell.

use crate::{
    store::{SECRETS, Store},
    support::{
        dice::Dice,
        encryption::{
            self,
            Provider::{AesCbc, AesGcm, Identity},
        },
        eventually,
        sealed::seal,
    },
};

const RESOURCES: [&str; 6] = [
    "secrets",
    "configmaps",
    "events",
    "endpoints",
    "endpointslices.discovery.k8s.io",
    "leases.coordination.k8s.io",
];

/// A store with these objects under the old key, and all its resources to be brought to the new one.
fn store(objects: &[(&str, String)]) -> Store {
    let store = Store::start(&[Identity]);
    encryption::write(
        &store.encryption(),
        &RESOURCES,
        &[AesGcm("new"), AesCbc("old"), Identity],
    );
    let mut dice = Dice::new();
    for (path, plaintext) in objects {
        let path = format!("/registry/{path}");
        let value = seal(AesCbc("old"), &path, plaintext.as_bytes(), &mut dice);
        store.etcd.put(&path, &value);
    }
    store
}

fn object(api_version: &str, kind: &str, name: &str, more: &str) -> String {
    format!(
        r#"{{"apiVersion":"{api_version}","kind":"{kind}","metadata":{{"name":"{name}","namespace":"default"}}{more}}}"#
    )
}

/// The keys below `/registry/` under the new key, in the order in which they were written.
fn written(store: &Store) -> Vec<String> {
    let mut stored = store.etcd.list("/registry/");
    stored.retain(|stored| stored.value.starts_with(b"k8s:enc:aesgcm:v1:new:"));
    stored.sort_by_key(|stored| stored.revision);
    let short = |key: String| key["/registry/".len()..].to_owned();
    stored.into_iter().map(|stored| short(stored.key)).collect()
}

#[test]
fn what_leaks_most_comes_first_and_what_changes_most_last() {
    let secret = |path, name, secret_type| {
        let more = format!(r#","type":"{secret_type}""#);
        (path, object("v1", "Secret", name, &more))
    };
    let token = "kubernetes.io/service-account-token";
    let mut objects = vec![
        secret("secrets/default/a-opaque", "a-opaque", "Opaque"),
        secret("secrets/default/b-token", "b-token", token),
        secret("secrets/default/c-helm", "c-helm", "helm.sh/release.v1"),
        secret("secrets/default/d-tls", "d-tls", "kubernetes.io/tls"),
    ];
    for (path, api_version, kind) in [
        ("configmaps/default/a", "v1", "ConfigMap"),
        (
            "endpointslices/default/a",
            "discovery.k8s.io/v1",
            "EndpointSlice",
        ),
        ("events/default/a", "v1", "Event"),
        ("leases/default/a", "coordination.k8s.io/v1", "Lease"),
        ("services/endpoints/default/a", "v1", "Endpoints"),
    ] {
        objects.push((path, object(api_version, kind, "a", "")));
    }
    let store = store(&objects);
    let run = ["--yes", "--assume-converged", "--max", "--concurrency=1"];
    store.rewrap("run", &run).expect(0);
    assert_eq!(
        written(&store),
        [
            "secrets/default/b-token",
            "secrets/default/d-tls",
            "secrets/default/a-opaque",
            "secrets/default/c-helm",
            "configmaps/default/a",
            "endpointslices/default/a",
            "events/default/a",
            "leases/default/a",
            "services/endpoints/default/a",
        ]
    );
}

#[test]
fn what_somebody_else_writes_is_revisited_at_the_end() {
    let mut dice = Dice::new();
    let names = ["a", "b", "c", "d", "e", "f"];
    let paths: Vec<_> = ["secrets", "configmaps"]
        .iter()
        .flat_map(|directory| names.map(|name| format!("{directory}/default/{name}")))
        .collect();
    let plaintext = |path: &str| {
        let kind = if path.starts_with("secrets") {
            "Secret"
        } else {
            "ConfigMap"
        };
        object("v1", kind, path.rsplit('/').next().unwrap(), "")
    };
    let objects: Vec<_> = paths
        .iter()
        .map(|path| (path.as_str(), plaintext(path)))
        .collect();
    let store = store(&objects);
    let run = ["--yes", "--assume-converged", "--rate=5", "--concurrency=1"];
    let run = store.start_rewrap("run", &[&run[..], &["--output=json"]].concat());
    eventually("the first Secret is written", || {
        (!written(&store).is_empty()).then_some(())
    });
    // By an apiserver that has the old key still: one that was read and not written yet, and one
    // that is read later.
    for path in ["secrets/default/d", "configmaps/default/b"] {
        let key = format!("/registry/{path}");
        let value = seal(AesCbc("old"), &key, plaintext(path).as_bytes(), &mut dice);
        store.etcd.put(&key, &value);
    }
    let report = run.finish().expect(0).json();
    assert_eq!(report["rewrapped"], 12, "{report:#}");
    // Only the one that had been read: the other was seen to be new, and not tried.
    assert_eq!(report["conflicts"], 1, "{report:#}");
    let mut expected: Vec<_> = paths
        .iter()
        .filter(|path| !matches!(path.as_str(), "secrets/default/d" | "configmaps/default/b"))
        .cloned()
        .collect();
    expected.extend(["secrets/default/d".into(), "configmaps/default/b".into()]);
    assert_eq!(written(&store), expected);
    assert_eq!(store.etcd.list(SECRETS).len(), names.len());
}
