//! What a plugin has wrapped and does not give back.

use tonic::Status;

use super::{RUN, Scene, Wrong};
use crate::{
    store::SECRETS,
    support::{
        encryption::Provider::{AesGcm, Identity, KmsWithin},
        puppet::Call,
    },
};

#[test]
fn what_a_plugin_cannot_give_back_any_more_is_listed_and_stays() {
    let scene = Scene::new(5);
    scene.mended(5);
    let socket = scene.puppet.socket();
    let wrong: [Wrong; 5] = [
        (
            |answers| answers.decrypt = |seed| seed[0] ^= 1,
            "the value is not authentic",
        ),
        (
            |answers| answers.decrypt = |seed| seed.truncate(31),
            "a key of 31 bytes",
        ),
        (
            |answers| answers.refused = Some((Call::Decrypt, Status::not_found("no such key"))),
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
