//! An apiserver that is behind must not lose sight of its objects.

use super::{churn::secret, cluster::Cluster, ledger::Ledger};
use crate::support::{
    apiserver::Apiserver,
    dice::Dice,
    encryption::{
        self,
        Provider::{AesCbc, AesGcm},
    },
};

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn an_apiserver_that_lacks_the_new_key_stops_the_run() {
    let mut cluster = Cluster::start();
    cluster.write_encryption(&["secrets"], &[AesCbc("old")]);
    cluster.restart();
    let mut dice = Dice::new();
    let mut secrets = Ledger::new("/api/v1/namespaces/default/secrets");
    for number in 0..20 {
        let object = secret(&format!("secret-{number}"), &mut dice);
        secrets.create(&cluster.kube(), &object).unwrap();
    }

    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old.yaml");
    encryption::write(&old, &["secrets"], &[AesCbc("old")]);
    let mut behind = Apiserver::start(&cluster.etcd.endpoint(), Some(&old), &[]);
    cluster.write_encryption(&["secrets"], &[AesGcm("new"), AesCbc("old")]);
    cluster.wait_for_reload();

    let stored = cluster.etcd.list("/registry/secrets/");
    let refused = cluster.rewrap_run(&[&behind]).expect(5);
    assert!(refused.stderr.contains(&behind.url()), "{refused}");
    assert!(
        cluster.etcd.list("/registry/secrets/") == stored,
        "the old value is not back"
    );
    secrets.read_back(&cluster.kube());
    secrets.read_back(&behind.client());

    behind.restart(Some(&cluster.encryption()));
    cluster.rewrap_run(&[&behind]).expect(0);
    cluster.rewrap("verify", &[]).expect(0);
    secrets.read_back(&cluster.kube());
    secrets.read_back(&behind.client());
}
