//! What `rewrap status` finds, and what it says to do about it.

use super::store::{SECRETS, Store};
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesCbc, AesGcm, Identity, Kms},
    rewrap::Finished,
    sealed::seal,
};

#[track_caller]
fn says(finished: &Finished, words: &[&str]) {
    let said = format!("{}{}", finished.stdout, finished.stderr);
    for words in words {
        assert!(said.contains(words), "{words:?} is not in {finished}");
    }
}

#[test]
fn each_cause_is_told_once_with_its_objects_and_the_next_command() {
    let store = Store::start(&[AesGcm("new"), Identity]);
    store.fill(12, AesCbc("old"), &mut Dice::new());
    store.etcd.put(
        &format!("{SECRETS}default/damaged"),
        b"k8s:enc:aesgcm:v1:new:short",
    );
    let told = store.harmless("status", &[], 0);
    says(
        &told,
        &[
            "12 unreadable: no matching prefix found\n",
            "  /registry/secrets/default/secret-00000\n",
            "  9 more; -o json lists them\n",
            "  next: rewrap get secrets default/secret-00000  # names the provider",
            "1 unreadable: aesgcm \"new\": ",
            "  /registry/secrets/default/damaged\n",
            "  next: rewrap get secrets default/damaged  # ",
            "next: what is said above under the unreadable objects",
        ],
    );
    assert_eq!(told.stdout.matches("no matching prefix").count(), 1);
    let document = store.rewrap("status", &["--output=json"]).expect(0).json();
    let causes = document["unreadableCauses"].as_array().unwrap();
    let objects: Vec<_> = causes
        .iter()
        .map(|cause| cause["objects"].as_u64().unwrap())
        .collect();
    assert_eq!(objects, [12, 1], "{document:#}");
    assert_eq!(
        causes[0]["example"],
        "/registry/secrets/default/secret-00000"
    );
}

#[test]
fn of_named_resources_those_are_shown_that_are_stored() {
    let store = Store::start(&[AesGcm("new"), Identity]);
    store.fill(3, AesGcm("new"), &mut Dice::new());
    let named = [
        "--resource=secrets,configmaps,secrts",
        "--resource=pandas.bears.example",
        "--output=json",
    ];
    let told = store.harmless("status", &named, 0);
    let document = told.json();
    let resources = document["resources"].as_array().unwrap();
    let rows = resources.iter().map(|row| &row["resource"]);
    assert!(rows.eq(["secrets"]), "{document:#}");
    for missing in ["configmaps", "secrts", "pandas.bears.example"] {
        let warning = format!("warning: nothing is stored of {missing};");
        says(&told, &[&warning]);
    }
    assert_eq!(told.stderr.matches("nothing is stored").count(), 3);
}

#[test]
fn what_no_rule_covers_is_plain_text_by_omission() {
    let store = Store::start(&[AesGcm("new"), Identity]);
    for number in 0..3 {
        let name = format!("map-{number}");
        let object = format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}","namespace":"default"}}}}"#
        );
        let key = format!("/registry/configmaps/default/{name}");
        store.etcd.put(&key, object.as_bytes());
    }
    let told = store.harmless("status", &[], 0);
    says(
        &told,
        &[
            "4 more in plain text: no rule of the configuration covers these 2 resources:\n",
            "          3 configmaps\n",
            "          1 namespaces\n",
        ],
    );
    let document = store.rewrap("status", &["--output=json"]).expect(0).json();
    let covered = |name: &str| {
        let resources = document["resources"].as_array().unwrap();
        let mut found = resources.iter().filter(|row| row["resource"] == name);
        found.next().map(|row| row["covered"].as_bool().unwrap())
    };
    assert_eq!(covered("configmaps"), Some(false), "{document:#}");
    store.fill(1, AesGcm("new"), &mut Dice::new());
    let document = store.rewrap("status", &["--output=json"]).expect(0).json();
    assert_eq!(document["resources"][0]["covered"], true, "{document:#}");

    // Plain text that a rule writes was not forgotten.
    store.configure(&[Identity, AesGcm("new")]);
    store.etcd.delete(&format!("{SECRETS}default/secret-00000"));
    let object =
        br#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"plain","namespace":"default"}}"#;
    store.etcd.put(&format!("{SECRETS}default/plain"), object);
    let told = store.harmless("status", &[], 0);
    says(
        &told,
        &["1 more in 1 resource whose rule writes plain text"],
    );
}

/// What nobody knows may be as large as anything else.
#[test]
fn what_is_left_alone_is_counted_however_large_it_is() {
    let store = Store::start(&[AesGcm("new"), Identity]);
    let mut dice = Dice::new();
    for number in 0..12 {
        let key = format!("/registry/orphans.example.com/orphans/default/{number:02}");
        let value = seal(AesGcm("gone"), &key, &vec![b'x'; 1 << 20], &mut dice);
        store.etcd.put(&key, &value);
    }
    let document = store.harmless("status", &["--output=json"], 0).json();
    let left = &document["unowned"][0];
    assert_eq!(left["objects"], 12, "{document:#}");
    assert_eq!(left["writtenWith"][0]["key"], "gone", "{document:#}");
}

#[test]
fn any_number_of_key_names_is_shown_in_few_rows() {
    const KEYS: usize = 1050;
    let store = Store::start(&[AesGcm("new"), Identity]);
    for number in 0..KEYS {
        let value = format!("k8s:enc:aescbc:v1:key-{number:05}:garbage");
        store
            .etcd
            .put(&format!("{SECRETS}default/s-{number:05}"), value.as_bytes());
    }
    let document = store.rewrap("status", &["--output=json"]).expect(0).json();
    let rows = document["resources"][0]["writtenWith"].as_array().unwrap();
    assert_eq!(rows.len(), 1001);
    let rest = rows.last().unwrap();
    assert_eq!(
        (&rest["others"], &rest["objects"]),
        (&true.into(), &50.into())
    );
    assert!(rows[0].get("others").is_none());
    let told = store.harmless("status", &[], 0);
    says(&told, &["aescbc under other keys"]);
}

#[test]
fn where_the_plugin_is_down_that_comes_first() {
    let store = Store::start(&[AesGcm("new"), Identity]);
    store.fill(2, AesCbc("old"), &mut Dice::new());
    let nowhere = store.encryption().with_file_name("nobody.sock");
    store.configure(&[Kms("away", &nowhere), AesCbc("old"), Identity]);
    let told = store.harmless("status", &[], 0);
    says(
        &told,
        &["next: `kms-plugin status` on this node, for without the provider away"],
    );
    assert!(!told.stderr.contains("rewrap plan"), "{told}");
}

#[test]
fn secrets_are_told_apart_by_what_they_are_for() {
    let store = Store::start(&[AesGcm("new"), Identity]);
    store.fill(5, AesGcm("new"), &mut Dice::new());
    let secrets = [
        (
            "token",
            r#""type":"kubernetes.io/service-account-token""#,
            "",
        ),
        ("release", r#""type":"helm.sh/release.v1""#, ""),
        (
            "synced",
            r#""type":"Opaque""#,
            r#","ownerReferences":[{"kind":"ExternalSecret","name":"a"}]"#,
        ),
        (
            "sealing",
            r#""type":"kubernetes.io/tls""#,
            r#","labels":{"sealedsecrets.bitnami.com/sealed-secrets-key":"active"}"#,
        ),
    ];
    for (name, secret_type, metadata) in secrets {
        let object = format!(
            r#"{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"{name}","namespace":"default"{metadata}}},{secret_type}}}"#
        );
        store
            .etcd
            .put(&format!("{SECRETS}default/{name}"), object.as_bytes());
    }
    let told = store.harmless("status", &["--by-type"], 0);
    says(
        &told,
        &[
            "service-account tokens   kubernetes.io/service-account-token",
            "Helm releases            helm.sh/release.v1",
            "owned by ExternalSecret  Opaque",
            "keys of sealed-secrets   kubernetes.io/tls",
        ],
    );
    let document = store.rewrap("status", &["--by-type", "--output=json"]);
    let document = document.expect(0).json();
    let kinds = document["secretKinds"].as_array().unwrap();
    let objects = |key: &str| {
        kinds
            .iter()
            .map(|kind| kind[key].as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!(
        (objects("objects"), objects("notCurrent")),
        (9, 4),
        "{document:#}"
    );
    let synced = kinds.iter().find(|kind| kind["owner"] == "ExternalSecret");
    assert_eq!(synced.unwrap()["type"], "Opaque");
    assert!(kinds.iter().any(|kind| kind["sealedSecretsKey"] == true));
    let plain = store.rewrap("status", &["--output=json"]).expect(0).json();
    assert!(plain.get("secretKinds").is_none());
}
