//! `rewrap watch` while others write.

use kms_proto::DekSourceType::HkdfSha256XnonceAesGcmSeed as Seed;
use rewrap_cli::stored::{self, FreshDekSource, Rule, WriteDek};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::store::{SECRETS, Store, assert_unsaid};
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesCbc, AesGcm, Identity, Kms},
    envelope::Client,
    eventually,
    plugin::{Plugin, Site},
    rewrap::Running,
    sealed::{seal, secret_json},
};

const PROVIDER: &str = "ringfence";

fn start(store: &Store, flags: &[&str]) -> Running {
    let watch = store.start_rewrap("watch", flags);
    eventually("rewrap watches", || {
        watch.so_far()[1].contains("watching").then_some(())
    });
    watch
}

/// The path of a Secret, and its value under the plugin's current key.
fn sealed(client: &mut Client, name: &str) -> (String, Vec<u8>) {
    let source = FreshDekSource::generate().unwrap();
    let wrapped = client.wrap(source.source().expose());
    let dek = WriteDek::v2(PROVIDER.into(), Seed, source, wrapped);
    let rule = Rule::new(stored::Provider::KmsV2(PROVIDER.into()), []);
    let path = format!("{SECRETS}default/{name}");
    let value = rule.seal(path.as_bytes(), b"{}", Some(&dek)).unwrap();
    (path, value)
}

/// Waits until it has printed so many lines.
fn lines(watch: &Running, count: usize) -> Vec<String> {
    eventually("a write is told", || {
        let lines: Vec<_> = watch.so_far()[0].lines().map(str::to_owned).collect();
        (lines.len() >= count).then_some(lines)
    })
}

#[test]
fn what_is_not_under_the_current_key_is_told_as_it_is_written() {
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    let mut dice = Dice::new();
    let watch = start(&store, &["--json"]);
    let writes = [
        (AesGcm("new"), None),
        (AesCbc("old"), Some("stale")),
        (Identity, Some("plaintext")),
        (AesGcm("new"), None),
        (AesCbc("unknown"), Some("unreadable")),
    ];
    let mut told = Vec::new();
    for (number, (provider, state)) in writes.into_iter().enumerate() {
        let path = format!("{SECRETS}default/{number}");
        let plaintext = secret_json("default", "x", "never-to-be-shown");
        let revision = store
            .etcd
            .put(&path, &seal(provider, &path, &plaintext, &mut dice));
        // Whatever else happens under the prefix is nobody's to encrypt, or in no rule.
        store.etcd.put("/registry/masterleases/10.0.0.1", b"x");
        store.etcd.put("/registry/configmaps/default/x", b"{}");
        if let Some(state) = state {
            told.push(json!([path, state, revision]));
            let heard: Vec<_> = lines(&watch, told.len())
                .iter()
                .map(|line| {
                    let line: Value = serde_json::from_str(line).unwrap();
                    json!([line["key"], line["state"], line["modRevision"]])
                })
                .collect();
            assert_eq!(heard, told);
        }
    }
    store.etcd.delete(&format!("{SECRETS}default/1"));
    kill_process(Pid::from_child(&watch.child), Signal::INT).unwrap();
    let finished = watch.finish().expect(1);
    let sums = "writes seen, 3 of them not under the current key";
    assert!(finished.stderr.contains(sums), "{finished}");
    assert_unsaid(&finished, &[]);
}

/// A plugin is silent just when its key goes round.
#[test]
fn what_cannot_be_judged_is_told_too() {
    let site = Site::with_key();
    let mut plugin = Plugin::start(&site);
    let socket = site.socket();
    let store = Store::start(&[Kms(PROVIDER, &socket), Identity]);
    let (path, before) = sealed(&mut Client::new(PROVIDER, &socket), "before");
    site.keygen("two");
    plugin.take(&site, &["one", "two"]);
    plugin.take(&site, &["two", "one"]);
    let watch = start(&store, &[]);
    plugin.signal(Signal::KILL);
    plugin.wait();
    for count in 1..3 {
        store.etcd.put(&path, &before);
        let told = lines(&watch, count);
        assert!(
            told[count - 1].contains("secrets default/before"),
            "{told:?}"
        );
    }
    let said = watch.so_far()[1].clone();
    assert!(
        said.contains("what is written under it is not judged"),
        "{said}"
    );
}

#[test]
fn it_ends_by_itself_and_clean_where_all_is_current() {
    let store = Store::start(&[AesGcm("new"), Identity]);
    let watch = start(&store, &["--for=2"]);
    let path = format!("{SECRETS}default/a");
    let value = seal(AesGcm("new"), &path, b"{}", &mut Dice::new());
    store.etcd.put(&path, &value);
    let finished = watch.finish().expect(0);
    assert_eq!(finished.stdout, "");
}

#[test]
fn a_key_id_that_the_plugin_rotated_to_is_current_at_once() {
    let site = Site::with_key();
    let plugin = Plugin::start(&site);
    let socket = site.socket();
    let store = Store::start(&[Kms(PROVIDER, &socket), Identity]);
    let mut client = Client::new(PROVIDER, &socket);
    let mut seal = |name: &str| sealed(&mut client, name);
    let put = |(path, value): &(String, Vec<u8>)| store.etcd.put(path, value);
    let before = seal("before");
    let watch = start(&store, &[]);
    put(&before);
    site.keygen("two");
    plugin.take(&site, &["one", "two"]);
    plugin.take(&site, &["two", "one"]);
    put(&seal("after"));
    put(&before);
    let told = lines(&watch, 1);
    assert_eq!(told.len(), 1, "{told:?}");
    let words = "secrets default/before  written with kms-v2 ringfence";
    assert!(told[0].contains(words), "{told:?}");
}
