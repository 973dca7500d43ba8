//! Every transformer both ways: what kube-apiserver wrote `rewrap` opens, what `rewrap` wrote
//! kube-apiserver opens, and both call the same objects stale.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use kms_proto::DekSourceType::{self, AesGcmKey, HkdfSha256XnonceAesGcmSeed as Seed};
use serde_json::{Value, json};

use crate::{
    agreement::{Object, assert_written_with},
    churn::secret,
    cluster::Cluster,
    collections::count_everything,
    kinds::{config_map, create_namespace, define, panda},
    ledger::Ledger,
    step,
    support::{
        apiserver::Release,
        dice::Dice,
        encryption::{
            Key,
            Local::{AesCbc, AesGcm, Secretbox},
            Provider::{self, Identity, Kms, KmsV1, Local},
        },
        envelope::Client,
        etcd::gateway::Stored,
        plugin::{Plugin, Site},
        puppet::Puppet,
    },
};

const EVERYTHING: [&str; 1] = ["*.*"];

/// What kube-apiserver stores without its transformers.
const NEVER_ENCRYPTED: [&str; 3] = [
    "/registry/masterleases/",
    "/registry/peerserverleases/",
    "/registry/ranges/",
];

const AES_128: [Key<'_>; 1] = [key("aes-128", 16)];
const AES_192: [Key<'_>; 1] = [key("aes-192", 24)];
const AES_256: [Key<'_>; 1] = [key("aes-256", 32)];
const BOX: [Key<'_>; 1] = [key("box", 32)];
/// The counters of the first nonces under a type 0 DEK.
const FIRST_COUNTS: RangeInclusive<u64> = 1_000_000_001..=1_000_100_000;
/// A name that only KMS v1 may have.
const V1: &str = "plug:in";
const V2: &str = "plugin";

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn every_transformer_both_ways() {
    every_transformer_both_ways_on(Release::NEWEST);
}

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn every_transformer_both_ways_on_1_31() {
    every_transformer_both_ways_on(Release(31));
}

pub(crate) fn every_transformer_both_ways_on(release: Release) {
    let puppet = Puppet::start();
    let site = Site::with_key();
    let _plugin = Plugin::start(&site);
    let (v1, v2) = (puppet.socket(), site.socket());

    let mut matrix = Matrix::begin(release);
    for (transformer, name) in [(AesCbc, "aescbc"), (AesGcm, "aesgcm")] {
        for keys in [&AES_128, &AES_192, &AES_256] {
            matrix.moves_to(Local(transformer, keys), name, keys[0].name);
        }
    }
    matrix.moves_to(Local(Secretbox, &BOX), "secretbox", BOX[0].name);
    matrix.moves_to(KmsV1(V1, &v1), "kms-v1", V1);
    matrix.moves_to(Kms(V2, &v2), "kms-v2", V2);
    let mut client = Client::new(V2, &v2);
    if release < Release(29) {
        matrix.is_sealed_by_both(AesGcmKey, &mut client);
    } else {
        matrix.is_sealed_by_both(Seed, &mut client);
        matrix.finds_keys_of_1_28_stale(&mut client);
        matrix.is_sealed_by_both(Seed, &mut client);
    }
    matrix.moves_to(Identity, "identity", "");
    matrix.is_what_was_opened();
}

/// A cluster, its objects, and what they are encrypted with.
struct Matrix<'a> {
    cluster: Cluster,
    dice: Dice,
    secrets: Ledger,
    config_maps: Ledger,
    pandas: Ledger,
    /// Objects that the apiserver brings to the next provider, and those that `rewrap` does.
    touched: Vec<Object>,
    untouched: Vec<Object>,
    /// All objects as `rewrap` has opened them.
    opened: BTreeMap<Object, Vec<u8>>,
    /// What everything is encrypted with.
    provider: Provider<'a>,
}

impl<'a> Matrix<'a> {
    /// Everything is plain text.
    fn begin(release: Release) -> Self {
        let cluster = Cluster::of(release, &["--feature-gates=KMSv1=true"]);
        let kube = cluster.kube();
        create_namespace(&kube, "matrix");
        define(&kube, "pandas", "Panda");
        define(&kube, "zoos", "Zoo");
        let mut matrix = Self {
            cluster,
            dice: Dice::new(),
            secrets: Ledger::new("/api/v1/namespaces/matrix/secrets"),
            config_maps: Ledger::new("/api/v1/namespaces/matrix/configmaps"),
            pandas: Ledger::new("/apis/awesome.bears.com/v1/namespaces/matrix/pandas"),
            touched: Vec::new(),
            untouched: Vec::new(),
            opened: BTreeMap::new(),
            provider: Identity,
        };
        let created = matrix.create("touched");
        matrix.touched = [&written_as_json("pandas", "v1.apps")[..], &created].concat();
        let created = matrix.create("untouched");
        matrix.untouched = [&written_as_json("zoos", "v1.batch")[..], &created].concat();
        matrix
    }

    /// From plain text or another provider to this one, which the apiserver and then `rewrap` write.
    fn moves_to(&mut self, provider: Provider<'a>, kind: &str, key: &str) {
        step(&format!("{kind} {key}"));
        let writes_with = json!({"provider": kind, "key": key});
        let before = std::mem::replace(&mut self.provider, provider);
        self.cluster
            .write_encryption(&EVERYTHING, &[provider, before]);
        self.cluster.restart();
        for object in &self.touched {
            assert!(self.cluster.agrees_is_stale(object), "{object:?}");
        }
        let created = self.create(&format!("created-{}", self.secrets.len()));
        for object in self.touched.iter().chain(&created) {
            let stored = self.cluster.stored(object);
            assert_written_with(&stored, &writes_with);
            assert!(!self.cluster.agrees_is_stale(object), "{object:?}");
            let opened = self.cluster.reveal(object);
            let first = self
                .opened
                .entry(object.clone())
                .or_insert_with(|| opened.clone());
            assert!(*first == opened, "{object:?} opens to something else");
        }
        self.untouched.extend(created);

        self.rewraps(&writes_with);
        self.cluster.write_encryption(&EVERYTHING, &[provider]);
        self.cluster.restart();
        let kube = self.cluster.kube();
        for ledger in [&self.secrets, &self.config_maps, &self.pandas] {
            ledger.read_back(&kube);
        }
        count_everything(&kube);
        for object in self.touched.iter().chain(&self.untouched) {
            assert!(!self.cluster.agrees_is_stale(object), "{object:?}");
        }
    }

    /// `rewrap` brings all that is left to the provider that writes now.
    fn rewraps(&self, writes_with: &Value) {
        // Whatever is under KMS v1, nobody can say whether it is current.
        let v1 = writes_with["provider"] == "kms-v1";
        let flags = if v1 { &["--force-kms-v1"][..] } else { &[] };
        let report = self.cluster.rewrap_run_with(&[], flags).expect(0).json();
        eprintln!("{} of {} rewrapped", report["rewrapped"], report["total"]);
        assert_eq!(report["left"], 0, "{report:#}");
        assert!(report["rewrapped"].as_u64() >= Some(self.untouched.len() as u64));
        self.cluster.rewrap("verify", &[]).expect(i32::from(v1));

        for row in self.cluster.status(&[])["resources"].as_array().unwrap() {
            assert_eq!(&row["writesWith"], writes_with, "{row:#}");
        }
        for stored in self.cluster.etcd.list("/registry/") {
            if NEVER_ENCRYPTED
                .iter()
                .any(|path| stored.key.starts_with(path))
            {
                assert!(!stored.value.starts_with(b"k8s:enc:"), "{}", stored.key);
            } else {
                assert_written_with(&stored, writes_with);
            }
        }
    }

    /// Creates a Secret, a ConfigMap and a custom resource.
    fn create(&mut self, name: &str) -> [Object; 3] {
        let kube = self.cluster.kube();
        let secret = secret(name, &mut self.dice);
        self.secrets.create(&kube, &secret).unwrap();
        self.config_maps.create(&kube, &config_map(name)).unwrap();
        self.pandas.create(&kube, &panda(name, 7)).unwrap();
        [
            Object::new("secrets", self.secrets.collection(), name),
            Object::new("configmaps", self.config_maps.collection(), name),
            Object::new("pandas.awesome.bears.com", self.pandas.collection(), name),
        ]
    }

    /// Every value is an envelope of this kind, and under a type 0 DEK no nonce is used twice. Gives
    /// the DEK sources by object.
    fn is_sealed_with(
        &self,
        kind: DekSourceType,
        client: &mut Client,
    ) -> BTreeMap<&Object, Vec<u8>> {
        let mut nonces: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let mut sources = BTreeMap::new();
        for object in self.touched.iter().chain(&self.untouched) {
            let Stored { key, value, .. } = self.cluster.stored(object);
            let opened = client.open(&key, &value).unwrap();
            assert_eq!(opened.kind, kind, "{key}");
            let source = opened.dek_source.ciphertext.as_bytes().to_vec();
            if kind == AesGcmKey {
                let (_random, count) = opened.nonce.split_at(4);
                let count = u64::from_le_bytes(count.try_into().unwrap());
                assert!(FIRST_COUNTS.contains(&count), "{key}: {count}");
                let nonces = nonces.entry(source.clone()).or_default();
                assert!(nonces.insert(opened.nonce), "{key}");
            }
            sources.insert(object, source);
        }
        sources
    }

    /// The DEK sources of the apiserver and of `rewrap` are two.
    fn is_sealed_by_both(&self, kind: DekSourceType, client: &mut Client) {
        let sources = self.is_sealed_with(kind, client);
        let sources: BTreeSet<_> = sources.into_values().collect();
        assert_eq!(sources.len(), 2);
    }

    /// An upgrade from 1.28 makes all stale, though the KEK is the same.
    fn finds_keys_of_1_28_stale(&self, client: &mut Client) {
        step("kms-v2 as 1.28 writes it");
        let report = self.cluster.rewrap_run_with(&[], &["--dek-type=0"]);
        report.expect(0);
        self.is_sealed_with(AesGcmKey, client);
        for object in &self.touched {
            assert!(self.cluster.agrees_is_stale(object), "{object:?}");
        }
        self.rewraps(&json!({"provider": "kms-v2", "key": V2}));
    }

    /// The objects are plain text now, and byte by byte what `rewrap` opened.
    fn is_what_was_opened(&self) {
        assert!(self.opened.len() > 30);
        for (object, opened) in &self.opened {
            let stored = self.cluster.stored(object);
            assert!(stored.value == *opened, "{object:?}");
        }
    }
}

/// A CustomResourceDefinition and an APIService: JSON even where all else is protobuf.
fn written_as_json(definition: &str, service: &str) -> [Object; 2] {
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let services = "/apis/apiregistration.k8s.io/v1/apiservices";
    let definition = format!("{definition}.awesome.bears.com");
    [
        Object::new(
            "customresourcedefinitions.apiextensions.k8s.io",
            definitions,
            &definition,
        ),
        Object::new("apiservices.apiregistration.k8s.io", services, service),
    ]
}

const fn key(name: &'static str, bytes: usize) -> Key<'static> {
    Key {
        name,
        secret: name,
        bytes,
    }
}
