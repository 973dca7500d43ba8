//! Vault's transit engine.

use std::{
    fs::{self, Permissions},
    future::Future,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use kms_plugin::root::{
    local::KeyMaterial,
    remote::{Binding, RemoteRoot, RootError, WrappedKek},
    vault::{self, Address, Auth, Config, LoginMethod, RoleId},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{
    binding, local_kek,
    suite::{Subject, conforms},
};
use crate::support::{
    DEADLINE,
    vault::{AppRole, Vault},
};

mod life;
mod logins;
mod outages;
mod refusals;
mod review;

/// The key of the sample policy.
const KEY: &str = "prod-eu1";
const POLICY: &str = include_str!("../../../config/vault/policy.hcl");

/// A plugin's side of a Vault: its files, and a runtime for its calls.
struct Site {
    folder: TempDir,
    runtime: Runtime,
}

impl Site {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    /// A call that never ends fails the test.
    fn run<T>(&self, call: impl Future<Output = T>) -> T {
        let bounded = async { tokio::time::timeout(DEADLINE, call).await };
        self.runtime.block_on(bounded).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file in the place of the one of this name, for us only.
    fn write(&self, name: &str, content: &str) -> PathBuf {
        let (path, new) = (self.path(name), self.path("new"));
        fs::write(&new, content).unwrap();
        fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
        fs::rename(new, &path).unwrap();
        path
    }

    /// Logs in with an AppRole, whose secret id is in the file `secret-id`.
    fn app_role(&self, role: &AppRole) -> LoginMethod {
        LoginMethod::AppRole {
            mount: "approle".parse().unwrap(),
            role_id: RoleId::Text(role.role_id.clone()),
            secret_id_file: self.write("secret-id", &role.secret_id),
        }
    }

    fn wrap(&self, root: &vault::Vault) -> Result<Wrapped, RootError> {
        let (kek, place) = (local_kek(), binding("prod-eu1"));
        let wrapped = self.run(root.wrap(&kek, &place))?;
        Ok(Wrapped {
            wrapped,
            place,
            kek,
        })
    }

    fn unwrap(&self, root: &vault::Vault, one: &Wrapped) -> Result<(), RootError> {
        let opened = self.run(root.unwrap(&one.wrapped, &one.place))?;
        assert_eq!(opened.expose(), one.kek.expose());
        Ok(())
    }
}

/// A wrapped local KEK, where it belongs, and what it opens to.
struct Wrapped {
    wrapped: WrappedKek,
    place: Binding,
    kek: KeyMaterial,
}

/// A Vault with the key and the policy of the samples.
fn prepare(vault: &Vault) {
    vault.create_key(KEY, json!({}));
    vault.policy("kms-plugin", POLICY);
}

fn config(addresses: &[String], method: LoginMethod) -> Config {
    Config {
        addresses: addresses
            .iter()
            .map(|address| address.parse::<Address>().unwrap())
            .collect(),
        namespace: None,
        mount: "transit".parse().unwrap(),
        key: KEY.parse().unwrap(),
        ca_file: None,
        client_certificate: None,
        time_limit: Duration::from_secs(5),
        auth: Auth {
            namespace: None,
            method,
        },
    }
}

/// A role with the policy of the samples, and whatever else is said.
fn role_with(vault: &Vault, more: Value) -> AppRole {
    let mut settings = json!({"token_policies": ["kms-plugin"], "token_ttl": "1h", "token_no_default_policy": true});
    settings
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    vault.app_role("kms-plugin", settings)
}

/// A Vault, a site, and a root that logs in there with an AppRole of nothing but the sample policy.
fn by_app_role() -> (Vault, Site, vault::Vault) {
    let (vault, site) = (Vault::start(), Site::new());
    prepare(&vault);
    let method = site.app_role(&role_with(&vault, json!({})));
    let root = vault::Vault::open(&config(&[vault.endpoint()], method));
    (vault, site, root)
}

/// Points `link` to `target`, as kubelet and the CSI driver swap what they mount (`AtomicWriter` of Kubernetes).
fn swap(link: &Path, target: &str) {
    let new = link.with_file_name("..data_tmp");
    symlink(target, &new).unwrap();
    fs::rename(new, link).unwrap();
}

#[test]
#[ignore = "needs vault: make conformance"]
fn a_key_of_vault_conforms() {
    let (vault, site, root) = by_app_role();
    vault.create_key("another", json!({}));
    vault.policy("another", &POLICY.replace(&format!("/{KEY}"), "/another"));
    let token = site.write("token", &vault.token("another", "1h"));
    let mut other = config(&[vault.endpoint()], LoginMethod::TokenFile(token));
    other.key = "another".parse().unwrap();
    site.run(conforms(Subject {
        root: &root,
        stranger: &vault::Vault::open(&other),
        kind: "vault",
        rotate: Some(&mut || vault.rotate_key(KEY)),
        flip_every: 1,
        at_once: 16,
    }));
}

#[test]
#[ignore = "needs vault: make conformance"]
fn a_rotation_in_the_middle_of_a_wrap_changes_nothing() {
    let (vault, site, root) = by_app_role();
    thread::scope(|scope| {
        let rotating = scope.spawn(|| {
            for _ in 0..200 {
                vault.rotate_key(KEY);
            }
        });
        while !rotating.is_finished() {
            let one = site.wrap(&root).unwrap();
            site.unwrap(&root, &one).unwrap();
        }
    });
}

#[test]
#[ignore = "needs vault: make conformance"]
fn every_aead_of_vault_binds() {
    let (vault, site, _) = by_app_role();
    vault.policy(
        "all",
        r#"path "transit/*" { capabilities = ["update", "read"] }"#,
    );
    for kind in ["aes128-gcm96", "chacha20-poly1305"] {
        vault.create_key(kind, json!({"type": kind}));
        vault.create_key(&format!("{kind}-another"), json!({"type": kind}));
        let open = |key: &str| {
            let token = site.write("token", &vault.token("all", "1h"));
            let mut config = config(&[vault.endpoint()], LoginMethod::TokenFile(token));
            config.key = key.parse().unwrap();
            vault::Vault::open(&config)
        };
        site.run(conforms(Subject {
            root: &open(kind),
            stranger: &open(&format!("{kind}-another")),
            kind: "vault",
            rotate: Some(&mut || vault.rotate_key(kind)),
            flip_every: 1,
            at_once: 4,
        }));
    }
}
