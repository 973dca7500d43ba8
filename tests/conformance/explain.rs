//! What kube-apiserver says of values that it cannot read is what `rewrap explain` knows.

use tonic::Status;

use crate::{
    agreement::Object,
    cluster::Cluster,
    kinds::{self, create_namespace},
    step,
    support::{
        encryption::{
            Entry, Key,
            Local::{AesCbc, AesGcm, Secretbox},
            Provider::{self, Identity, Kms, Local},
        },
        puppet::{Call, Puppet},
        rewrap,
    },
};

const KEY: &[Key<'_>] = &[Key::new("key")];
const OTHER: &[Key<'_>] = &[Key::new("other")];
/// The name of one with the secret of the other.
const FALSE: &[Key<'_>] = &[Key::with("key", "other")];

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn what_kube_apiserver_says_is_explained() {
    let puppet = Puppet::start();
    let socket = puppet.socket();
    let mut cluster = Cluster::start();
    cluster.restart();
    create_namespace(&cluster.kube(), "explain");

    let gcm = Local(AesGcm, KEY);
    let secretbox = Local(Secretbox, KEY);
    // What writes an object, what reads it then, and what is said.
    let cases: [(_, &[Provider<'_>], _); 7] = [
        (
            gcm,
            &[Local(AesGcm, OTHER)],
            "no matching key was found for the provided AES transformer",
        ),
        (
            gcm,
            &[Local(AesGcm, FALSE)],
            "cipher: message authentication failed",
        ),
        (gcm, &[Identity], "no matching prefix found"),
        (
            gcm,
            &[],
            "identity transformer tried to read encrypted data",
        ),
        (
            secretbox,
            &[Local(Secretbox, OTHER)],
            "no matching key was found for the provided Secretbox transformer",
        ),
        (
            secretbox,
            &[Local(Secretbox, FALSE)],
            "output array was not large enough for encryption",
        ),
        (Local(AesCbc, KEY), &[gcm], "no matching prefix found"),
    ];
    for (writes, reads, words) in cases {
        let object = written(&cluster, writes);
        configure(&cluster, reads);
        is_explained(&cluster, &object, words);
        configure(&cluster, &[writes]);
        cluster.kube().delete(&object.path).unwrap();
    }

    // Read by a seed that kube-apiserver has not made itself.
    let kms = Kms("puppet", &socket);
    let object = written(&cluster, kms);
    puppet.answer(|answers| {
        answers.refused = Some((Call::Decrypt, Status::not_found("no such key")));
    });
    configure(&cluster, &[kms, Identity]);
    is_explained(&cluster, &object, "failed to decrypt DEK, error: ");
}

fn configure(cluster: &Cluster, providers: &[Provider<'_>]) {
    let entries: [Entry<'_>; 2] = [(&["configmaps"], &[Identity]), (&["secrets"], providers)];
    let ruled = if providers.is_empty() { 1 } else { 2 };
    cluster.write_entries(&entries[..ruled]);
    cluster.wait_for_reload();
}

fn written(cluster: &Cluster, provider: Provider<'_>) -> Object {
    configure(cluster, &[provider]);
    kinds::SECRETS.create(&cluster.kube(), "explain", "one")
}

/// The words are in what the apiserver says of the object, and explained.
fn is_explained(cluster: &Cluster, object: &Object, words: &str) {
    step(words);
    let said = cluster.kube().get(&object.path).unwrap_err().to_string();
    let explained = rewrap::run(["explain", &said]).expect(0).stdout;
    for part in [&format!("\"{words}\"\n"), "rewrap get secrets explain/one "] {
        assert!(explained.contains(part), "{said}\n{explained}");
    }
}
