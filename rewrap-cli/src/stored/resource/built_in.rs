use super::{GroupResource, Scope};

/// A resource that is compiled into kube-apiserver.
pub(super) struct BuiltIn {
    pub(super) group: &'static str,
    pub(super) resource: &'static str,
    pub(super) scope: Scope,
    /// Where its objects lie, without slashes at the ends.
    pub(super) path: &'static str,
}

impl BuiltIn {
    /// The resource whose objects lie under a path of one segment, or of two where the second is
    /// given.
    pub(super) fn at(path: &str) -> Option<&'static Self> {
        ALL.iter().find(|built_in| built_in.path == path)
    }

    /// The entry of a resource.
    pub(super) fn of(resource: &GroupResource) -> Option<&'static Self> {
        ALL.iter().find(|built_in| {
            built_in.group == &*resource.group && built_in.resource == &*resource.resource
        })
    }

    pub(super) fn group_resource(&self) -> GroupResource {
        GroupResource::new(self.resource, self.group)
    }
}

const fn namespaced(group: &'static str, resource: &'static str) -> BuiltIn {
    BuiltIn {
        group,
        resource,
        scope: Scope::Namespaced,
        path: resource,
    }
}

const fn cluster(group: &'static str, resource: &'static str) -> BuiltIn {
    BuiltIn {
        group,
        resource,
        scope: Scope::Cluster,
        path: resource,
    }
}

const fn at(path: &'static str, built_in: BuiltIn) -> BuiltIn {
    BuiltIn { path, ..built_in }
}

/// The resources of Kubernetes 1.28 to 1.37, and those of older releases whose objects may have
/// survived an upgrade. Where a resource is or was served by several groups, the group is the one
/// under which it is stored, which is the one an EncryptionConfiguration names
/// (`test/integration/etcd/data.go` and
/// `pkg/kubeapiserver/default_storage_factory_builder.go` of `kubernetes/kubernetes`).
pub(super) const ALL: &[BuiltIn] = &[
    namespaced("", "configmaps"),
    at("services/endpoints", namespaced("", "endpoints")),
    namespaced("", "events"),
    namespaced("", "limitranges"),
    cluster("", "namespaces"),
    at("minions", cluster("", "nodes")),
    namespaced("", "persistentvolumeclaims"),
    cluster("", "persistentvolumes"),
    namespaced("", "pods"),
    namespaced("", "podtemplates"),
    at("controllers", namespaced("", "replicationcontrollers")),
    namespaced("", "resourcequotas"),
    namespaced("", "secrets"),
    namespaced("", "serviceaccounts"),
    at("services/specs", namespaced("", "services")),
    cluster("admissionregistration.k8s.io", "mutatingadmissionpolicies"),
    cluster(
        "admissionregistration.k8s.io",
        "mutatingadmissionpolicybindings",
    ),
    cluster(
        "admissionregistration.k8s.io",
        "mutatingwebhookconfigurations",
    ),
    cluster(
        "admissionregistration.k8s.io",
        "validatingadmissionpolicies",
    ),
    cluster(
        "admissionregistration.k8s.io",
        "validatingadmissionpolicybindings",
    ),
    cluster(
        "admissionregistration.k8s.io",
        "validatingwebhookconfigurations",
    ),
    at(
        "apiextensions.k8s.io/customresourcedefinitions",
        cluster("apiextensions.k8s.io", "customresourcedefinitions"),
    ),
    at(
        "apiregistration.k8s.io/apiservices",
        cluster("apiregistration.k8s.io", "apiservices"),
    ),
    namespaced("apps", "controllerrevisions"),
    namespaced("apps", "daemonsets"),
    namespaced("apps", "deployments"),
    namespaced("apps", "replicasets"),
    namespaced("apps", "statefulsets"),
    namespaced("autoscaling", "horizontalpodautoscalers"),
    namespaced("batch", "cronjobs"),
    namespaced("batch", "jobs"),
    cluster("certificates.k8s.io", "certificatesigningrequests"),
    cluster("certificates.k8s.io", "clustertrustbundles"),
    namespaced("certificates.k8s.io", "podcertificaterequests"),
    namespaced("coordination.k8s.io", "leasecandidates"),
    namespaced("coordination.k8s.io", "leases"),
    namespaced("discovery.k8s.io", "endpointslices"),
    cluster("flowcontrol.apiserver.k8s.io", "flowschemas"),
    cluster(
        "flowcontrol.apiserver.k8s.io",
        "prioritylevelconfigurations",
    ),
    cluster("internal.apiserver.k8s.io", "storageversions"),
    namespaced("lifecycle.k8s.io", "evictionrequests"),
    namespaced("lifecycle.k8s.io", "evictions"),
    cluster("networking.k8s.io", "clustercidrs"),
    cluster("networking.k8s.io", "ingressclasses"),
    at("ingress", namespaced("networking.k8s.io", "ingresses")),
    cluster("networking.k8s.io", "ipaddresses"),
    namespaced("networking.k8s.io", "networkpolicies"),
    cluster("networking.k8s.io", "servicecidrs"),
    cluster("node.k8s.io", "runtimeclasses"),
    namespaced("policy", "poddisruptionbudgets"),
    at(
        "podsecuritypolicy",
        cluster("policy", "podsecuritypolicies"),
    ),
    cluster("rbac.authorization.k8s.io", "clusterrolebindings"),
    cluster("rbac.authorization.k8s.io", "clusterroles"),
    namespaced("rbac.authorization.k8s.io", "rolebindings"),
    namespaced("rbac.authorization.k8s.io", "roles"),
    cluster("resource.k8s.io", "deviceclasses"),
    cluster("resource.k8s.io", "devicetaintrules"),
    namespaced("resource.k8s.io", "podschedulingcontexts"),
    namespaced("resource.k8s.io", "resourceclaimparameters"),
    namespaced("resource.k8s.io", "resourceclaims"),
    namespaced("resource.k8s.io", "resourceclaimtemplates"),
    cluster("resource.k8s.io", "resourceclasses"),
    namespaced("resource.k8s.io", "resourceclassparameters"),
    cluster("resource.k8s.io", "resourcepoolstatusrequests"),
    cluster("resource.k8s.io", "resourceslices"),
    namespaced("scheduling.k8s.io", "compositepodgroups"),
    namespaced("scheduling.k8s.io", "podgroups"),
    cluster("scheduling.k8s.io", "priorityclasses"),
    namespaced("scheduling.k8s.io", "workloads"),
    cluster("storage.k8s.io", "csidrivers"),
    cluster("storage.k8s.io", "csinodes"),
    namespaced("storage.k8s.io", "csistoragecapacities"),
    cluster("storage.k8s.io", "storageclasses"),
    cluster("storage.k8s.io", "volumeattachments"),
    cluster("storage.k8s.io", "volumeattributesclasses"),
    cluster("storagemigration.k8s.io", "storageversionmigrations"),
];
