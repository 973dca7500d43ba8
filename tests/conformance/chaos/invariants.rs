use std::collections::BTreeMap;

use crate::{
    backend::Backend,
    churn::secret,
    cluster::Cluster,
    kinds::{config_map, create_namespace},
    ledger::Ledger,
    support::{
        dice::Dice,
        encryption::Provider::{self, AesCbc, AesGcm, Kms},
        etcd::{gateway::Stored, members::Members},
        kube::Kube,
        sealed::{seal, secret_json},
    },
};

const LEASED: &str = "/registry/secrets/leased/";

/// What no client writes: only `rewrap` may, and only under the rule.
pub(super) struct Untouched {
    at_rest: Ledger,
    leased: Ledger,
    /// The lease of every leased Secret.
    leases: BTreeMap<String, i64>,
    /// What no rule names, as it is stored.
    outside: Vec<Stored>,
}

impl Untouched {
    pub(super) fn store(cluster: &Cluster<Members>, count: usize) -> Self {
        let (kube, mut dice) = (cluster.kube(), Dice::from(0));
        let [mut at_rest, mut leased] = ["rest", "leased"].map(|namespace| {
            create_namespace(&kube, namespace);
            Ledger::new(&format!("/api/v1/namespaces/{namespace}/secrets"))
        });
        for number in 0..count {
            let object = secret(&format!("secret-{number}"), &mut dice);
            at_rest.create(&kube, &object).unwrap();
        }
        let mut config_maps = Ledger::new("/api/v1/namespaces/rest/configmaps");
        for number in 0..20 {
            let object = config_map(&format!("outside-{number}"));
            config_maps.create(&kube, &object).unwrap();
        }
        let etcd = &cluster.etcd;
        for number in 0..20 {
            let key = format!("/other/{number}");
            etcd.put(&key, b"nobody's", 0);
            let name = format!("leased-{number}");
            let key = format!("{LEASED}{name}");
            let plaintext = secret_json("leased", &name, "leased");
            let value = seal(AesGcm("a"), &key, &plaintext, &mut dice);
            etcd.put(&key, &value, etcd.lease(24 * 3600));
        }
        leased.adopt(&kube);
        let leases = etcd.list(LEASED).into_iter();
        let leases = leases.map(|stored| (stored.key, stored.lease)).collect();
        Self {
            at_rest,
            leased,
            leases,
            outside: outside(etcd),
        }
    }

    /// Fails unless all of it is under the provider that writes, under its lease, and nothing else
    /// was written.
    pub(super) fn is_as_it_was(
        &self,
        cluster: &Cluster<Members>,
        writes: Provider<'_>,
        round: usize,
    ) {
        let prefix = match writes {
            Kms(name, _) => format!("k8s:enc:kms:v2:{name}:"),
            AesGcm(name) => format!("k8s:enc:aesgcm:v1:{name}:"),
            AesCbc(name) => format!("k8s:enc:aescbc:v1:{name}:"),
            _ => panic!("not in the turns"),
        };
        for stored in Backend::list(&cluster.etcd, "/registry/secrets/") {
            assert!(
                stored.value.starts_with(prefix.as_bytes()),
                "round {round}: {}",
                stored.key
            );
            let lease = self.leases.get(&stored.key).copied();
            assert_eq!(stored.lease, lease.unwrap_or_default(), "{}", stored.key);
        }
        assert!(
            self.outside == outside(&cluster.etcd),
            "what no rule names was written"
        );
    }

    /// Fails unless the apiserver shows exactly these Secrets.
    pub(super) fn reads_back(&self, kube: &Kube) {
        self.at_rest.read_back(kube);
        self.leased.read_back(kube);
    }
}

fn outside(etcd: &Members) -> Vec<Stored> {
    ["/registry/configmaps/rest/", "/other/"]
        .iter()
        .flat_map(|directory| etcd.list(directory))
        .collect()
}
