//! The static pod of the plugin, and what kube-apiserver's own manifest needs.

use std::path::{Path, PathBuf};

use kms_plugin::config::KekSource;
use rewrap_cli::config::Manifest;
use serde_json::{Value, json};

use super::{plugin_config, yaml};

const ENCRYPTION_CONFIG: &str = "/etc/kubernetes/encryption/config.yaml";

fn container(pod: &Value) -> &Value {
    let [container] = pod["spec"]["containers"].as_array().unwrap().as_slice() else {
        panic!("one container is expected");
    };
    container
}

/// The command of the pod.
pub(crate) fn command() -> Vec<String> {
    strings(&container(&yaml("kms-plugin.static-pod.yaml"))["command"])
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}

/// Where a path of the container is on the node, and whether the container may write it.
fn on_node(pod: &Value, path: &Path) -> Option<(PathBuf, bool)> {
    let mounts = container(pod)["volumeMounts"].as_array().unwrap();
    let (mount, rest) = mounts
        .iter()
        .find_map(|mount| Some((mount, path.strip_prefix(mount["mountPath"].as_str()?).ok()?)))?;
    let volumes = pod["spec"]["volumes"].as_array().unwrap();
    let volume = volumes
        .iter()
        .find(|volume| volume["name"] == mount["name"])?;
    let host = Path::new(volume["hostPath"]["path"].as_str()?);
    Some((host.join(rest), mount["readOnly"] != true))
}

#[test]
fn the_pod_finds_everything_that_the_configuration_names() {
    let pod = yaml("kms-plugin.static-pod.yaml");
    let config = plugin_config();
    let command = command();
    let config_path = command
        .iter()
        .find_map(|word| word.strip_prefix("--config="))
        .unwrap();
    let KekSource::Local(key) = &config.keks[0].source else {
        panic!("the sample has a key file");
    };
    for (path, writable) in [
        (Path::new(config_path), false),
        (&key.key_file, false),
        (&config.fixed.socket.path, true),
    ] {
        assert_eq!(
            on_node(&pod, path),
            Some((path.to_owned(), writable)),
            "{}",
            path.display()
        );
    }
    // Where a mounted directory may be replaced, its files must not be mounted one by one.
    for mount in container(&pod)["volumeMounts"].as_array().unwrap() {
        assert_eq!(mount.get("subPath"), None);
    }
}

#[test]
fn the_pod_has_no_rights_that_it_does_not_need() {
    let pod = yaml("kms-plugin.static-pod.yaml");
    let spec = &pod["spec"];
    assert_eq!(spec["securityContext"]["runAsUser"], 0);
    assert_eq!(
        spec["securityContext"]["seccompProfile"]["type"],
        "RuntimeDefault"
    );
    assert_eq!(spec["automountServiceAccountToken"], false);
    assert_eq!(
        container(&pod)["securityContext"],
        json!({
            "allowPrivilegeEscalation": false,
            "privileged": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        })
    );
    // What static pods cannot have: kubelet refuses them.
    assert_eq!(spec.get("serviceAccountName"), None);
    assert!(!pod.to_string().contains("configMap") && !pod.to_string().contains("secretKeyRef"));
}

#[test]
fn the_pod_starts_before_the_cluster_network_and_is_probed_on_loopback() {
    let pod = yaml("kms-plugin.static-pod.yaml");
    assert_eq!(pod["metadata"]["namespace"], "kube-system");
    assert_eq!(pod["spec"]["hostNetwork"], true);
    assert_eq!(pod["spec"]["priorityClassName"], "system-node-critical");
    let address = plugin_config().fixed.http;
    for (probe, path) in [
        ("startupProbe", "/livez"),
        ("livenessProbe", "/livez"),
        ("readinessProbe", "/readyz"),
    ] {
        assert_eq!(
            container(&pod)[probe]["httpGet"],
            json!({"host": address.ip().to_string(), "port": address.port(), "path": path})
        );
    }
}

#[test]
fn the_patch_gives_kube_apiserver_the_configuration_and_the_socket() {
    let mut manifest = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "kube-apiserver", "namespace": "kube-system"},
        "spec": {
            "containers": [{
                "name": "kube-apiserver",
                "command": ["kube-apiserver", "--etcd-servers=https://127.0.0.1:2379"],
                "volumeMounts": [{"mountPath": "/etc/ssl/certs", "name": "ca-certs", "readOnly": true}],
            }],
            "volumes": [{"hostPath": {"path": "/etc/ssl/certs", "type": "DirectoryOrCreate"}, "name": "ca-certs"}],
        },
    });
    for operation in yaml("kubeadm-patches/kube-apiserver+json.yaml")
        .as_array()
        .unwrap()
    {
        assert_eq!(operation["op"], "add");
        let list = operation["path"]
            .as_str()
            .unwrap()
            .strip_suffix("/-")
            .unwrap();
        let list = manifest.pointer_mut(list).unwrap().as_array_mut().unwrap();
        list.push(operation["value"].clone());
    }

    let text = manifest.to_string();
    let read = Manifest::parse(text.as_bytes()).unwrap();
    assert_eq!(
        read.encryption_config.as_deref(),
        Some(Path::new(ENCRYPTION_CONFIG))
    );
    assert!(read.automatic_reload);
    let socket = plugin_config().fixed.socket.path;
    assert_eq!(read.host_path(&socket).unwrap(), socket);
    for path in [Path::new(ENCRYPTION_CONFIG), &socket] {
        assert_eq!(on_node(&manifest, path), Some((path.to_owned(), false)));
    }
}
