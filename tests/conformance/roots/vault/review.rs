//! What `kms-plugin check` says.

use super::*;
use crate::roots::unreachable;

fn review(site: &Site, root: &vault::Vault) -> Vec<String> {
    site.run(root.review()).unwrap()
}

#[test]
#[ignore = "needs vault: make conformance"]
fn the_policy_of_the_samples_is_neither_more_nor_less_than_is_needed() {
    let (vault, site, root) = by_app_role();
    assert_eq!(review(&site, &root), [""; 0]);
    let one = site.wrap(&root).unwrap();
    site.unwrap(&root, &one).unwrap();
    drop(vault);
}

#[test]
#[ignore = "needs vault: make conformance"]
fn more_and_less_than_is_needed_is_told() {
    let (vault, site, root) = by_app_role();
    let with = |from: &str, to: &str| {
        assert!(POLICY.contains(from), "{from}");
        vault.policy("kms-plugin", &POLICY.replacen(from, to, 1));
        review(&site, &root)
    };
    let create = with(r#"["update"]"#, r#"["create", "update"]"#);
    assert_eq!(
        create,
        [
            "transit/encrypt/prod-eu1: create is granted, and is not needed: if the key is deleted, encrypting would silently make another"
        ]
    );
    let none = with("transit/decrypt/", "transit/nothing/");
    assert_eq!(
        none,
        ["transit/decrypt/prod-eu1: update is not granted, and is needed"]
    );
    let sudo = with(r#"["read"]"#, r#"["read", "delete", "sudo"]"#);
    assert_eq!(
        sudo,
        ["transit/keys/prod-eu1: delete, sudo is granted, and is not needed"]
    );
    let wide = with("transit/keys/prod-eu1", "transit/keys/*");
    assert_eq!(
        wide,
        ["transit/keys/prod-eu1/config: read is granted, and is not needed"]
    );
    let unread = with("transit/keys/", "transit/nothing/");
    assert_eq!(
        unread[0],
        "transit/keys/prod-eu1: read is not granted, and is needed"
    );
    assert!(unread[1].contains("permission denied"), "{unread:?}");
    let blind = with("sys/capabilities-self", "sys/nothing");
    assert_eq!(
        blind,
        ["what is granted cannot be told: grant update on sys/capabilities-self"]
    );

    vault.policy("kms-plugin", POLICY);
    vault.policy(
        "export",
        r#"path "transit/export/*" { capabilities = ["read"] }"#,
    );
    role_with(&vault, json!({"token_policies": ["kms-plugin", "export"]}));
    vault.write("sys/leases/revoke-prefix/auth/approle", json!({}));
    assert_eq!(
        review(&site, &root),
        ["transit/export/encryption-key/prod-eu1: read is granted, and is not needed"]
    );
}

#[test]
#[ignore = "needs vault: make conformance"]
fn a_root_token_is_told() {
    let (vault, site) = (Vault::start(), Site::new());
    prepare(&vault);
    let path = site.write("token", &vault.token("root", "0"));
    let config = config(&[vault.endpoint()], LoginMethod::TokenFile(path));
    assert_eq!(
        review(&site, &vault::Vault::open(&config)),
        [
            "the token never expires: whoever copies it has it for ever; use one with a TTL",
            "the token is root's: it may do everything; use one with a policy of its own",
        ]
    );
}

#[test]
#[ignore = "needs vault: make conformance"]
fn a_key_that_can_be_given_away_or_destroyed_is_told() {
    let (vault, site, root) = by_app_role();
    let given_away =
        json!({"exportable": true, "allow_plaintext_backup": true, "deletion_allowed": true});
    vault.configure_key(KEY, given_away);
    let said = review(&site, &root);
    assert_eq!(said.len(), 3, "{said:?}");
    for word in ["exportable", "allow_plaintext_backup", "deletion_allowed"] {
        assert!(
            said.iter().any(|sentence| sentence.contains(word)),
            "{said:?}"
        );
    }
}

#[test]
#[ignore = "needs vault: make conformance"]
fn an_address_that_the_network_can_read_is_told() {
    let (mut vault, site, _) = by_app_role();
    let method = site.app_role(&role_with(&vault, json!({})));
    // A name of the reserved top level that nobody can look up: the second server answers.
    let addresses = ["http://vault.invalid:8200".to_owned(), vault.endpoint()];
    let root = vault::Vault::open(&config(&addresses, method));
    let said = review(&site, &root);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("http://vault.invalid:8200 is without TLS"),
        "{said:?}"
    );
    vault.kill();
    unreachable(site.run(root.review()));
}
