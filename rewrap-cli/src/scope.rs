//! Which objects a command is about.

use crate::{
    area::{Area, Content},
    cli,
    stored::{GroupResource, ObjectKey},
};

/// A parsed `--resource --exclude --namespace`.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    resources: Vec<GroupResource>,
    excluded: Vec<GroupResource>,
    namespace: Option<String>,
}

impl Scope {
    /// Parses what was typed.
    pub fn new(args: &cli::Scope) -> Self {
        let parse = |texts: &[String]| {
            texts
                .iter()
                .map(|text| {
                    let Ok(resource) = text.parse();
                    resource
                })
                .collect()
        };
        Self {
            resources: parse(&args.resource),
            excluded: parse(&args.exclude),
            namespace: args.namespace.clone(),
        }
    }

    /// Whether everything is meant.
    pub fn is_everything(&self) -> bool {
        self.resources.is_empty() && self.excluded.is_empty() && self.namespace.is_none()
    }

    /// The resources that were named; none where all are meant but for some.
    pub fn resources(&self) -> &[GroupResource] {
        &self.resources
    }

    /// The keys of an area that are meant: all, those of one namespace, or none.
    pub fn path(&self, area: &Area) -> Option<String> {
        let Content::Objects { resource, .. } = &area.content else {
            return self.is_everything().then(|| area.display());
        };
        if !self.names(resource) {
            return None;
        }
        Some(match &self.namespace {
            Some(namespace) => format!("{}{namespace}/", area.display()),
            None => area.display(),
        })
    }

    /// Whether an object is meant.
    pub fn contains(&self, resource: &GroupResource, object: ObjectKey<'_>) -> bool {
        let namespace = self.namespace.as_deref();
        self.names(resource) && namespace.is_none_or(|name| object.namespace == Some(name))
    }

    fn names(&self, resource: &GroupResource) -> bool {
        let named = self.resources.is_empty() || self.resources.contains(resource);
        named && !self.excluded.contains(resource)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::stored::Rule;

    fn area(resource: &str) -> Area {
        let Ok(parsed) = resource.parse();
        Area {
            store: 0,
            path: format!("/registry/{resource}/").into_bytes(),
            content: Content::Objects {
                resource: parsed,
                scope: crate::stored::Scope::Namespaced,
                rule: Arc::new(Rule::identity()),
            },
        }
    }

    #[test]
    fn a_scope_picks_resources_and_narrows_to_a_namespace() {
        let scope = |resource: &[&str], exclude: &[&str], namespace: Option<&str>| {
            Scope::new(&cli::Scope {
                resource: resource.iter().map(|text| (*text).to_owned()).collect(),
                exclude: exclude.iter().map(|text| (*text).to_owned()).collect(),
                namespace: namespace.map(str::to_owned),
            })
        };
        let secrets = area("secrets");
        let path = |scope: Scope| scope.path(&secrets);
        assert_eq!(
            path(scope(&[], &[], None)).as_deref(),
            Some("/registry/secrets/")
        );
        assert_eq!(
            path(scope(&["secrets"], &[], Some("a"))).as_deref(),
            Some("/registry/secrets/a/")
        );
        assert_eq!(path(scope(&["pods"], &[], None)), None);
        assert_eq!(path(scope(&[], &["secrets"], None)), None);
        let object = |namespace: Option<&'static str>| ObjectKey {
            namespace,
            name: "x",
        };
        let Ok(resource) = "secrets".parse();
        let narrow = scope(&["secrets"], &[], Some("a"));
        assert!(narrow.contains(&resource, object(Some("a"))));
        assert!(!narrow.contains(&resource, object(Some("b"))));
        assert!(!narrow.contains(&resource, object(None)));
        assert!(!scope(&[], &["secrets"], None).contains(&resource, object(Some("a"))));
    }
}
