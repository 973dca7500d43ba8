//! Secrets by what they are for.

use kms_proto::inventory::{Inventory, SecretKind};

use super::{bytes, new_table, right};

/// A table of the kinds of Secrets, where they were told apart.
pub(super) fn kinds(inventory: &Inventory) -> String {
    let Some(kinds) = &inventory.secret_kinds else {
        return String::new();
    };
    if kinds.is_empty() {
        return "no Secrets\n".to_owned();
    }
    let mut table = new_table(&["SECRETS", "TYPE", "OBJECTS", "SIZE", "NOT CURRENT"]);
    for kind in kinds {
        table.add_row([
            purpose(kind),
            kind.secret_type.clone().unwrap_or_default(),
            kind.objects.to_string(),
            bytes(kind.bytes),
            kind.not_current.to_string(),
        ]);
    }
    right(&mut table, &[2, 3, 4]);
    format!("\n{table}\n")
}

/// What Secrets are for, in words: the types are those of `k8s.io/api/core/v1/types.go` and Helm's.
fn purpose(kind: &SecretKind) -> String {
    if kind.sealed_secrets_key {
        return "keys of sealed-secrets".to_owned();
    }
    if let Some(owner) = &kind.owner {
        return format!("owned by {owner}");
    }
    match kind.secret_type.as_deref() {
        Some("kubernetes.io/service-account-token") => "service-account tokens",
        Some("kubernetes.io/tls") => "TLS certificates",
        Some("helm.sh/release.v1") => "Helm releases",
        Some("bootstrap.kubernetes.io/token") => "bootstrap tokens",
        Some("kubernetes.io/dockerconfigjson" | "kubernetes.io/dockercfg") => "registry logins",
        Some("kubernetes.io/basic-auth" | "kubernetes.io/ssh-auth") => "logins",
        Some("Opaque" | "") => "of no stated kind",
        Some(_) => "other",
        None => "of more types",
    }
    .to_owned()
}
