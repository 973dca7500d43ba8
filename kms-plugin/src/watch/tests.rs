use std::fs;

use kms_proto::KeyId;

use super::*;
use crate::root::local;

/// A configuration with one key, and what watches it.
fn watch() -> (tempfile::TempDir, Watch) {
    let directory = tempfile::tempdir().unwrap();
    local::generate(&directory.path().join("one")).unwrap();
    local::generate(&directory.path().join("two")).unwrap();
    configure(&directory, &["one"]);
    let path = directory.path().join("config.yaml");
    let Reading { seen, outcome } = Reading::of(&path);
    let loaded = outcome.unwrap();
    let config = loaded.config.clone();
    let keyring = loaded.keyring(None).unwrap();
    let watch = Watch {
        path,
        fixed: config.fixed,
        judged: seen,
        roots: Roots::default(),
        keyring: Arc::new(SharedKeyring::new(keyring)),
        state: Arc::new(State::new()),
        metrics: Arc::new(Metrics::new()),
    };
    (directory, watch)
}

fn configure(directory: &tempfile::TempDir, names: &[&str]) {
    let keks: String = names
        .iter()
        .map(|name| {
            let file = directory.path().join(name);
            format!(
                "- {{name: {name}, local: {{keyFile: {}}}}}\n",
                file.display()
            )
        })
        .collect();
    let text = format!(
        "apiVersion: ringfence.dev/v1alpha1
kind: KmsPluginConfiguration
context: test
socket: {{path: /run/test.sock}}
keks:
{keks}"
    );
    fs::write(directory.path().join("config.yaml"), text).unwrap();
}

fn primary(watch: &Watch) -> KeyId {
    watch.keyring.load().primary().kek.key_id().unwrap()
}

#[tokio::test]
async fn a_change_counts_when_two_polls_in_a_row_saw_it() {
    let (directory, mut watch) = watch();
    let old = primary(&watch);
    assert_eq!(watch.poll(None).await.unwrap(), None);

    configure(&directory, &["two", "one"]);
    let first = watch.poll(None).await.unwrap();
    assert!(first.is_some());
    // The file goes on changing: what the first poll saw is forgotten.
    fs::remove_file(directory.path().join("two")).unwrap();
    let second = watch.poll(first).await.unwrap();
    assert!(second.is_some());
    local::generate(&directory.path().join("two")).unwrap();
    let third = watch.poll(second).await.unwrap();
    assert!(third.is_some());
    assert_eq!(primary(&watch), old);

    assert_eq!(watch.poll(third).await.unwrap(), None);
    assert_ne!(primary(&watch), old);
    assert_eq!(watch.state.reload().error, None);
}

#[tokio::test]
async fn a_bad_change_is_judged_once_and_undoing_it_clears_the_error() {
    let (directory, mut watch) = watch();
    let old = primary(&watch);
    configure(&directory, &[]);
    let candidate = watch.poll(None).await.unwrap();
    assert_eq!(watch.poll(candidate).await.unwrap(), None);
    assert!(watch.state.reload().error.is_some());
    assert_eq!(watch.poll(None).await.unwrap(), None, "judged already");

    configure(&directory, &["one"]);
    let candidate = watch.poll(None).await.unwrap();
    assert_eq!(watch.poll(candidate).await.unwrap(), None);
    assert_eq!(watch.state.reload().error, None);
    assert_eq!(primary(&watch), old);
}

#[tokio::test]
async fn only_the_keks_can_change() {
    let (directory, mut watch) = watch();
    let path = directory.path().join("config.yaml");
    let text = fs::read_to_string(&path).unwrap();
    for (from, to, field) in [
        ("context: test", "context: other", "`context` changed"),
        ("test.sock", "other.sock", "`socket` changed"),
        (
            "keks:",
            "http: {address: \"[::1]:1\"}\nkeks:",
            "`http` changed",
        ),
        (
            "keks:",
            "reload: {pollInterval: 1s}\nkeks:",
            "`reload` changed",
        ),
    ] {
        fs::write(&path, text.replace(from, to)).unwrap();
        watch.reload().await.unwrap();
        let error = watch.state.reload().error.unwrap();
        assert!(error.starts_with(field), "{error}");
    }
}
