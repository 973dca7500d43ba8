//! The least that kube-apiserver wants of an object of each resource.

use base64::{Engine, prelude::BASE64_STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequest, IsCa, KeyPair, PublicKeyData,
    SigningKey,
};
use serde_json::{Value, json};

use super::NAMESPACE;

/// What an object has besides its name; of several, each is right in some version.
pub(super) fn contents(plural: &str) -> Vec<Value> {
    let pod = json!({
        "metadata": {"labels": {"app": "none"}},
        "spec": {"containers": [{"name": "none", "image": "none"}]},
    });
    let mut job = json!({"template": pod});
    job["template"]["spec"]["restartPolicy"] = "Never".into();
    let matching = json!({"resourceRules": [{
        "apiGroups": ["example.com"], "apiVersions": ["v1"], "operations": ["CREATE"],
        "resources": ["none"],
    }]});
    let target = json!({"pod": {"name": "none", "uid": "3f0bd9f2-11fd-4d5c-a7b0-04c8ac3d6d7b"}});
    let basic = json!({"basic": {}});
    let template = json!({"workloadName": "none", "templateName": "none"});
    match plural {
        "clustercidrs" => vec![spec(json!({"perNodeHostBits": 8, "ipv4": "198.51.0.0/16"}))],
        "clusterrolebindings" | "rolebindings" => vec![json!({"roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "none",
        }})],
        "certificatesigningrequests" => vec![spec(json!({
            "signerName": "example.com/none", "usages": ["client auth"],
            "request": BASE64_STANDARD.encode(signing_request().pem().unwrap()),
        }))],
        "clustertrustbundles" => vec![spec(json!({
            "signerName": "example.com/none", "trustBundle": authority(),
        }))],
        "compositepodgroups" | "podgroups" => {
            vec![spec(
                json!({"workloadRef": template, "schedulingPolicy": basic}),
            )]
        }
        "controllerrevisions" => vec![json!({"revision": 1, "data": {}})],
        "cronjobs" => vec![spec(
            json!({"schedule": "0 0 1 1 *", "jobTemplate": spec(job)}),
        )],
        "csinodes" => vec![spec(json!({"drivers": []}))],
        "csistoragecapacities" => vec![json!({"storageClassName": "none"})],
        "daemonsets" | "deployments" | "replicasets" | "statefulsets" => vec![spec(json!({
            "selector": {"matchLabels": {"app": "none"}}, "template": pod,
        }))],
        "devicetaintrules" => vec![spec(json!({
            "taint": {"key": "example.com/none", "effect": "NoSchedule"},
        }))],
        "endpointslices" => vec![json!({"addressType": "IPv4", "endpoints": []})],
        "events" => vec![json!({"involvedObject": {"namespace": NAMESPACE}})],
        "evictionrequests" => vec![spec(json!({
            "target": target, "requester": "example.com/none", "intent": "Eviction",
        }))],
        "evictions" => vec![spec(json!({"target": target}))],
        "horizontalpodautoscalers" => vec![spec(json!({
            "maxReplicas": 1,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"},
        }))],
        "ingressclasses" => vec![spec(json!({"controller": "example.com/none"}))],
        "ingresses" => vec![spec(json!({
            "defaultBackend": {"service": {"name": "none", "port": {"number": 80}}},
        }))],
        "ipaddresses" => vec![spec(json!({
            "parentRef": {"resource": "services", "namespace": NAMESPACE, "name": "one"},
        }))],
        "jobs" => vec![spec(job)],
        "leasecandidates" => ["strategy", "preferredStrategies"].map(candidate).into(),
        "mutatingadmissionpolicies" => vec![spec(json!({
            "matchConstraints": matching, "reinvocationPolicy": "Never",
            "mutations": [{
                "patchType": "ApplyConfiguration",
                "applyConfiguration": {"expression": "Object{}"},
            }],
        }))],
        "mutatingadmissionpolicybindings" => vec![spec(json!({"policyName": "none"}))],
        "networkpolicies" => vec![spec(json!({"podSelector": {}}))],
        "persistentvolumeclaims" => vec![spec(json!({
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}},
        }))],
        "persistentvolumes" => vec![spec(json!({
            "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Mi"},
            "hostPath": {"path": "/none"},
        }))],
        "podcertificaterequests" => pod_certificate_requests(),
        "pods" => vec![json!({"spec": pod["spec"]})],
        "podtemplates" => vec![json!({"template": pod})],
        "replicationcontrollers" => {
            vec![spec(json!({"selector": {"app": "none"}, "template": pod}))]
        }
        "resourceclaims" => vec![spec(json!({})), spec(json!({"resourceClassName": "none"}))],
        "resourceclaimtemplates" => vec![
            spec(spec(json!({}))),
            spec(spec(json!({"resourceClassName": "none"}))),
        ],
        "resourceclasses" => vec![json!({"driverName": "example.com"})],
        "resourcepoolstatusrequests" => vec![spec(json!({"driver": "example.com"}))],
        "resourceslices" => vec![
            spec(json!({
                "driver": "example.com", "nodeName": "none",
                "pool": {"name": "none", "resourceSliceCount": 1},
            })),
            json!({
                "driverName": "example.com", "nodeName": "none", "namedResources": {"instances": []},
            }),
        ],
        "runtimeclasses" => vec![json!({"handler": "none"})],
        "servicecidrs" => vec![spec(json!({"cidrs": ["198.51.100.0/24"]}))],
        "services" => vec![spec(json!({"ports": [{"port": 80}]}))],
        "storageclasses" => vec![json!({"provisioner": "example.com/none"})],
        "storageversionmigrations" => vec![
            spec(json!({"resource": {"group": "", "resource": "secrets"}})),
            spec(json!({"resource": {"version": "v1", "resource": "secrets"}})),
        ],
        "validatingadmissionpolicies" => vec![spec(json!({
            "matchConstraints": matching, "validations": [{"expression": "true"}],
        }))],
        "validatingadmissionpolicybindings" => vec![spec(json!({
            "policyName": "none", "validationActions": ["Audit"],
        }))],
        "volumeattachments" => vec![spec(json!({
            "attacher": "example.com", "nodeName": "none",
            "source": {"persistentVolumeName": "none"},
        }))],
        "volumeattributesclasses" => {
            vec![json!({"driverName": "example.com", "parameters": {"none": "none"}})]
        }
        "workloads" => vec![spec(json!({
            "podGroupTemplates": [{"name": "none", "schedulingPolicy": basic}],
        }))],
        _ => vec![spec(json!({})), json!({})],
    }
}

fn spec(spec: Value) -> Value {
    json!({"spec": spec})
}

/// A lease candidate, with the field for its strategy, or its list.
fn candidate(field: &str) -> Value {
    let strategy = json!("OldestEmulationVersion");
    let list = field.ends_with('s');
    spec(json!({
        "leaseName": "none", "binaryVersion": "1.0.0", "emulationVersion": "1.0.0",
        field: if list { json!([strategy]) } else { strategy },
    }))
}

/// With a signing request, or as in 1.34 with a public key and its signature of the pod's UID.
fn pod_certificate_requests() -> Vec<Value> {
    let key = KeyPair::generate().unwrap();
    let proofs = [
        json!({"stubPKCS10Request": BASE64_STANDARD.encode(signing_request().der())}),
        json!({
            "pkixPublicKey": BASE64_STANDARD.encode(key.subject_public_key_info()),
            "proofOfPossession": BASE64_STANDARD.encode(key.sign(b"1").unwrap()),
        }),
    ];
    let with = |proof| {
        let mut content = json!({
            "signerName": "example.com/none", "podName": "none", "podUID": "1",
            "serviceAccountName": "none", "serviceAccountUID": "2", "nodeName": "none",
            "nodeUID": "3", "maxExpirationSeconds": 86400,
        });
        if let (Value::Object(content), Value::Object(proof)) = (&mut content, proof) {
            content.extend(proof);
        }
        spec(content)
    };
    proofs.map(with).into()
}

fn signing_request() -> CertificateSigningRequest {
    let key = KeyPair::generate().unwrap();
    CertificateParams::default()
        .serialize_request(&key)
        .unwrap()
}

/// A certificate in PEM.
fn authority() -> String {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .self_signed(&KeyPair::generate().unwrap())
        .unwrap()
        .pem()
}
