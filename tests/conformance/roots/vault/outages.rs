//! A Vault that is away, and comes back.

use super::*;
use crate::{roots::unreachable, support::eventually};

#[test]
#[ignore = "needs vault: make conformance"]
fn a_vault_that_is_killed_or_sealed_is_unreachable_until_it_is_back() {
    let (mut vault, site, root) = by_app_role();
    let one = site.wrap(&root).unwrap();

    vault.kill();
    let said = unreachable(site.unwrap(&root, &one));
    assert!(said.contains("Connection refused"), "{said}");
    vault.restart_sealed();
    let said = unreachable(site.unwrap(&root, &one));
    assert!(said.contains("Vault is sealed"), "{said}");
    unreachable(site.run(root.version()));
    vault.unseal();
    site.unwrap(&root, &one).unwrap();

    vault.seal();
    unreachable(site.wrap(&root));
    // A first login fails as a call does.
    let (method, address) = (root_method(&site), vault.endpoint());
    unreachable(site.wrap(&vault::Vault::open(&config(&[address], method))));
    vault.kill();
    vault.restart();
    site.unwrap(&root, &one).unwrap();
    site.wrap(&root).unwrap();
}

#[test]
#[ignore = "needs vault: make conformance"]
fn a_vault_that_hangs_is_unreachable_within_the_time_limit() {
    let (vault, site, _) = by_app_role();
    let method = site.app_role(&role_with(&vault, json!({})));
    let mut config = config(&[vault.endpoint()], method);
    config.time_limit = Duration::from_millis(300);
    let root = vault::Vault::open(&config);
    let one = eventually("a quick answer", || site.wrap(&root).ok());
    vault.pause();
    let hangs = || site.unwrap(&root, &one).err();
    let said = unreachable::<()>(Err(eventually("the signal is delivered", hangs)));
    assert!(said.contains("no answer within 300ms"), "{said}");
    unreachable(site.run(root.version()));
    vault.resume();
    eventually("a quick answer", || site.unwrap(&root, &one).ok());
}

#[test]
#[ignore = "needs vault: make conformance"]
fn a_vault_that_throttles_is_unreachable() {
    let (vault, site, root) = by_app_role();
    let one = site.wrap(&root).unwrap();
    let quota = "sys/quotas/rate-limit/tests";
    vault.write(
        quota,
        json!({"path": "transit/", "rate": 0.001, "interval": "3600s"}),
    );
    // The quota lets a first call pass.
    let throttled = eventually("throttled", || site.unwrap(&root, &one).err());
    let said = unreachable::<()>(Err(throttled));
    assert!(
        said.contains("429") && said.contains("quota exceeded"),
        "{said}"
    );
    vault.delete(quota);
    site.unwrap(&root, &one).unwrap();
}

/// That of [`by_app_role`].
fn root_method(site: &Site) -> LoginMethod {
    LoginMethod::AppRole {
        mount: "approle".parse().unwrap(),
        role_id: RoleId::Text("any".to_owned()),
        secret_id_file: site.path("secret-id"),
    }
}
