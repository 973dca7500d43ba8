//! From the release that writes two kinds of DEK source to one that writes seeds only.

use kms_proto::DekSourceType::{self, AesGcmKey, HkdfSha256XnonceAesGcmSeed as Seed};

use crate::{
    cluster::Cluster,
    collections::count_everything,
    kinds::{self, create_namespace},
    step,
    support::{
        apiserver::{Apiserver, Release},
        encryption::Provider::{Identity, Kms},
        envelope::Client,
        plugin::{Plugin, Site},
    },
};

#[test]
#[ignore = "needs kube-apiserver 1.28: make conformance-all"]
fn keys_of_1_28_become_seeds() {
    let site = Site::with_key();
    let _plugin = Plugin::start(&site);
    let socket = site.socket();
    let mut client = Client::new("plugin", &socket);
    let mut cluster = Cluster::of(Release(28), &[]);
    create_namespace(&cluster.kube(), "upgrade");
    cluster.write_encryption(&["secrets"], &[Kms("plugin", &socket), Identity]);
    cluster.restart();
    let [one, two, three, four] = ["one", "two", "three", "four"]
        .map(|name| kinds::SECRETS.create(&cluster.kube(), "upgrade", name));
    let mut kinds = |cluster: &Cluster, expected: [DekSourceType; 4]| {
        let kinds = [&one, &two, &three, &four].map(|object| {
            let stored = cluster.stored(object);
            client.open(&stored.key, &stored.value).unwrap().kind
        });
        assert_eq!(kinds, expected);
    };
    kinds(&cluster, [AesGcmKey; 4]);
    assert!(!cluster.agrees_is_stale(&one));

    step("1.28 with the gate for seeds");
    let encryption = cluster.encryption();
    let upgraded = |cluster: &Cluster, release, flags: &[&str]| {
        Apiserver::of(release, &cluster.etcd.endpoint(), Some(&encryption), flags)
    };
    cluster.apiserver = upgraded(&cluster, Release(28), &["--feature-gates=KMSv2KDF=true"]);
    // That there is the gate, nothing in etcd tells before the apiserver's first write.
    cluster.told.push("--dek-type=1".to_owned());
    assert!(cluster.agrees_is_stale(&one));
    cluster.told.pop();
    assert!(!cluster.agrees_is_stale(&one));
    assert!(cluster.agrees_is_stale(&two));
    kinds(&cluster, [Seed, Seed, AesGcmKey, AesGcmKey]);

    step("1.28 without the gate again");
    cluster.apiserver = upgraded(&cluster, Release(28), &[]);
    cluster.told.push("--dek-type=0".to_owned());
    assert!(cluster.agrees_is_stale(&one));
    cluster.told.pop();
    kinds(&cluster, [AesGcmKey, Seed, AesGcmKey, AesGcmKey]);
    assert!(!cluster.agrees_is_stale(&three));

    step("a newer release");
    cluster.apiserver = upgraded(&cluster, Release(31), &[]);
    assert!(cluster.agrees_is_stale(&three));
    assert!(!cluster.agrees_is_stale(&two));
    cluster.rewrap_run(&[]).expect(0);
    cluster.rewrap("verify", &[]).expect(0);
    kinds(&cluster, [Seed; 4]);
    cluster.restart();
    for object in [&one, &two, &three, &four] {
        assert!(!cluster.agrees_is_stale(object), "{object:?}");
    }
    count_everything(&cluster.kube());
}
