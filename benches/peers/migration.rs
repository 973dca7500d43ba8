//! The StorageVersionMigration that Kubernetes has built in: general since 1.37.

use std::{
    fs,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    Result,
    support::{
        apiserver::Apiserver,
        kube::Kube,
        server::{Server, binary},
    },
};

const MIGRATIONS: &str = "/apis/storagemigration.k8s.io/v1/storageversionmigrations";

/// How long a migration may take.
const DEADLINE: Duration = Duration::from_secs(3600);
/// How often its state is looked at: so rarely that it costs the apiserver nothing.
const LOOK: Duration = Duration::from_millis(100);
/// More revisions than the states of the migration itself and the leases of a minute.
const OTHER_WRITES: i64 = 50;

/// The real kube-controller-manager with nothing but the migrator and the garbage collector, whose
/// cache tells the migrator what there is.
pub(crate) struct ControllerManager {
    kube: Kube,
    _server: Server,
    _folder: TempDir,
}

impl ControllerManager {
    /// Starts it, and waits until it has migrated something.
    pub(crate) fn start(apiserver: &Apiserver) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let kubeconfig = folder.path().join("kubeconfig");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "bench",
            "clusters": [{"name": "bench", "cluster": {
                "server": apiserver.url(), "certificate-authority": apiserver.ca(),
            }}],
            "users": [{"name": "bench", "user": {"tokenFile": apiserver.token_file()}}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        });
        fs::write(&kubeconfig, config.to_string())?;
        let mut command = Command::new(binary("kube-controller-manager"));
        command
            .arg(format!("--kubeconfig={}", kubeconfig.display()))
            .args([
                "--controllers=storage-version-migrator-controller,garbage-collector-controller",
                "--leader-elect=false",
                "--secure-port=0",
            ]);
        let server = Server::start("kube-controller-manager", &mut command, folder.path());
        let manager = Self {
            kube: apiserver.client(),
            _server: server,
            _folder: folder,
        };
        // Its cache has everything then.
        manager.migrate("warm-up", "configmaps", || 0)?;
        Ok(manager)
    }

    /// Migrates all objects of a resource of the core group. Gives objects per second once it writes,
    /// by the revisions of the store: it first waits until its cache is as new as the migration.
    pub(crate) fn migrate(
        &self,
        name: &str,
        resource: &str,
        revision: impl Fn() -> i64,
    ) -> Result<f64> {
        let migration = json!({
            "apiVersion": "storagemigration.k8s.io/v1",
            "kind": "StorageVersionMigration",
            "metadata": {"name": name},
            "spec": {"resource": {"group": "", "resource": resource}},
        });
        let told = |error: crate::support::kube::KubeError| error.to_string();
        self.kube.create(MIGRATIONS, &migration).map_err(told)?;
        let (start, before) = (Instant::now(), revision());
        let mut begun = None;
        loop {
            let now = revision();
            if now > before + OTHER_WRITES {
                begun.get_or_insert_with(|| (Instant::now(), now));
            }
            let seen = self
                .kube
                .get(&format!("{MIGRATIONS}/{name}"))
                .map_err(told)?;
            if is(&seen, "Succeeded") {
                let (begin, first) = begun.unwrap_or((start, before));
                return Ok((revision() - first) as f64 / begin.elapsed().as_secs_f64());
            }
            if is(&seen, "Failed") || start.elapsed() > DEADLINE {
                return Err(format!("it did not succeed: {seen}").into());
            }
            sleep(LOOK);
        }
    }
}

fn is(migration: &Value, condition: &str) -> bool {
    let conditions = migration["status"]["conditions"].as_array();
    conditions.is_some_and(|conditions| {
        let mut conditions = conditions.iter();
        conditions.any(|found| found["type"] == condition && found["status"] == "True")
    })
}
