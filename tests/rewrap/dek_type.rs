//! Which kind of DEK source counts as current under KMS v2, and is written: `--dek-type`.

use std::collections::{BTreeMap, BTreeSet};

use kms_proto::DekSourceType::{self, AesGcmKey, HkdfSha256XnonceAesGcmSeed as Seed};
use rewrap_cli::stored::{self, FreshDekSource, Rule, WriteDek};

use super::store::{SECRETS, Store};
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesCbc, Identity, Kms},
    envelope::Client,
    plugin::{Plugin, Site},
    sealed::secret_json,
};

const PROVIDER: &str = "ringfence";
const RUN: [&str; 4] = ["--yes", "--assume-converged", "--max", "--output=json"];
const V1_28: &str = "--kubernetes-version=1.28";

/// The first nonce counter of kube-apiserver, which all values under one type 0 DEK count on from.
const FIRST_COUNT: u64 = 1_000_000_001;

/// A real plugin, and a store that uses it.
struct Scene {
    store: Store,
    plugin: Plugin,
    site: Site,
    client: Client,
    plaintexts: BTreeMap<String, Vec<u8>>,
}

impl Scene {
    /// With so many Secrets under an old key.
    fn new(old: usize) -> Self {
        let site = Site::with_key();
        let plugin = Plugin::start(&site);
        let socket = site.socket();
        let store = Store::start(&[Kms(PROVIDER, &socket), AesCbc("old"), Identity]);
        let plaintexts = store.fill(old, AesCbc("old"), &mut Dice::new());
        Self {
            client: Client::new(PROVIDER, &socket),
            store,
            plugin,
            site,
            plaintexts,
        }
    }

    /// Stores Secrets under the plugin's current key as one apiserver of a release would: 1.28
    /// writes type 0, newer ones type 1.
    fn write(&mut self, kind: DekSourceType, names: impl IntoIterator<Item = &'static str>) {
        let source = FreshDekSource::generate().unwrap();
        let wrapped = self.client.wrap(source.source().expose());
        let dek = WriteDek::v2(PROVIDER.into(), kind, source, wrapped);
        let rule = Rule::new(stored::Provider::KmsV2(PROVIDER.into()), []);
        for name in names {
            let path = format!("{SECRETS}default/{name}");
            let plaintext = secret_json("default", name, "never-to-be-shown");
            let value = rule.seal(path.as_bytes(), &plaintext, Some(&dek)).unwrap();
            self.store.etcd.put(&path, &value);
            self.plaintexts.insert(path, plaintext);
        }
    }

    /// How many Secrets `status` finds current and stale.
    #[track_caller]
    fn counts(&self, flags: &[&str]) -> (u64, u64) {
        let flags = [flags, &["--output=json"]].concat();
        let inventory = self.store.harmless("status", &flags, 0).json();
        let secrets = &inventory["resources"][0];
        let [current, stale] = ["current", "stale"].map(|state| secrets[state].as_u64().unwrap());
        (current, stale)
    }

    /// What `get` says of one of them.
    #[track_caller]
    fn state(&self, name: &str, flags: &[&str]) -> String {
        let object = format!("default/{name}");
        let flags = [flags, &["secrets", &object, "--output=json"]].concat();
        let said = self.store.harmless("get", &flags, 0).json();
        said["state"].as_str().unwrap().to_owned()
    }

    /// A run that must rewrite so many, after which all is current and of one kind, and opens to
    /// what it was.
    #[track_caller]
    fn run(&mut self, flags: &[&str], rewrapped: usize, kind: DekSourceType) {
        let run = [flags, &RUN[..]].concat();
        let report = self.store.rewrap("run", &run).expect(0).json();
        assert_eq!(report["rewrapped"], rewrapped, "{report:#}");
        self.store.rewrap("verify", flags).expect(0);
        for stored in self.store.etcd.list(SECRETS) {
            let opened = self.client.open(&stored.key, &stored.value).unwrap();
            assert_eq!(opened.kind, kind, "{}", stored.key);
            assert!(opened.plaintext == self.plaintexts[&stored.key]);
        }
    }

    /// The nonce counters under each DEK source, by its ciphertext.
    fn counters(&mut self) -> BTreeMap<Vec<u8>, Vec<u64>> {
        let mut counters = BTreeMap::<_, Vec<_>>::new();
        for stored in self.store.etcd.list(SECRETS) {
            let opened = self.client.open(&stored.key, &stored.value).unwrap();
            let (_random, counter) = opened.nonce.split_at(4);
            let wrapped = opened.dek_source.ciphertext.as_bytes().to_vec();
            let count = u64::from_le_bytes(counter.try_into().unwrap());
            counters.entry(wrapped).or_default().push(count);
        }
        counters
    }
}

#[test]
fn auto_is_the_type_of_the_newest_value_under_the_current_key_id() {
    let mut scene = Scene::new(6);
    scene.write(Seed, ["a", "b", "c", "d"]);
    scene.write(AesGcmKey, ["x", "y", "z"]);
    assert_eq!(scene.counts(&[]), (3, 10));
    assert_eq!(scene.counts(&["--fast"]), (3, 10));
    assert_eq!(
        [scene.state("a", &[]), scene.state("x", &[])],
        ["stale", "current"]
    );
    assert_eq!(scene.state("a", &["--dek-type=1"]), "current");
    // The newest one, not the one that sorts last.
    scene.write(Seed, ["a"]);
    assert_eq!(scene.counts(&[]), (4, 9));
    scene.write(AesGcmKey, ["b"]);
    assert_eq!(scene.counts(&[]), (4, 9));
    // What somebody says counts for more.
    assert_eq!(scene.counts(&["--dek-type=0"]), (4, 9));
    assert_eq!(scene.counts(&["--dek-type=1"]), (3, 10));
    // And a release that writes but one kind, whatever an older one has left.
    assert_eq!(scene.counts(&["--kubernetes-version=1.34"]), (3, 10));
    assert_eq!(scene.counts(&[V1_28]), (4, 9));

    scene.run(&[], 9, AesGcmKey);
    scene.store.rewrap("verify", &["--dek-type=1"]).expect(1);

    scene.run(&["--dek-type=1"], 13, Seed);
    // Now the newest say so.
    scene.store.rewrap("verify", &[]).expect(0);
    scene.store.rewrap("verify", &[V1_28]).expect(0);
    scene.store.rewrap("verify", &["--dek-type=0"]).expect(1);
}

#[test]
fn the_release_decides_where_nothing_is_under_the_current_key_id() {
    let mut scene = Scene::new(20);
    scene.run(&[V1_28], 20, AesGcmKey);
    scene.store.rewrap("verify", &[]).expect(0);

    // Under a new key id there is nothing again, whatever was under the old one.
    scene.site.keygen("two");
    scene.site.configure(&["two", "one"]);
    scene.plugin.logged("took the keyring of the files");
    assert_eq!(scene.counts(&[]), (0, 20));
    scene.run(&[], 20, Seed);
    scene.run(&["--dek-type=0"], 20, AesGcmKey);
}

#[test]
fn nonces_of_type_0_count_on_from_the_first_and_never_repeat() {
    let mut scene = Scene::new(50);
    scene.write(AesGcmKey, ["x", "y", "z"]);
    scene.run(&[], 50, AesGcmKey);
    let mut counters: Vec<_> = scene.counters().into_values().collect();
    counters.sort_by_key(Vec::len);
    let lengths: Vec<_> = counters.iter().map(Vec::len).collect();
    assert_eq!(
        lengths,
        [3, 50],
        "one DEK of the apiserver's, one of the run"
    );
    for counts in counters {
        let distinct: BTreeSet<_> = counts.iter().copied().collect();
        let expected = FIRST_COUNT..FIRST_COUNT + counts.len() as u64;
        assert_eq!(distinct, expected.collect());
    }
}
