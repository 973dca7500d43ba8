//! The program `rewrap` on kine.

use std::time::Duration;

use rewrap_cli::store::{Put, RangeOptions, Store, StoreError};
use tempfile::TempDir;

use super::{PREFIX, create, key, open, put};
use crate::support::{
    dice::Dice,
    encryption::{
        self,
        Provider::{AesCbc, Identity},
    },
    kine::Kine,
    rewrap::{self, Finished},
    sealed::{seal, secret_json},
};

const RUN: [&str; 3] = ["--yes", "--assume-converged", "--output=json"];

/// A kine that holds no more than the namespace by which a cluster is known, and an
/// EncryptionConfiguration for Secrets.
struct OnKine {
    kine: Kine,
    store: Store,
    folder: TempDir,
}

impl OnKine {
    async fn start(server: &'static str, flags: &[&str]) -> Self {
        let kine = Kine::start(server, flags);
        let store = open(&kine).await;
        let folder = tempfile::tempdir().unwrap();
        let namespace = r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-system","uid":"cluster"}}"#;
        create(&store, "/registry/namespaces/kube-system", namespace).await;
        let file = folder.path().join("encryption.yaml");
        encryption::write(&file, &["secrets"], &[AesCbc("new"), Identity]);
        Self {
            kine,
            store,
            folder,
        }
    }

    fn rewrap(&self, verb: &str, more: &[&str]) -> Finished {
        let file = self.folder.path().join("encryption.yaml");
        let flags = [
            verb.to_owned(),
            format!("--endpoints={}", self.kine.endpoint()),
            format!("--encryption-provider-config={}", file.display()),
        ];
        rewrap::run(flags.iter().map(String::as_str).chain(more.to_vec()))
    }

    /// Waits until everything but the newest revisions is compacted, and starts kine twice: the first
    /// time SQLite writes all anew into its log, the second time it takes that over into its file.
    async fn forgets_all_before_now(&mut self) {
        let now = create(&self.store, "/registry/now", "").await;
        // kine never forgets the very newest revision.
        create(&self.store, "/registry/later", "").await;
        loop {
            let past = RangeOptions {
                revision: now - 1,
                ..RangeOptions::one(b"/registry/now")
            };
            match self.store.range(past).await {
                Err(StoreError::Compacted { .. }) => break,
                Ok(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(error) => panic!("{error}"),
            }
        }
        for gone in ["/registry/now", "/registry/later"] {
            let record = self.store.get(gone.as_bytes()).await.unwrap().unwrap();
            let put = self
                .store
                .compare_and_put(&record.key, record.mod_revision, "".into(), 1);
            assert!(matches!(put.await.unwrap(), Put::Done { .. }));
            while self.store.get(gone.as_bytes()).await.unwrap().is_some() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        self.kine.restart();
        self.kine.restart();
    }
}

pub(super) async fn every_verb_says_what_kine_cannot_do(server: &'static str) {
    let cluster = OnKine::start(server, &[]).await;
    let path = format!("{PREFIX}default/a");
    let value = secret_json("default", "a", "x");
    create(&cluster.store, &path, value).await;

    let status = cluster
        .rewrap("status", &["--output=json"])
        .expect(0)
        .json();
    let store = &status["stores"][0];
    assert_eq!(store["server"], "kine");
    assert!(store["etcdClusterId"].is_null(), "{store:#}");
    assert_eq!(store["endpoints"][0], cluster.kine.endpoint());

    let plan = cluster.rewrap("plan", &["--output=json"]).expect(0).json();
    assert!(plan["dbSize"].as_u64().unwrap() > 0, "{plan:#}");
    assert!(plan["dbQuota"].is_null(), "{plan:#}");
    let warnings = plan["warnings"].to_string();
    for words in ["tells no quota and no alarm", "--also-current"] {
        assert!(warnings.contains(words), "{warnings}");
    }

    let file = cluster.folder.path().join("before.db");
    let before = format!("--snapshot-before={}", file.display());
    let refused = cluster
        .rewrap("run", &[&RUN[..2], &[&*before]].concat())
        .expect(5);
    assert!(
        refused.stderr.contains("kine gives no snapshot"),
        "{refused}"
    );
    assert!(!file.exists());

    let run = cluster.rewrap("run", &RUN[..2]).expect(0);
    assert!(run.stderr.contains("--also-current"), "{run}");
    let verified = cluster.rewrap("verify", &[]).expect(0);
    assert!(verified.stderr.contains("--also-current"), "{verified}");

    let password = cluster.folder.path().join("password");
    std::fs::write(&password, "hunter2").unwrap();
    let password = format!("--password-file={}", password.display());
    let refused = cluster
        .rewrap("status", &["--user=root", &password])
        .expect(3);
    assert!(
        refused.stderr.contains("kine, which knows no users"),
        "{refused}"
    );
    let refused = cluster
        .rewrap("status", &["--etcd-prefix=/elsewhere"])
        .expect(3);
    assert!(refused.stderr.contains("found: /registry/;"), "{refused}");
}

/// kine takes one object in a transaction, and compacts by itself.
#[tokio::test]
#[ignore = "needs kine: make conformance"]
async fn what_is_for_stopped_apiservers_is_refused() {
    let cluster = OnKine::start("kine", &[] as &[&str]).await;
    let plain = secret_json("default", "0001", "seen");
    create(&cluster.store, &key(1), &plain).await;
    for more in [&[][..], &["--compact"], &["--defrag"]] {
        let flags = ["--yes", "--assume-converged", "--apiservers-stopped"];
        let told = cluster
            .rewrap("run", &[&flags[..], more].concat())
            .expect(5);
        let words = "is kine, which takes one object in a transaction and compacts by itself";
        assert!(told.stderr.contains(words), "{told}");
    }
    let kept = cluster.store.get(key(1).as_bytes()).await.unwrap();
    assert_eq!(kept.unwrap().value, plain);
}

/// Beside the newest value of a key is the one before, which no compaction reaches.
#[tokio::test]
#[ignore = "needs kine: make conformance"]
async fn old_values_are_pushed_out_of_the_database() {
    const PLAIN: &str = "seen-by-whoever-has-the-disk";
    let flags = ["--compact-interval=1s", "--compact-min-retain=1"];
    let mut cluster = OnKine::start("kine", &flags).await;
    let mut dice = Dice::new();
    for number in 0..20 {
        let name = format!("{number:04}");
        let plain = secret_json("default", &name, &format!("{PLAIN}{number}"));
        let written = create(&cluster.store, &key(number), &plain).await;
        if number < 10 {
            // What an apiserver has written since keeps the plain text beside it likewise.
            let sealed = seal(AesCbc("new"), &key(number), &plain, &mut dice);
            let put = put(&cluster.store, &key(number), written, &sealed).await;
            assert!(matches!(put, Put::Done { .. }), "{put:?}");
        }
    }
    let seen = |kine: &Kine| {
        let database = kine.database();
        database
            .windows(PLAIN.len())
            .any(|bytes| bytes == PLAIN.as_bytes())
    };

    cluster.rewrap("run", &RUN).expect(0);
    cluster.rewrap("verify", &[]).expect(0);
    cluster.forgets_all_before_now().await;
    assert!(seen(&cluster.kine), "the test looks at the wrong place");

    let again = [&RUN[..], &["--also-current"]].concat();
    let report = cluster.rewrap("run", &again).expect(0).json();
    assert_eq!(
        (&report["rewrapped"], &report["failed"]),
        (&20.into(), &0.into())
    );
    cluster.rewrap("verify", &[]).expect(0);
    cluster.forgets_all_before_now().await;
    assert!(!seen(&cluster.kine), "the plain text is still there");
}

/// kine knows no range that begins at a cut: what lies before it is read again, and not written again.
#[tokio::test]
#[ignore = "needs kine: make conformance"]
async fn a_run_goes_on_from_its_checkpoint_and_writes_nothing_twice() {
    let cluster = OnKine::start("kine", &[]).await;
    for number in 0..50 {
        let plain = secret_json("default", &format!("{number:04}"), "x");
        create(&cluster.store, &key(number), &plain).await;
    }
    let file = cluster.folder.path().join("checkpoint");
    let checkpoint = format!("--checkpoint={}", file.display());
    let flags = [&RUN[..], &[&*checkpoint]].concat();
    let limited = [&flags[..], &["--limit=30"]].concat();
    let first = cluster.rewrap("run", &limited).expect(0).json();
    assert_eq!(first["rewrapped"], 30, "{first:#}");
    assert!(file.exists());
    let is_sealed = |value: &[u8]| value.starts_with(b"k8s:enc:aescbc:");
    let mut written = cluster.kine.list(PREFIX);
    written.retain(|stored| is_sealed(&stored.value));
    assert_eq!(written.len(), 30);

    let second = cluster.rewrap("run", &flags).expect(0);
    assert!(second.stderr.contains("going on"), "{second}");
    assert_eq!(second.json()["rewrapped"], 50, "{second}");
    assert!(!file.exists(), "all is done");
    let now = cluster.kine.list(PREFIX);
    assert_eq!(now.len(), 50);
    assert!(now.iter().all(|stored| is_sealed(&stored.value)));
    assert!(
        written.iter().all(|before| now.contains(before)),
        "written twice"
    );
    cluster.rewrap("verify", &[]).expect(0);
}
