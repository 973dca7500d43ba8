//! What Vault denies, and what only looks like it.

use super::*;
use crate::roots::{corrupt, refused, unreachable};

#[test]
#[ignore = "needs vault: make conformance"]
fn a_policy_that_is_revoked_is_a_refusal_until_it_is_granted_again() {
    let (vault, site, root) = by_app_role();
    let one = site.wrap(&root).unwrap();

    vault.policy(
        "kms-plugin",
        &POLICY.replace("transit/decrypt/", "transit/nothing/"),
    );
    let said = refused(site.unwrap(&root, &one));
    assert!(said.contains("grant update on it"), "{said}");
    site.wrap(&root).unwrap();

    vault.policy(
        "kms-plugin",
        &POLICY.replace("transit/encrypt/", "transit/nothing/"),
    );
    refused(site.wrap(&root));
    site.unwrap(&root, &one).unwrap();

    vault.policy(
        "kms-plugin",
        &POLICY.replace("transit/keys/", "transit/nothing/"),
    );
    let said = refused(site.run(root.version()));
    assert!(said.contains("grant read on it"), "{said}");

    vault.policy("kms-plugin", POLICY);
    site.unwrap(&root, &one).unwrap();
    site.wrap(&root).unwrap();
}

#[test]
#[ignore = "needs vault: make conformance"]
fn a_token_that_expired_or_was_revoked_is_no_refusal() {
    let (vault, site, root) = by_app_role();
    let one = site.wrap(&root).unwrap();
    let revoke = || {
        vault.write("sys/leases/revoke-prefix/auth/approle", json!({}));
    };
    revoke();
    site.unwrap(&root, &one).unwrap();

    // Without a role there is no login, which says nothing of the key either.
    vault.delete("auth/approle/role/kms-plugin");
    revoke();
    unreachable(site.unwrap(&root, &one));
    unreachable(site.run(root.version()));
    site.app_role(&role_with(&vault, json!({})));
    let said = unreachable(site.unwrap(&root, &one));
    assert!(said.contains("the role id"), "{said}");
}

#[test]
#[ignore = "needs vault: make conformance"]
fn a_version_that_may_not_decrypt_is_a_refusal() {
    let (vault, site, root) = by_app_role();
    let one = site.wrap(&root).unwrap();
    vault.rotate_key(KEY);
    let two = site.wrap(&root).unwrap();
    vault.configure_key(
        KEY,
        json!({"min_decryption_version": 2, "min_encryption_version": 2}),
    );
    let said = refused(site.unwrap(&root, &one));
    assert!(said.contains("lower min_decryption_version"), "{said}");
    site.unwrap(&root, &two).unwrap();
    site.wrap(&root).unwrap();
    vault.configure_key(KEY, json!({"min_decryption_version": 1}));
    site.unwrap(&root, &one).unwrap();

    vault.configure_key(KEY, json!({"min_decryption_version": 2}));
    vault.write(
        &format!("transit/keys/{KEY}/trim"),
        json!({"min_available_version": 2}),
    );
    refused(site.unwrap(&root, &one));
    site.unwrap(&root, &two).unwrap();
}

#[test]
#[ignore = "needs vault: make conformance"]
fn a_version_opens_only_what_it_wrapped() {
    let (vault, site, root) = by_app_role();
    let one = site.wrap(&root).unwrap();
    vault.rotate_key(KEY);
    let two = site.wrap(&root).unwrap();
    // Vault itself takes 0 for 1.
    for number in [0, 2, 3] {
        let version = two.wrapped.version.as_str();
        let version = version.replace("#2@", &format!("#{number}@"));
        let wrapped = WrappedKek {
            version: version.parse().unwrap(),
            ..one.wrapped.clone()
        };
        corrupt(site.run(root.unwrap(&wrapped, &one.place)));
    }
}

#[test]
#[ignore = "needs vault: make conformance"]
fn a_key_that_is_destroyed_is_a_refusal_and_never_made_again() {
    let (vault, site, root) = by_app_role();
    let one = site.wrap(&root).unwrap();
    vault.delete_key(KEY);
    let said = refused(site.unwrap(&root, &one));
    assert!(said.contains("was the key deleted?"), "{said}");
    refused(site.run(root.version()));
    refused(site.wrap(&root));
    assert_eq!(vault.find(&format!("transit/keys/{KEY}")), None);

    // Another key of the same name has other versions, and opens nothing of the old one. Their times are in seconds.
    let old = one.wrapped.version.clone();
    let again = crate::support::eventually("the key is made in another second", || {
        vault.create_key(KEY, json!({}));
        let version = site.run(root.version()).unwrap();
        if version == old {
            vault.delete_key(KEY);
            return None;
        }
        Some(version)
    });
    assert_eq!(again.key(), old.key());
    corrupt(site.unwrap(&root, &one));
    site.wrap(&root).unwrap();
}

#[test]
#[ignore = "needs vault: make conformance"]
fn an_engine_that_is_gone_is_a_refusal() {
    let (vault, site, root) = by_app_role();
    vault.policy("kms-plugin", &POLICY.replace(&format!("/{KEY}"), "/*"));
    let one = site.wrap(&root).unwrap();
    vault.delete("sys/mounts/transit");
    let said = refused(site.unwrap(&root, &one));
    assert!(said.contains("no transit engine at transit"), "{said}");
    refused(site.run(root.version()));
}

#[test]
#[ignore = "needs vault: make conformance"]
fn a_key_that_cannot_bind_is_a_refusal() {
    let (vault, site, root) = by_app_role();
    for (settings, reason) in [
        (json!({"type": "rsa-2048"}), "of type rsa-2048"),
        (json!({"derived": true}), "is derived"),
        (
            json!({"derived": true, "convergent_encryption": true}),
            "is derived",
        ),
    ] {
        vault.delete_key(KEY);
        vault.create_key(KEY, settings);
        let said = refused(site.wrap(&root));
        assert!(said.contains(reason), "{said}");
    }
}
