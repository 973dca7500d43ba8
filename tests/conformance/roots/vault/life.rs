//! The life of a token.

use std::{collections::BTreeSet, time::Instant};

use super::*;
use crate::{roots::unreachable, support::eventually};

/// The accessors of all tokens.
fn tokens(vault: &Vault) -> BTreeSet<String> {
    let list = vault.read("auth/token/accessors?list=true");
    let keys = list["data"]["keys"].as_array().unwrap();
    keys.iter()
        .map(|accessor| accessor.as_str().unwrap().to_owned())
        .collect()
}

/// When a token was renewed last; nothing if never, or if it is gone.
fn renewed(vault: &Vault, accessor: &str) -> Option<u64> {
    let body = json!({"accessor": accessor});
    let answer = vault.write("auth/token/lookup-accessor", body);
    answer["data"]["last_renewal_time"].as_u64()
}

#[test]
#[ignore = "needs vault: make conformance"]
fn a_token_is_renewed_and_replaced_when_it_is_too_old_for_that() {
    let (vault, site) = (Vault::start(), Site::new());
    prepare(&vault);
    let role = role_with(&vault, json!({"token_ttl": "6s", "token_max_ttl": "15s"}));
    let root = vault::Vault::open(&config(&[vault.endpoint()], site.app_role(&role)));
    let before = tokens(&vault);
    let one = site.wrap(&root).unwrap();
    let ours = |at: usize| {
        let now = tokens(&vault);
        let new: Vec<_> = now.difference(&before).cloned().collect();
        assert!(new.len() <= at + 1, "{} logins", new.len());
        new
    };
    let [first] = &ours(0)[..] else {
        panic!("no login")
    };
    // Renewed at 4 s of 6; never denied, for each call has a good token.
    eventually("a renewal", || {
        site.unwrap(&root, &one).unwrap();
        assert_eq!(ours(0), std::slice::from_ref(first));
        renewed(&vault, first)
    });
    // Renewed at 12 s it would live for 3: there is another one before its end.
    eventually("another login while the first token is good", || {
        site.unwrap(&root, &one).unwrap();
        (ours(1).len() == 2).then_some(())
    });
}

#[test]
#[ignore = "needs vault: make conformance"]
fn while_no_login_succeeds_the_old_token_goes_on_to_its_end_and_the_next_call_tries_again() {
    let (vault, site) = (Vault::start(), Site::new());
    prepare(&vault);
    // A batch token is never renewed.
    let role = role_with(&vault, json!({"token_ttl": "6s", "token_type": "batch"}));
    let root = vault::Vault::open(&config(&[vault.endpoint()], site.app_role(&role)));
    let start = Instant::now();
    let one = site.wrap(&root).unwrap();
    site.write("secret-id", "wrong");
    eventually("the end of the token", || match site.unwrap(&root, &one) {
        Ok(()) => None,
        Err(error) => Some(unreachable::<()>(Err(error))),
    });
    assert!(
        start.elapsed() > Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    // Nor has asking so often locked the role out, which other nodes would feel too.
    site.write("secret-id", &role.secret_id);
    site.unwrap(&root, &one).unwrap();
}

#[test]
#[ignore = "needs vault: make conformance"]
fn a_token_of_a_file_is_renewed_too() {
    let (vault, site) = (Vault::start(), Site::new());
    prepare(&vault);
    let made = vault.write(
        "auth/token/create",
        json!({"policies": ["kms-plugin"], "period": "6s", "no_parent": true}),
    );
    let accessor = made["auth"]["accessor"].as_str().unwrap();
    let path = site.write("token", made["auth"]["client_token"].as_str().unwrap());
    let root = vault::Vault::open(&config(&[vault.endpoint()], LoginMethod::TokenFile(path)));
    let one = site.wrap(&root).unwrap();
    eventually("a renewal", || {
        site.unwrap(&root, &one).unwrap();
        renewed(&vault, accessor)
    });
}
