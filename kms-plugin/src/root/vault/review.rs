//! What `kms-plugin check` says of a Vault root.

use std::collections::BTreeMap;

use hyper::Method;
use serde::Serialize;

use super::{
    Vault,
    answer::{self, Answer},
    transport,
};
use crate::root::remote::RootError;

const CAPABILITIES: &str = "sys/capabilities-self";

/// What is needed on the key: an operation and the one capability that it takes.
const NEEDED: [(&str, &str); 3] = [
    ("encrypt", "update"),
    ("decrypt", "update"),
    ("keys", "read"),
];

#[derive(Serialize)]
struct Paths<'a> {
    paths: &'a [String],
}

pub(super) async fn review(vault: &Vault) -> Result<Vec<String>, RootError> {
    let mut said: Vec<_> = vault
        .config
        .addresses
        .iter()
        .filter(|address| !address.is_private())
        .map(|address| {
            format!(
                "{address} is without TLS: the network can read tokens and local KEKs; use https"
            )
        })
        .collect();
    let token = vault.login.token(&vault.transport).await?;
    if token.lives_for_ever() {
        said.push(
            "the token never expires: whoever copies it has it for ever; use one with a TTL"
                .to_owned(),
        );
    }
    said.extend(grants(vault).await?);
    match vault.key().await {
        Ok(key) => said.extend(key.regrets()),
        // What is not granted was said above; what else it may be, is to be said too.
        Err(RootError::Refused { what }) => said.push(what),
        Err(error) => return Err(error),
    }
    Ok(said)
}

async fn grants(vault: &Vault) -> Result<Vec<String>, RootError> {
    // The key's own path and what is below it: its config, and whatever gives the key away.
    let key = vault.path("keys");
    let beyond = [
        format!("{key}/config"),
        vault.path("export/encryption-key"),
        vault.path("backup"),
    ];
    let mut paths: Vec<_> = NEEDED.map(|(operation, _)| vault.path(operation)).into();
    paths.extend_from_slice(&beyond);
    let body = transport::body(&Paths { paths: &paths });
    let body = match vault.ask(Method::POST, CAPABILITIES, Some(body)).await? {
        Answer::Good(body) => body,
        Answer::Denied(_) => {
            return Ok(vec![format!(
                "what is granted cannot be told: grant update on {CAPABILITIES}"
            )]);
        }
        other => return Err(RootError::unreachable(format!("{CAPABILITIES}: {other}"))),
    };
    let granted: BTreeMap<String, Vec<String>> = answer::data(CAPABILITIES, &body)?;
    let on = |path: &str| granted.get(path).map_or(&[][..], Vec::as_slice);
    if paths
        .iter()
        .any(|path| on(path).iter().any(|has| has == "root"))
    {
        return Ok(vec![
            "the token is root's: it may do everything; use one with a policy of its own"
                .to_owned(),
        ]);
    }
    let mut said = Vec::new();
    for (operation, needed) in NEEDED {
        let path = vault.path(operation);
        if !on(&path).iter().any(|has| has == needed) {
            said.push(format!("{path}: {needed} is not granted, and is needed"));
        }
        said.extend(more(&path, on(&path), needed));
    }
    for path in &beyond {
        said.extend(more(path, on(path), ""));
    }
    Ok(said)
}

/// What is granted on a path beyond what is needed.
fn more(path: &str, granted: &[String], needed: &str) -> Option<String> {
    let more: Vec<_> = granted
        .iter()
        .map(String::as_str)
        .filter(|has| ![needed, "deny"].contains(has))
        .collect();
    let so = match (more.is_empty(), more.contains(&"create")) {
        (true, _) => return None,
        (_, true) if path.contains("/encrypt/") => {
            ": if the key is deleted, encrypting would silently make another"
        }
        _ => "",
    };
    Some(format!(
        "{path}: {} is granted, and is not needed{so}",
        more.join(", ")
    ))
}
