//! Before the first write: what no apiserver would take or store is not written with.

use kms_proto::wire::v2::EncryptResponse;
use tonic::Status;

use super::{RUN, Scene, Wrong};
use crate::{
    store::{Store, assert_unsaid},
    support::{
        dice::Dice,
        encryption::Provider::{AesCbc, Identity, Kms},
        plugin::{Plugin, Site},
        puppet::Call,
    },
};

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
    type Answer = fn(&mut EncryptResponse);
    let wrong: [(Answer, &str); 5] = [
        (
            |answer| answer.key_id.clear(),
            "answers Encrypt with what kube-apiserver refuses; the plugin must be mended: the key id is empty",
        ),
        (
            |answer| answer.key_id = "k".repeat(1025),
            "the key id has 1025 bytes",
        ),
        (
            |answer| answer.ciphertext.clear(),
            "the encrypted DEK source is empty",
        ),
        (
            |answer| answer.ciphertext = vec![0; 1025],
            "the encrypted DEK source has 1025 bytes",
        ),
        (
            |answer| drop(answer.annotations.insert("nodots".into(), vec![])),
            r#"the annotation key "nodots" is no fully qualified domain name"#,
        ),
    ];
    for (change, words) in wrong {
        scene.puppet.answer(|answers| answers.encrypt = change);
        scene.harmless("run", &RUN, 4, words);
    }
    scene.mended(5);
}

/// Sixteen objects are in flight: one failure stands for all of them.
#[test]
fn a_plugin_that_refuses_or_hangs_is_asked_once() {
    let scene = Scene::new(5);
    let wrong: [Wrong; 3] = [
        (
            |answers| answers.refused = Some((Call::Encrypt, Status::internal("the HSM is full"))),
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
fn a_fresh_seed_that_does_not_come_back_is_not_written_with() {
    let scene = Scene::new(5);
    let changes: [fn(&mut Vec<u8>); 4] = [
        |seed| seed[31] ^= 1,
        |seed| seed.truncate(31),
        |seed| seed.push(0),
        |seed| seed.clear(),
    ];
    for change in changes {
        scene.puppet.answer(|answers| answers.decrypt = change);
        let refused = scene.store.harmless("run", &RUN, 5);
        for words in [
            "puppet does not unwrap what it has just wrapped",
            "must be mended",
        ] {
            assert!(refused.stderr.contains(words), "{refused}");
        }
        assert_unsaid(&refused, &scene.puppet.secrets());
    }
    scene.puppet.behave();
    let unknown = Some((Call::Decrypt, Status::invalid_argument("unknown key")));
    scene.puppet.answer(|answers| answers.refused = unknown);
    let words = r#"refuses Decrypt: "unknown key" (InvalidArgument)"#;
    scene.harmless("run", &RUN, 4, words);
    scene.mended(5);
}
