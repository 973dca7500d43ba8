//! The plugin dies and comes back.

use std::time::Duration;

use rustix::process::Signal;

use super::{churn::secret, cluster::Cluster, ledger::Ledger};
use crate::support::{
    dice::Dice,
    encryption::Provider::{Identity, Kms},
    plugin::{Plugin, Site},
    within,
};

/// gRPC's back-off to a socket that refuses ends after two minutes at most.
const RECONNECT: Duration = Duration::from_secs(150);
/// How long an apiserver writes without a plugin: three minutes and a poll.
const COAST: Duration = Duration::from_secs(260);

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn a_dead_plugin_stops_writers_only_and_only_while_it_is_dead() {
    let site = Site::with_key();
    let mut plugin = Plugin::start(&site);
    let socket = site.socket();
    let mut cluster = Cluster::start();
    cluster.write_encryption(&["secrets"], &[Kms("plugin", &socket), Identity]);
    cluster.restart();
    let (kube, mut dice) = (cluster.kube(), Dice::new());
    let mut secrets = Ledger::new("/api/v1/namespaces/default/secrets");
    let mut write = |secrets: &mut Ledger| {
        let object = secret(&format!("secret-{}", secrets.len()), &mut dice);
        secrets.create(&kube, &object)
    };
    for _ in 0..20 {
        write(&mut secrets).unwrap();
    }

    plugin.signal(Signal::KILL);
    plugin.wait();
    let refusal = within(COAST, "a write is refused", || {
        secrets.read_back(&kube);
        write(&mut secrets).err()
    });
    assert_eq!(refusal.status, Some(500), "{refusal}");
    secrets.read_back(&kube);
    within(COAST, "the apiserver is not ready", || {
        kube.text("/readyz/kms-providers").err()
    });

    let _plugin = Plugin::start(&site);
    within(RECONNECT, "a write succeeds", || write(&mut secrets).ok());
    within(RECONNECT, "the apiserver is ready", || {
        kube.text("/readyz").ok()
    });
    secrets.read_back(&kube);
    cluster.restart();
    secrets.read_back(&cluster.kube());
}
