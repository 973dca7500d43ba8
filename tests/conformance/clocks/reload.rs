//! The EncryptionConfiguration changes under a running apiserver.

use std::{fs, path::Path};

use rustix::process::Signal;

use super::{KMS, LIMIT, OLD, PLUGIN, SECRETS, Scene, wait_until_content};
use crate::support::{
    apiserver::Release,
    encryption::{
        self,
        Provider::{self, AesGcm, Identity, Kms},
    },
    etcd::gateway::Stored,
    plugin::{Plugin, Site},
    rewrap, within,
};

const AES_GCM: &str = "k8s:enc:aesgcm:v1:new:";
const PLAIN: &str = "k8s\0";

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn a_good_file_is_taken_and_a_bad_one_is_not() {
    a_good_file_is_taken_and_a_bad_one_is_not_on(Release::NEWEST);
}

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn a_good_file_is_taken_and_a_bad_one_is_not_on_1_31() {
    a_good_file_is_taken_and_a_bad_one_is_not_on(OLD);
}

pub(crate) fn a_good_file_is_taken_and_a_bad_one_is_not_on(release: Release) {
    let site = Site::with_key();
    let mut plugin = Plugin::start(&site);
    let socket = site.socket();
    let kms = Kms(PLUGIN, &socket);
    let mut scene = Scene::begin_with(release, &[Identity]);
    scene.writes("of-nobody", PLAIN);

    // Behind: read with, not written with.
    scene.reload(&[Identity, kms]);
    scene.writes("before", PLAIN);
    assert!(!scene.is_stale("of-nobody"));
    assert_eq!(scene.counted("current"), 2);

    // In front.
    scene.reload(&[kms, Identity]);
    scene.writes("under-kms", KMS);
    assert_eq!(scene.counted("plaintext"), 2);
    assert!(scene.is_stale("before"));
    scene.begins("before", KMS);
    assert_eq!(scene.counted("plaintext"), 1);

    // Half a file.
    let next = site.path("encryption.yaml");
    encryption::write(&next, &SECRETS, &[AesGcm("new"), kms, Identity]);
    let whole = fs::read(&next).unwrap();
    fs::write(&next, &whole[..whole.len() / 2]).unwrap();
    scene.refuses(&next);
    assert_eq!(scene.lint(), Some(3));
    scene.writes("under-kms", KMS);

    // A whole one, with a plugin that is not there.
    let nobody = site.path("nobody.sock");
    let absent = Kms("absent", &nobody);
    encryption::write(&next, &SECRETS, &[AesGcm("new"), absent, kms, Identity]);
    scene.refuses(&next);
    assert_eq!(scene.lint(), Some(0));
    scene.writes("under-kms", KMS);
    wait_until_content(&scene.kube);
    scene.read_back();

    // A good one after them.
    scene.reload(&[AesGcm("new"), kms, Identity]);
    scene.writes("new", AES_GCM);
    assert_eq!(scene.counted("stale"), 2);
    assert!(scene.is_stale("under-kms"));
    scene.begins("under-kms", AES_GCM);

    // Removed, when nothing needs it any more.
    let report = scene.cluster.rewrap_run(&[]).expect(0).json();
    assert_eq!(report["rewrapped"], 2, "{report:#}");
    scene.reload(&[AesGcm("new")]);
    plugin.signal(Signal::KILL);
    plugin.wait();
    scene.read_back();
    scene.writes("after", AES_GCM);
    wait_until_content(&scene.kube);
}

impl Scene {
    /// The apiserver takes another EncryptionConfiguration.
    fn reload(&self, providers: &[Provider<'_>]) {
        self.cluster.write_encryption(&SECRETS, providers);
        self.cluster.wait_for_reload();
    }

    /// The apiserver does not take this file in place of its EncryptionConfiguration.
    fn refuses(&self, file: &Path) {
        let reloads = ["success", "failure"].map(|outcome| self.cluster.reloads(outcome));
        fs::rename(file, self.cluster.encryption()).unwrap();
        within(LIMIT, "the apiserver refuses the file", || {
            (self.cluster.reloads("failure") > reloads[1]).then_some(())
        });
        assert_eq!(self.cluster.reloads("success"), reloads[0]);
    }

    /// What `rewrap config lint` ends with.
    fn lint(&self) -> Option<i32> {
        let version = format!("--kubernetes-version={}", self.cluster.apiserver.release());
        let file = self.cluster.encryption();
        let arguments = ["config", "lint", &version, file.to_str().unwrap()];
        rewrap::run(arguments).code
    }

    /// Writes a Secret, which in etcd begins so.
    fn writes(&mut self, name: &str, beginning: &str) {
        self.put(name).unwrap();
        self.begins(name, beginning);
    }

    fn begins(&self, name: &str, beginning: &str) {
        let Stored { value, .. } = self.stored(name);
        assert!(
            value.starts_with(beginning.as_bytes()),
            "{name} begins {:?}",
            String::from_utf8_lossy(&value[..value.len().min(40)])
        );
    }
}
