use super::{GroupResource, built_in};

/// Whether kube-apiserver can have encrypted objects of a resource that somebody names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Existence {
    /// It is compiled in, or all of a group is meant.
    BuiltIn,
    /// A custom resource may be called so; only the cluster knows.
    Custom,
    /// It is served and not stored, or stored and never encrypted.
    NeverEncrypted,
    /// No release from 1.28 to 1.37 has it, nor can a custom resource be called so.
    None {
        /// The only one that is called nearly so.
        meant: Option<GroupResource>,
    },
}

/// What is answered without being stored, and what only etcd knows (`pkg/registry` of
/// `kubernetes/kubernetes`, and `TestEncryptAll` of `test/integration/controlplane/transformation`).
const NEVER_ENCRYPTED: &[(&str, &str)] = &[
    ("", "apiserveripinfo"),
    ("", "bindings"),
    ("", "componentstatuses"),
    ("", "masterleases"),
    ("", "peerserverleases"),
    ("", "ranges"),
    ("", "serviceipallocations"),
    ("", "servicenodeportallocations"),
    ("authentication.k8s.io", "*"),
    ("authorization.k8s.io", "*"),
    ("custom.metrics.k8s.io", "*"),
    ("external.metrics.k8s.io", "*"),
    ("imagepolicy.k8s.io", "*"),
    ("metrics.k8s.io", "*"),
];

impl GroupResource {
    /// What is known of it without asking a cluster.
    pub fn existence(&self) -> Existence {
        let Self { group, resource } = self;
        let never = |(in_group, name): &(&str, &str)| {
            *in_group == &**group && (*name == "*" || *name == &**resource)
        };
        let known_group = built_in::ALL.iter().any(|one| one.group == &**group);
        if NEVER_ENCRYPTED.iter().any(never) {
            Existence::NeverEncrypted
        } else if built_in::BuiltIn::of(self).is_some()
            || &**resource == "*" && (known_group || &**group == "*")
        {
            Existence::BuiltIn
        } else if group.contains('.') && !known_group {
            Existence::Custom
        } else {
            Existence::None {
                meant: self.meant(),
            }
        }
    }

    /// The resource of another group, or the plural.
    fn meant(&self) -> Option<Self> {
        let name = &*self.resource;
        let plurals = [
            name.to_owned(),
            format!("{name}s"),
            format!("{name}es"),
            format!("{}ies", name.strip_suffix('y').unwrap_or(name)),
        ];
        let mut found = built_in::ALL
            .iter()
            .filter(|one| plurals.iter().any(|plural| plural == one.resource));
        let first = found.next()?;
        found.next().is_none().then(|| first.group_resource())
    }
}
