//! What the apiservers say of one object.

use crate::{
    apiserver::{Apiserver, ApiserverError},
    stored::{GroupResource, object::Identity},
};

/// Where every apiserver serves the object as it is now: asked before anything is written, so that
/// a wrong token or a deleted object costs nothing. Objects are stored in versions that are served
/// no more (CustomResourceDefinitions in v1beta1), so all versions of the group are tried.
pub(super) async fn served(
    apiservers: &[Apiserver],
    identity: &Identity,
    resource: &GroupResource,
) -> Result<Option<String>, ApiserverError> {
    let Some(first) = apiservers.first() else {
        return Ok(None);
    };
    let mut versions = vec![identity.api_version.to_string()];
    if !resource.group.is_empty() {
        versions.extend(first.group_versions(&resource.group).await?);
    }
    for version in versions {
        let path = rest_path(identity, &version, &resource.resource);
        if all_serve(apiservers, &path).await? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

async fn all_serve(apiservers: &[Apiserver], path: &str) -> Result<bool, ApiserverError> {
    for apiserver in apiservers {
        match apiserver.resource_version(path).await {
            Ok(_) => {}
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Where an apiserver serves an object in a version.
fn rest_path(identity: &Identity, api_version: &str, plural: &str) -> String {
    let Identity {
        namespace, name, ..
    } = identity;
    let root = if api_version.contains('/') {
        "apis"
    } else {
        "api"
    };
    match namespace {
        Some(namespace) => format!("/{root}/{api_version}/namespaces/{namespace}/{plural}/{name}"),
        None => format!("/{root}/{api_version}/{plural}/{name}"),
    }
}

/// Whether every apiserver saw our very write. A later one of somebody else proves nothing; an
/// older one means another etcd.
pub(super) async fn read_back(
    apiservers: &[Apiserver],
    path: &str,
    revision: i64,
) -> Result<bool, ApiserverError> {
    let mut proved = true;
    for apiserver in apiservers {
        let seen = match apiserver.resource_version(path).await {
            Ok(seen) => seen.parse().unwrap_or(0),
            // Deleted since.
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(error),
        };
        if seen < revision {
            return Err(ApiserverError::OtherStore {
                url: apiserver.url().to_owned(),
            });
        }
        proved &= seen == revision;
    }
    Ok(proved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_served_under_their_group_and_version() {
        let identity = |namespace: Option<&str>| Identity {
            api_version: "v1".into(),
            kind: "K".into(),
            namespace: namespace.map(Box::from),
            name: "n".into(),
            uid: None,
        };
        assert_eq!(
            rest_path(&identity(Some("a")), "v1", "secrets"),
            "/api/v1/namespaces/a/secrets/n"
        );
        assert_eq!(rest_path(&identity(None), "v1", "nodes"), "/api/v1/nodes/n");
        assert_eq!(
            rest_path(&identity(Some("a")), "apps/v1", "deployments"),
            "/apis/apps/v1/namespaces/a/deployments/n"
        );
    }
}
