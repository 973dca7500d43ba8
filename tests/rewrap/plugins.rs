//! Plugins that break a rule, hang, lie or die: what is said, how it ends, and that nothing is lost.

use rustix::process::Signal;
use tonic::{Code, Status};

use super::store::{SECRETS, Store, assert_unsaid};
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesCbc, AesGcm, Identity, Kms, KmsWithin},
    envelope::Client,
    eventually,
    plugin::{Plugin, Site},
    puppet::{Answers, Call, Puppet},
    rewrap::Finished,
};

const VOUCH: &str = "--assume-converged";
const RUN: [&str; 4] = ["--yes", VOUCH, "--max", "--output=json"];

/// One page of a scan; the key of a plugin is looked at before each.
const PAGE: usize = 500;

/// A change to what a plugin answers, and what must be said about it.
type Wrong = (fn(&mut Answers), &'static str);

/// A plugin, and Secrets under an old key that are to come under it.
struct Scene {
    puppet: Puppet,
    store: Store,
}

impl Scene {
    fn new(secrets: usize) -> Self {
        let puppet = Puppet::start();
        let store = Store::start(&[Identity]);
        store.fill(secrets, AesCbc("old"), &mut Dice::new());
        let scene = Self { puppet, store };
        scene.configure("10s");
        scene
    }

    /// How long a call to the plugin may take.
    fn configure(&self, timeout: &str) {
        let socket = self.puppet.socket();
        self.store.configure(&[
            KmsWithin("puppet", &socket, timeout),
            AesCbc("old"),
            Identity,
        ]);
    }

    /// The plugin breaks one rule. Gives the time that a call may take: not much where it is withheld,
    /// but enough for the calls before it.
    fn play(&self, change: fn(&mut Answers)) -> &'static str {
        self.puppet.behave();
        self.puppet.answer(change);
        match self.puppet.withholds() {
            None => "10s",
            Some(Call::Status) => "100ms",
            Some(_) => "1s",
        }
    }

    /// A verb that must end with `code`, name the plugin and what is wrong with it, and leave
    /// everything as it is.
    #[track_caller]
    fn harmless(&self, verb: &str, more: &[&str], code: i32, wrong: &str) -> Finished {
        let finished = self.store.harmless(verb, more, code);
        let socket = self.puppet.socket();
        for words in ["puppet", socket.to_str().unwrap(), wrong] {
            assert!(
                finished.stderr.contains(words),
                "no {words:?} in {finished}"
            );
        }
        assert_unsaid(&finished, &self.puppet.secrets());
        finished
    }

    /// The way out of all of it: the plugin is mended, and the same command does everything.
    fn mended(&self, secrets: usize) {
        self.puppet.behave();
        self.configure("10s");
        let report = self.store.rewrap("run", &RUN).expect(0).json();
        assert_eq!(report["rewrapped"], secrets, "{report:#}");
        self.store.rewrap("verify", &[]).expect(0);
    }
}

#[test]
fn under_a_plugin_that_no_apiserver_would_take_nothing_is_written() {
    let scene = Scene::new(5);
    let wrong: [Wrong; 7] = [
        (
            |answers| answers.status.version = "v2alpha1".into(),
            r#"speaks version "v2alpha1", expected v2beta1 or v2"#,
        ),
        (
            |answers| answers.status.version.clear(),
            r#"speaks version "", expected v2beta1 or v2"#,
        ),
        (
            |answers| answers.status.healthz = "the vault is sealed".into(),
            r#"is unhealthy: its healthz is "the vault is sealed", not "ok"; check its log"#,
        ),
        (
            |answers| answers.status.healthz.clear(),
            r#"is unhealthy: its healthz is """#,
        ),
        (
            |answers| answers.status.key_id.clear(),
            "the plugin must be mended: the key id is empty",
        ),
        (
            |answers| answers.status.key_id = "k".repeat(1025),
            "the plugin must be mended: the key id has 1025 bytes",
        ),
        (
            |answers| answers.withheld = Some(Call::Status),
            "does not answer Status within 100ms; check its log",
        ),
    ];
    for (change, words) in wrong {
        scene.configure(scene.play(change));
        scene.harmless("status", &[], 0, words);
        scene.harmless("plan", &[], 0, words);
        scene.harmless("verify", &[], 1, words);
        scene.harmless("run", &RUN, 4, words);
        assert_eq!(scene.puppet.asked(Call::Encrypt), 0);
    }
    scene.mended(5);
}

#[test]
fn a_plugin_that_is_not_there_is_named() {
    let store = Store::start(&[Identity]);
    store.fill(5, AesCbc("old"), &mut Dice::new());
    let site = Site::with_key();
    store.configure(&[Kms("ringfence", &site.socket()), AesCbc("old"), Identity]);
    for (verb, more, code) in [
        ("status", &[][..], 0),
        ("plan", &[], 0),
        ("verify", &[], 1),
        ("run", &RUN, 4),
    ] {
        let finished = store.harmless(verb, more, code);
        let socket = site.socket();
        for words in [
            "ringfence",
            socket.to_str().unwrap(),
            "No such file or directory",
            "check that it runs",
        ] {
            assert!(finished.stderr.contains(words), "{finished}");
        }
    }
    let _plugin = Plugin::start(&site);
    store.rewrap("run", &RUN).expect(0);
    store.rewrap("verify", &[]).expect(0);
}

#[test]
fn what_no_apiserver_would_store_is_not_written() {
    let scene = Scene::new(5);
    let wrong: [Wrong; 8] = [
        (
            |answers| {
                answers.encrypt = |answer| {
                    answer.key_id.clear();
                    Ok(())
                }
            },
            "answers Encrypt with what kube-apiserver refuses; the plugin must be mended: the key id is empty",
        ),
        (
            |answers| {
                answers.encrypt = |answer| {
                    answer.key_id = "k".repeat(1025);
                    Ok(())
                }
            },
            "the key id has 1025 bytes",
        ),
        (
            |answers| {
                answers.encrypt = |answer| {
                    answer.ciphertext.clear();
                    Ok(())
                }
            },
            "the encrypted DEK source is empty",
        ),
        (
            |answers| {
                answers.encrypt = |answer| {
                    answer.ciphertext = vec![0; 1025];
                    Ok(())
                }
            },
            "the encrypted DEK source has 1025 bytes",
        ),
        (
            |answers| {
                answers.encrypt = |answer| {
                    answer.annotations.insert("nodots".into(), vec![]);
                    Ok(())
                }
            },
            r#"the annotation key "nodots" is no fully qualified domain name"#,
        ),
        (
            |answers| answers.encrypt = |_| Err(Status::new(Code::Internal, "the HSM is full")),
            r#"refuses Encrypt: "the HSM is full" (Internal); its log may say more"#,
        ),
        (
            |answers| answers.withheld = Some(Call::Encrypt),
            "does not answer Encrypt within 1s",
        ),
        (
            |answers| answers.withheld = Some(Call::Decrypt),
            "does not answer Decrypt within 1s",
        ),
    ];
    for (change, words) in wrong {
        scene.configure(scene.play(change));
        let asked = scene.puppet.asked(Call::Encrypt);
        scene.harmless("run", &RUN, 4, words);
        assert_eq!(scene.puppet.asked(Call::Encrypt), asked + 1, "{words}");
    }
    scene.mended(5);
}

#[test]
fn a_plugin_that_encrypts_under_another_key_than_it_names_stops_the_run() {
    let scene = Scene::new(5);
    // It rotates between the two calls.
    let rotates: fn(&mut Answers) = |answers| answers.status.key_id = "two".into();
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
        answers.encrypt = |answer| {
            answer.key_id = "four".into();
            Ok(())
        }
    });
    scene.harmless("run", &run, 5, "said key id three and encrypted under four");

    // Nor does a key id steer the terminal.
    scene
        .puppet
        .answer(|answers| answers.status.key_id = "\u{1b}[2J".into());
    let refused = scene.harmless("run", &RUN, 5, r"said key id \u{1b}[2J and encrypted");
    assert!(!refused.stderr.contains('\u{1b}'), "{refused}");
}

#[test]
fn a_fresh_seed_that_does_not_come_back_is_not_written_with() {
    let scene = Scene::new(5);
    let changed = "does not unwrap what it has just wrapped";
    let wrong: [Wrong; 5] = [
        (
            |answers| {
                answers.decrypt = |seed| {
                    seed[31] ^= 1;
                    Ok(())
                }
            },
            changed,
        ),
        (
            |answers| {
                answers.decrypt = |seed| {
                    seed.pop();
                    Ok(())
                }
            },
            changed,
        ),
        (
            |answers| {
                answers.decrypt = |seed| {
                    seed.push(0);
                    Ok(())
                }
            },
            changed,
        ),
        (
            |answers| {
                answers.decrypt = |seed| {
                    seed.clear();
                    Ok(())
                }
            },
            changed,
        ),
        (
            |answers| answers.decrypt = |_| Err(Status::new(Code::InvalidArgument, "unknown key")),
            r#"refuses Decrypt: "unknown key" (InvalidArgument)"#,
        ),
    ];
    for ((change, words), code) in wrong.into_iter().zip([5, 5, 5, 5, 4]) {
        scene.configure(scene.play(change));
        let refused = scene.store.harmless("run", &RUN, code);
        assert!(refused.stderr.contains(words), "{refused}");
        assert_unsaid(&refused, &scene.puppet.secrets());
    }
    scene.mended(5);
}

#[test]
fn what_a_plugin_cannot_give_back_any_more_is_listed_and_stays() {
    let scene = Scene::new(5);
    scene.mended(5);
    let socket = scene.puppet.socket();
    let wrong: [Wrong; 5] = [
        (
            |answers| {
                answers.decrypt = |seed| {
                    seed[0] ^= 1;
                    Ok(())
                }
            },
            "the value is not authentic",
        ),
        (
            |answers| {
                answers.decrypt = |seed| {
                    seed.truncate(31);
                    Ok(())
                }
            },
            "a key of 31 bytes",
        ),
        (
            |answers| answers.decrypt = |_| Err(Status::new(Code::NotFound, "no such key")),
            r#"refuses Decrypt: "no such key" (NotFound)"#,
        ),
        (
            |answers| answers.withheld = Some(Call::Decrypt),
            "does not answer Decrypt within 1s",
        ),
        (
            |answers| answers.withheld = Some(Call::Status),
            "does not answer Status within 100ms",
        ),
    ];
    for (change, words) in wrong {
        // Away from the plugin.
        let kms = KmsWithin("puppet", &socket, scene.play(change));
        scene.store.configure(&[AesGcm("new"), kms, Identity]);
        let inventory = scene.store.harmless("status", &["--output=json"], 0).json();
        assert_eq!(inventory["resources"][0]["unreadable"], 5, "{inventory:#}");
        scene.store.harmless("verify", &[], 1);
        let report = scene.store.harmless("run", &RUN, 6).json();
        for failures in [&report["failures"], &inventory["unreadable"]] {
            let failures = failures.as_array().unwrap();
            assert_eq!(failures.len(), 5, "{report:#}");
            for failure in failures {
                assert!(failure["key"].as_str().unwrap().starts_with(SECRETS));
                let error = failure["error"].as_str().unwrap();
                assert!(error.starts_with(r#"kms-v2 "puppet": "#), "{error}");
                assert!(error.contains(words), "no {words:?} in {error}");
            }
        }
    }
    scene.puppet.behave();
    let report = scene.store.rewrap("run", &RUN).expect(0).json();
    assert_eq!(report["rewrapped"], 5, "{report:#}");
    scene.store.rewrap("verify", &[]).expect(0);
}

/// What a run has written by then stays written: it is under the right key, and the next run goes on.
#[test]
fn a_plugin_that_breaks_a_rule_during_a_run_stops_it() {
    let scene = Scene::new(PAGE + 20);
    let plaintexts = scene.store.opened().0;
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
    for ((change, words), rewrapped) in wrong.into_iter().zip([PAGE, 0, 0]) {
        scene.puppet.behave();
        scene.configure("2s");
        // Asked at the beginning and before the first page; before the second it is another.
        scene.puppet.answer_after(2, Call::Status, change);
        let stopped = scene.store.rewrap("run", &RUN).expect(4);
        for words in [
            "puppet does not answer any more",
            "what is written is safe",
            words,
        ] {
            assert!(stopped.stderr.contains(words), "{stopped}");
        }
        assert_eq!(stopped.json()["rewrapped"], rewrapped, "{stopped}");
        assert_unsaid(&stopped, &scene.puppet.secrets());
    }
    scene.puppet.behave();
    let mut client = Client::new("puppet", &scene.puppet.socket());
    assert!(scene.store.opened_with(&mut client) == (plaintexts, PAGE));
    scene.mended(20);
}

#[test]
fn a_plugin_that_dies_during_a_run_stops_it_and_the_next_one_goes_on() {
    let site = Site::with_key();
    let mut plugin = Plugin::start(&site);
    let store = Store::start(&[Kms("ringfence", &site.socket()), AesCbc("old"), Identity]);
    let plaintexts = store.fill(PAGE + 20, AesCbc("old"), &mut Dice::new());
    let run = store.start_rewrap("run", &["--yes", VOUCH, "--rate=200", "--output=json"]);
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
    assert_eq!(stopped.json()["rewrapped"], PAGE, "{stopped}");
    assert_unsaid(&stopped, &[]);

    let _plugin = Plugin::start(&site);
    let mut client = Client::new("ringfence", &site.socket());
    assert!(store.opened_with(&mut client) == (plaintexts.clone(), PAGE));
    let report = store.rewrap("run", &RUN).expect(0).json();
    assert_eq!(report["rewrapped"], 20, "{report:#}");
    store.rewrap("verify", &[]).expect(0);
    assert!(store.opened_with(&mut client) == (plaintexts, PAGE + 20));
}
