//! `rewrap config`: files alone, and what is stored under their keys.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tempfile::TempDir;

use super::store::Store;
use crate::support::{
    dice::Dice,
    encryption::{
        self,
        Provider::{self, AesCbc, AesGcm, Identity, Kms},
        secret,
    },
    rewrap::{self, Finished},
};

/// A directory of EncryptionConfigurations.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, providers: &[Provider<'_>]) -> PathBuf {
        let path = self.path(name);
        encryption::write(&path, &["secrets"], providers);
        path
    }
}

fn config(verb: &str, files: &[&Path], flags: &[&str]) -> Finished {
    let mut command = rewrap::command(["config", verb]);
    command.args(files).args(flags);
    let finished = rewrap::Running::start(&mut command).finish();
    for key in ["old", "new"] {
        let key = BASE64_STANDARD.encode(secret(key));
        assert!(!finished.to_string().contains(&key), "{finished}");
    }
    finished
}

#[test]
fn a_file_is_accepted_with_warnings_or_refused() {
    let files = Files::new();
    let good = files.write("good", &[Kms("vault", Path::new("/a")), AesCbc("old")]);
    let accepted = config("lint", &[&good], &[]).expect(0);
    assert!(!accepted.stdout.contains("warning"), "{accepted}");
    let regretted = files.write("regretted", &[AesCbc("old")]);
    let accepted = config("lint", &[&regretted], &[]).expect(0);
    assert!(
        accepted
            .stdout
            .contains("resources[0].providers[0]: aescbc writes here"),
        "{accepted}"
    );
    let refused = files.path("refused");
    fs::write(
        &refused,
        fs::read_to_string(&good).unwrap().replace("name:", "Name:"),
    )
    .unwrap();
    config("lint", &[&refused], &[]).expect(3);
    config("diff", &[&good, &refused], &[]).expect(3);
    config("lint", &[&files.path("missing")], &[]).expect(3);
    config("lint", &[&good], &["--feature-gates=KMSv1"]).expect(64);
}

#[test]
fn a_manifest_says_which_file_and_as_which_apiserver_it_is_judged() {
    let files = Files::new();
    let file = files.write("encryption.yaml", &[AesGcm("new")]);
    let kms = "{kms: {name: old, endpoint: 'unix:///old'}}";
    let text = fs::read_to_string(&file).unwrap() + "  - " + kms + "\n  - " + kms + "\n";
    fs::write(&file, text).unwrap();
    let manifest = |flags: &str| {
        let path = files.path("kube-apiserver.yaml");
        let host = files.0.path().display();
        let text = format!(
            "kind: Pod
spec:
  containers:
  - name: kube-apiserver
    image: registry.k8s.io/kube-apiserver:v1.31.14
    command: [kube-apiserver, --encryption_provider_config, /enc/encryption.yaml, {flags}]
    volumeMounts: [{{name: enc, mountPath: /enc}}]
  volumes: [{{name: enc, hostPath: {{path: {host}}}}}]
"
        );
        fs::write(&path, text).unwrap();
        format!("--from-manifest={}", path.display())
    };
    let gate = "'--feature-gates=kube:KMSv1=true'";
    let accepted = config("lint", &[], &[&manifest(gate)]).expect(0);
    assert!(
        accepted.stdout.contains("kube-apiserver 1.31"),
        "{accepted}"
    );
    // Without the gate, and with the stricter rule for names.
    let refused = config("lint", &[], &[&manifest("-v=2")]).expect(3);
    assert!(refused.stderr.contains("KMSv1"), "{refused}");
    let reload = format!("{gate}, --encryption-provider-config-automatic-reload");
    let refused = config("lint", &[], &[&manifest(&reload)]).expect(3);
    assert!(refused.stderr.contains("names must be unique"), "{refused}");
    // A flag has the last word.
    config(
        "lint",
        &[],
        &[&manifest("-v=2"), "--kubernetes-version=1.28"],
    )
    .expect(0);
}

#[test]
fn keys_that_stored_objects_need_are_missed() {
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    store.fill(3, AesCbc("old"), &mut Dice::new());
    let files = Files::new();
    let inventory = files.path("inventory.json");
    let status = store.rewrap("status", &["-o", "json"]).expect(0);
    fs::write(&inventory, &status.stdout).unwrap();
    let flag = format!("--inventory={}", inventory.display());

    let rotated = files.write("rotated", &[AesGcm("new"), Identity]);
    let missed = config("lint", &[&rotated], &[&flag]).expect(0);
    assert!(
        missed
            .stdout
            .contains(r#"warning: 3 stored secrets are under aescbc "old", which cannot be read"#),
        "{missed}"
    );
    let whole = files.write("whole", &[AesGcm("new"), AesCbc("old"), Identity]);
    let read = config("lint", &[&whole], &[&flag]).expect(0);
    assert!(!read.stdout.contains("stored"), "{read}");

    let flag = format!("--inventory={}", rotated.display());
    let refused = config("lint", &[&whole], &[&flag]).expect(3);
    assert!(
        refused.stderr.contains("rewrap status -o json"),
        "{refused}"
    );
}

#[test]
fn files_are_compared_by_what_they_mean() {
    let files = Files::new();
    let socket = Path::new("/run/kms.sock");
    let old = files.write("old", &[AesCbc("old"), Identity]);
    let new = files.write("new", &[Kms("vault", socket), AesCbc("old")]);
    let differ = config("diff", &[&old, &new], &[]).expect(1);
    assert!(
        differ
            .stdout
            .lines()
            .all(|line| line.chars().count() <= 100),
        "{differ}"
    );
    for said in [
        "kms-v2 vault, no more aescbc old",
        "reads no more  identity",
        "do not put the new file beside apiservers with the old one",
        "1. the old file with kms-v2 vault for secrets as well",
    ] {
        assert!(differ.stdout.contains(said), "{said}: {differ}");
    }
    for (path, which) in [(&old, "old"), (&new, "new")] {
        let hash = config("hash", &[path], &[]).expect(0).stdout;
        assert!(
            differ.stdout.contains(&format!("{which} file: {hash}")),
            "{differ}"
        );
    }

    let document = config("diff", &[&old, &new], &["-o", "json"])
        .expect(1)
        .json();
    assert_eq!(document["kind"], "EncryptionConfigDiff");
    assert_eq!(document["rollsOutDirectly"], false);
    assert_eq!(document["resources"][0]["writesWith"]["to"]["key"], "vault");
    let yaml = config("diff", &[&old, &new], &["-o", "yaml"]).expect(1);
    let yaml: serde_json::Value = serde_saphyr::from_str(&yaml.stdout).unwrap();
    assert_eq!(yaml, document);

    let same = files.path("same");
    fs::write(
        &same,
        format!("# a comment\n{}", fs::read_to_string(&old).unwrap()),
    )
    .unwrap();
    let equal = config("diff", &[&old, &same], &[]).expect(0);
    assert!(equal.stdout.contains("the files mean the same"), "{equal}");
    let equal = config("diff", &[&old, &old], &[]).expect(0);
    assert!(equal.stdout.contains("the files are the same"), "{equal}");
}
