//! The plugin is there, but does not answer as it should.

use serde_json::json;
use tonic::{Code, Status};

use super::{LIMIT, OLD, assert_expired, wait_until_content};
use crate::{
    cluster::Cluster,
    support::{
        apiserver::Release,
        encryption::Provider::{Identity, Kms},
        kube::{Kube, KubeError},
        puppet::{Call, Puppet},
        within,
    },
};

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn an_error_or_silence_stops_writers() {
    an_error_or_silence_stops_writers_on(Release::NEWEST);
}

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn an_error_or_silence_stops_writers_on_1_31() {
    an_error_or_silence_stops_writers_on(OLD);
}

/// Why our plugin never answers a healthz other than `ok` beside a key id, but an error: the
/// apiserver says that such a plugin is unhealthy and goes on writing
/// (kubernetes/kubernetes#138950).
pub(crate) fn an_error_or_silence_stops_writers_on(release: Release) {
    let [sick, refusing, silent] = [(); 3].map(|()| Puppet::start());
    let cluster = Cluster::encrypting(
        release,
        &[
            (&["secrets"], &[Kms("sick", &sick.socket()), Identity]),
            (
                &["configmaps"],
                &[Kms("refusing", &refusing.socket()), Identity],
            ),
            (
                &["serviceaccounts"],
                &[Kms("silent", &silent.socket()), Identity],
            ),
        ],
    );
    let mut client = Client {
        kube: cluster.kube(),
        written: 0,
    };
    client.writes_all();

    sick.answer(|answers| answers.status.healthz = "the vault is sealed".into());
    client.hears(&[
        "kmsv2 Provider sick is not healthy",
        "got unexpected healthz status: the vault is sealed",
    ]);
    // The others give a good answer after that, and so may be written under for longer.
    for puppet in [&refusing, &silent] {
        let asked = puppet.asked(Call::Status);
        within(LIMIT, "an answered poll", || {
            // Its health has the apiserver poll.
            client.kube.text("/readyz/kms-providers").unwrap_err();
            (puppet.asked(Call::Status) > asked + 1).then_some(())
        });
    }
    refusing.answer(|answers| {
        let refusal = Status::new(Code::FailedPrecondition, "the grace is over");
        answers.refused = Some((Call::Status, refusal));
    });
    silent.answer(|answers| answers.withheld = Some(Call::Status));
    client.hears(&[
        "the vault is sealed",
        "code = FailedPrecondition desc = the grace is over",
        "code = DeadlineExceeded",
    ]);

    for kind in [REFUSING, SILENT] {
        let refusal = within(LIMIT, "a write is refused", || {
            client.write(SICK).unwrap();
            client.write(kind).err()
        });
        assert_expired(&refusal, "one");
    }
    client.write(SICK).unwrap();
    client.reads_all();

    for puppet in [&sick, &refusing, &silent] {
        puppet.behave();
    }
    for kind in [REFUSING, SILENT] {
        within(LIMIT, "a write succeeds", || client.write(kind).ok());
    }
    wait_until_content(&client.kube);
    client.reads_all();
    client.writes_all();
}

/// The kinds of objects under each plugin, and their resources.
const SICK: [&str; 2] = ["Secret", "secrets"];
const REFUSING: [&str; 2] = ["ConfigMap", "configmaps"];
const SILENT: [&str; 2] = ["ServiceAccount", "serviceaccounts"];

struct Client {
    kube: Kube,
    /// So many objects of any kind.
    written: usize,
}

impl Client {
    fn write(&mut self, [kind, resource]: [&str; 2]) -> Result<(), KubeError> {
        let metadata = json!({"name": format!("object-{}", self.written)});
        let object = json!({"apiVersion": "v1", "kind": kind, "metadata": metadata});
        self.kube.create(&collection(resource), &object)?;
        self.written += 1;
        Ok(())
    }

    fn writes_all(&mut self) {
        for kind in [SICK, REFUSING, SILENT] {
            self.write(kind).unwrap();
        }
    }

    fn reads_all(&self) {
        let listed = [SICK, REFUSING, SILENT]
            .map(|[_, resource]| self.kube.list(&collection(resource)).unwrap().len());
        assert_eq!(listed.iter().sum::<usize>(), self.written);
    }

    /// Waits until the apiserver's health says all of these words.
    fn hears(&self, words: &[&str]) {
        within(LIMIT, "the apiserver complains of its plugins", || {
            let heard = self.kube.text("/readyz/kms-providers").err()?.to_string();
            words
                .iter()
                .all(|words| heard.contains(words))
                .then_some(())
        });
    }
}

fn collection(resource: &str) -> String {
    format!("/api/v1/namespaces/default/{resource}")
}
