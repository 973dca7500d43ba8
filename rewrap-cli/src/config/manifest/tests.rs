use proptest::prelude::*;

use super::*;
use crate::damage::{damaged, tells};

const KUBEADM: &str = r"
apiVersion: v1
kind: Pod
metadata: {name: kube-apiserver, namespace: kube-system}
spec:
  containers:
  - name: sidecar
    command: [sleep, infinity]
  - name: kube-apiserver
    image: registry.k8s.io/kube-apiserver:v1.34.2
    command:
    - kube-apiserver
    - --advertise-address=10.0.0.4
    - --allow-privileged
    - --encryption-provider-config
    - /etc/kubernetes/enc/config.yaml
    - --encryption-provider-config-automatic-reload
    - --etcd-cafile=/etc/kubernetes/pki/etcd/ca.crt
    - --etcd-certfile=/old.crt
    - --etcd-certfile=/etc/kubernetes/pki/client.crt
    - --etcd_keyfile=/run/keys/client.key
    - --etcd-servers=https://127.0.0.1:2379,https://127.0.0.2:2379
    - -v=2
    args:
    - --etcd-servers-overrides=/events#https://e1:2379;https://e2:2379,apps/deployments#https://d:2379
    - --feature-gates=Other=false,KMSv1=true
    volumeMounts:
    - {name: certs, mountPath: /etc/kubernetes/pki}
    - {name: etcd, mountPath: /etc/kubernetes/pki/etcd, readOnly: true}
    - {name: config, mountPath: /etc/kubernetes/enc/config.yaml, subPath: live/encryption.yaml}
    - {name: keys, mountPath: /run/keys/client.key}
    - {name: memory, mountPath: /tmp}
  volumes:
  - {name: certs, hostPath: {path: /srv/pki/, type: DirectoryOrCreate}}
  - {name: etcd, hostPath: {path: /srv/etcd}}
  - {name: config, hostPath: {path: /srv/config}}
  - {name: keys, hostPath: {path: /srv/client.key, type: File}}
  - {name: memory, emptyDir: {}}
";

/// A pod whose container has the given command line and one volume, /etc/k from /srv/k.
fn pod(command: &str) -> String {
    format!(
        "kind: Pod
spec:
  containers:
  - {{name: kube-apiserver, {command}, volumeMounts: [{{name: k, mountPath: /etc/k}}, {{name: e, mountPath: /etc/k/e}}]}}
  volumes: [{{name: k, hostPath: {{path: /srv/k}}}}, {{name: e, emptyDir: {{}}}}]
"
    )
}

fn parse(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(text.as_bytes())
}

#[test]
fn a_kubeadm_manifest_is_read_with_host_paths() {
    let manifest = parse(KUBEADM).unwrap();
    let path = |path: &str| Some(PathBuf::from(path));
    assert_eq!(
        manifest.etcd_servers,
        ["https://127.0.0.1:2379", "https://127.0.0.2:2379"]
    );
    assert_eq!(manifest.etcd_prefix, "/registry");
    assert_eq!(manifest.etcd_ca_file, path("/srv/etcd/ca.crt"));
    assert_eq!(manifest.etcd_cert_file, path("/srv/pki/client.crt"));
    assert_eq!(manifest.etcd_key_file, path("/srv/client.key"));
    assert_eq!(
        manifest.encryption_config,
        path("/srv/config/live/encryption.yaml")
    );
    assert!(manifest.automatic_reload);
    assert_eq!(manifest.kms_v1, Some(true));
    assert_eq!(manifest.version.map(|version| version.minor()), Some(34));
    let [events, deployments] = &manifest.etcd_overrides[..] else {
        panic!("two overrides");
    };
    assert_eq!(events.resource, GroupResource::new("events", ""));
    assert_eq!(events.servers, ["https://e1:2379", "https://e2:2379"]);
    assert_eq!(
        deployments.resource,
        GroupResource::new("deployments", "apps")
    );
    // A trailing slash would turn the file into a directory.
    assert_eq!(
        manifest.etcd_key_file.unwrap().as_os_str(),
        "/srv/client.key"
    );
}

#[test]
fn paths_are_mapped_by_the_longest_mount() {
    let manifest = parse(KUBEADM).unwrap();
    for (path, host) in [
        ("/etc/kubernetes/pki/a", Ok("/srv/pki/a")),
        ("/etc/kubernetes/pki/etcd/a", Ok("/srv/etcd/a")),
        ("/etc/kubernetes/pki/etcd", Ok("/srv/etcd")),
        ("/etc/kubernetes/pki/etcd2/a", Ok("/srv/pki/etcd2/a")),
        ("/tmp/kms.sock", Err(Unmapped::NotHostPath)),
        ("/var/run/kms.sock", Err(Unmapped::NotMounted)),
        ("/etc/kubernetes/pki/../x", Err(Unmapped::NotPlain)),
        ("kms.sock", Err(Unmapped::NotPlain)),
    ] {
        assert_eq!(
            manifest.host_path(Path::new(path)),
            host.map(PathBuf::from),
            "{path}"
        );
    }
}

#[test]
fn flags_are_found_wherever_kubernetes_takes_them() {
    let reload = "encryption-provider-config-automatic-reload";
    for (command, servers, automatic_reload) in [
        (
            "command: [kube-apiserver, --etcd-servers, a]".to_owned(),
            "a",
            false,
        ),
        (
            format!("args: [--etcd-servers=a, --{reload}=false]"),
            "a",
            false,
        ),
        (
            format!(
                "command: [/usr/local/bin/kube-apiserver], args: [--{reload}, --etcd-servers=a]"
            ),
            "a",
            true,
        ),
        (
            "command: [/go-runner, --etcd-servers=no, kube-apiserver], args: [--etcd-servers=a]"
                .to_owned(),
            "a",
            false,
        ),
        (
            "command: [kube-apiserver, --etcd-servers=a, --, --etcd-servers=b]".to_owned(),
            "a",
            false,
        ),
        (
            "command: [kube-apiserver, --etcd-servers=a, --etcd-servers=b]".to_owned(),
            "a b",
            false,
        ),
        (
            "command: [kube-apiserver, '--etcd-servers=\"a\",b', --etcd_servers, '\"c,d\"']".to_owned(),
            "a b c,d",
            false,
        ),
        (
            format!("command: [kube-apiserver, -v, '2', --{reload}, 'false', -, --etcd-servers, --x]"),
            "--x",
            true,
        ),
        (
            "command: [kube-apiserver, --etcd-servers=$(E)$$(E)$$$(F)$(E], env: [{name: E, value: a}, {name: F, value: b$(E)}]"
                .to_owned(),
            "a$(E)$ba$(E",
            false,
        ),
        (
            format!("command: [kube-apiserver, --{reload}=T, --{reload}=0]"),
            "",
            false,
        ),
    ] {
        let manifest = parse(&pod(&command)).unwrap();
        assert_eq!(manifest.etcd_servers.join(" "), servers, "{command}");
        assert_eq!(manifest.automatic_reload, automatic_reload, "{command}");
    }
}

#[test]
fn the_container_of_the_name_is_taken_before_one_that_only_mentions_the_program() {
    let text = "kind: Pod
spec:
  containers:
  - {name: audit, command: [tail, -F, /var/log/kube-apiserver, --etcd-servers=no]}
  - {name: kube-apiserver, command: [kube-apiserver, --etcd-servers=a]}
";
    assert_eq!(parse(text).unwrap().etcd_servers, ["a"]);
    let renamed = text
        .replace("name: kube-apiserver", "name: server")
        .replace("log/kube-", "log/");
    assert_eq!(parse(&renamed).unwrap().etcd_servers, ["a"]);
}

#[test]
fn feature_gates_may_name_their_component() {
    for (value, expected) in [
        ("", Some(None)),
        ("A=true", Some(None)),
        ("KMSv1=true", Some(Some(true))),
        (" KMSv1 = 1 ,,A=0", Some(Some(true))),
        ("kube:KMSv1=true", Some(Some(true))),
        ("wardle:KMSv1=true", Some(None)),
        ("KMSv1=true,KMSv1=false", Some(Some(false))),
        ("KMSv1", None),
        ("KMSv1=on", None),
    ] {
        assert_eq!(feature_gate(value, "KMSv1"), expected, "{value}");
    }
    let twice =
        pod("command: [kube-apiserver, --feature-gates=KMSv1=true, --feature-gates, A=true]");
    assert_eq!(parse(&twice).unwrap().kms_v1, Some(true));
}

#[test]
fn overrides_are_read_as_kube_apiserver_reads_them() {
    let parse = |text: &str| text.parse::<EtcdOverride>();
    let parsed = parse("apps/deployments#http://a;http://b").unwrap();
    assert_eq!(parsed.resource, GroupResource::new("deployments", "apps"));
    assert_eq!(parsed.servers, ["http://a", "http://b"]);
    assert_eq!(
        parse("/events#http://a").unwrap().resource,
        GroupResource::new("events", "")
    );
    for text in [
        "events#http://a",
        "/events",
        "/events#",
        "/events#a;",
        "/events#a#b",
        "a/b/c#d",
    ] {
        assert_eq!(parse(text), Err(MalformedOverride), "{text}");
    }
}

#[test]
fn what_cannot_be_used_is_refused() {
    for (text, error) in [
        ("kind: [".to_owned(), None),
        ("kind: Node".to_owned(), Some(ManifestError::NotAPod)),
        ("kind: Pod".to_owned(), Some(ManifestError::NoApiserver)),
        (
            pod("command: [sh, -c, kube-apiserver --etcd-servers=a]"),
            Some(ManifestError::NoApiserver),
        ),
        (
            pod("command: [kube-apiserver, 5]"),
            Some(ManifestError::NotAString),
        ),
        (
            pod("command: [kube-apiserver, --etcd-servers]"),
            Some(ManifestError::NoValue("etcd-servers")),
        ),
        (
            pod("command: [kube-apiserver, '--etcd-servers=$(E)']"),
            Some(ManifestError::Variable("etcd-servers")),
        ),
        (
            pod(
                "command: [kube-apiserver, '--etcd-servers=$(E)'], env: [{name: E, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}]",
            ),
            Some(ManifestError::Variable("etcd-servers")),
        ),
        (
            pod("command: [kube-apiserver, '--etcd-servers=a\"']"),
            Some(ManifestError::Value("etcd-servers")),
        ),
        (
            pod("command: [kube-apiserver, --etcd-servers-overrides=x]"),
            Some(ManifestError::Value("etcd-servers-overrides")),
        ),
        (
            pod("command: [kube-apiserver, --feature-gates=KMSv1=on]"),
            Some(ManifestError::Value("feature-gates")),
        ),
        (
            pod("command: [kube-apiserver, --etcd-keyfile=/etc/x]"),
            Some(ManifestError::Unmapped {
                flag: "etcd-keyfile",
                unmapped: Unmapped::NotMounted,
            }),
        ),
        (
            pod("command: [kube-apiserver, --encryption-provider-config=/etc/k/e/x]"),
            Some(ManifestError::Unmapped {
                flag: "encryption-provider-config",
                unmapped: Unmapped::NotHostPath,
            }),
        ),
    ] {
        let result = parse(&text).unwrap_err();
        assert!(
            error.is_none_or(|error| error == result),
            "{text}: {result}"
        );
    }
}

/// Nobody should put one there, and somebody will.
const SECRET: &str = "h4nt3r-2x-h4nt3r-2y";

fn with_secrets() -> String {
    KUBEADM.replace(
        "    - -v=2\n",
        &format!(
            "    - -v=2\n    - --token={SECRET}\n    env: [{{name: TOKEN, value: {SECRET}}}]\n"
        ),
    )
}

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Err(error) = Manifest::parse(bytes) {
        let said = format!("{error} {error:?}");
        prop_assert!(!tells(&said, SECRET), "{said}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_damaged_manifest_never_panics_and_is_never_quoted(bytes in damaged(with_secrets())) {
        check(&bytes)?;
    }

    #[test]
    fn nor_do_other_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Manifest::parse(&bytes).is_err());
    }
}

#[test]
fn the_manifest_that_is_damaged_is_good() {
    assert_eq!(parse(&with_secrets()).unwrap(), parse(KUBEADM).unwrap());
    assert_eq!(with_secrets().matches(SECRET).count(), 2);
}
