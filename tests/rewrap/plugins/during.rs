//! During a run: it stops, what is written is safe, and the next one goes on.

use rustix::process::Signal;

use super::{RUN, Scene, VOUCH, Wrong};
use crate::{
    store::{SECRETS, Store, assert_unsaid},
    support::{
        dice::Dice,
        encryption::Provider::{AesCbc, Identity, Kms},
        envelope::Client,
        eventually,
        plugin::{Plugin, Site},
        puppet::{Call, Change},
    },
};

/// So many, and as fast, that the key of the plugin is looked at several times while they are written.
const SECRETS_OF_A_RUN: usize = 120;
const SLOWLY: &str = "--rate=10";

#[test]
fn a_plugin_that_encrypts_under_another_key_than_it_names_stops_the_run() {
    let scene = Scene::new(5);
    // It rotates between the two calls.
    let rotates: Change = |answers| answers.status.key_id = "two".into();
    scene.puppet.answer_after(0, Call::Encrypt, rotates);
    let words = "said key id one and encrypted under two; it has just rotated: run this again";
    scene.harmless("run", &RUN, 5, words);
    scene.mended(5);

    // Whoever said so beforehand goes on.
    scene
        .store
        .etcd
        .delete(&format!("{SECRETS}default/secret-00000"));
    scene.store.fill(1, AesCbc("old"), &mut Dice::new());
    scene.puppet.answer_after(0, Call::Encrypt, rotates);
    let run = [&RUN[..], &["--follow"]].concat();
    let followed = scene.store.rewrap("run", &run).expect(0);
    assert!(
        followed.stderr.contains("going on under key id two"),
        "{followed}"
    );
    assert_eq!(followed.json()["rewrapped"], 5, "{followed}");
    scene.store.rewrap("verify", &[]).expect(0);

    // But not for ever.
    scene.puppet.answer(|answers| {
        answers.status.key_id = "three".into();
        answers.encrypt = |answer| answer.key_id = "four".into();
    });
    scene.harmless("run", &run, 5, "said key id three and encrypted under four");

    // Nor does a key id steer the terminal.
    scene
        .puppet
        .answer(|answers| answers.status.key_id = "\u{1b}[2J".into());
    let refused = scene.harmless("run", &RUN, 5, r"said key id \u{1b}[2J and encrypted");
    assert!(!refused.stderr.contains('\u{1b}'), "{refused}");
}

/// What a run has written by then stays written: it is under the right key, and the next run goes on.
#[test]
fn a_plugin_that_breaks_a_rule_during_a_run_stops_it() {
    let scene = Scene::new(SECRETS_OF_A_RUN);
    let plaintexts = scene.store.opened().0;
    let mut written = 0;
    let wrong: [Wrong; 3] = [
        (
            |answers| answers.status.healthz = "sealed".into(),
            r#"its healthz is "sealed""#,
        ),
        (
            |answers| answers.status.key_id.clear(),
            "the key id is empty",
        ),
        (
            |answers| answers.withheld = Some(Call::Status),
            "does not answer Status within 2s",
        ),
    ];
    for (change, words) in wrong {
        scene.puppet.behave();
        scene.configure("2s");
        // Asked at the beginning, and twice before the first write; the next time it is another.
        scene.puppet.answer_after(3, Call::Status, change);
        let run = ["--yes", VOUCH, SLOWLY, "--output=json"];
        let stopped = scene.store.rewrap("run", &run).expect(4);
        for words in [
            "puppet does not answer any more",
            "what is written is safe",
            words,
        ] {
            assert!(stopped.stderr.contains(words), "{stopped}");
        }
        let report = stopped.json();
        let rewrapped = report["rewrapped"].as_u64().unwrap();
        assert!(rewrapped > 0, "{stopped}");
        written += usize::try_from(rewrapped).unwrap();
        assert_eq!(report["left"], SECRETS_OF_A_RUN - written, "{stopped}");
        assert_unsaid(&stopped, &scene.puppet.secrets());
    }
    scene.puppet.behave();
    let mut client = Client::new("puppet", &scene.puppet.socket());
    assert!(written < SECRETS_OF_A_RUN, "no run was stopped");
    assert!(scene.store.opened_with(&mut client) == (plaintexts, written));
    scene.mended(SECRETS_OF_A_RUN - written);
}

#[test]
fn a_plugin_that_dies_during_a_run_stops_it_and_the_next_one_goes_on() {
    let site = Site::with_key();
    let mut plugin = Plugin::start(&site);
    let store = Store::start(&[Kms("ringfence", &site.socket()), AesCbc("old"), Identity]);
    let plaintexts = store.fill(SECRETS_OF_A_RUN, AesCbc("old"), &mut Dice::new());
    let run = store.start_rewrap("run", &["--yes", VOUCH, SLOWLY, "--output=json"]);
    eventually("the run has begun to write", || {
        let old = |value: &[u8]| value.starts_with(b"k8s:enc:aescbc:");
        let stored = store.etcd.list(SECRETS);
        stored
            .iter()
            .any(|stored| !old(&stored.value))
            .then_some(())
    });
    plugin.signal(Signal::KILL);
    plugin.wait();
    let stopped = run.finish().expect(4);
    for words in ["ringfence does not answer any more", "check that it runs"] {
        assert!(stopped.stderr.contains(words), "{stopped}");
    }
    let written = stopped.json()["rewrapped"].as_u64().unwrap();
    let written = usize::try_from(written).unwrap();
    assert!(written < SECRETS_OF_A_RUN, "{stopped}");
    assert_unsaid(&stopped, &[]);

    let _plugin = Plugin::start(&site);
    let mut client = Client::new("ringfence", &site.socket());
    assert!(store.opened_with(&mut client) == (plaintexts.clone(), written));
    let report = store.rewrap("run", &RUN).expect(0).json();
    assert_eq!(
        report["rewrapped"],
        SECRETS_OF_A_RUN - written,
        "{report:#}"
    );
    store.rewrap("verify", &[]).expect(0);
    assert!(store.opened_with(&mut client) == (plaintexts, SECRETS_OF_A_RUN));
}
