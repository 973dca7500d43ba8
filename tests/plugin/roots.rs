//! Roots that do not answer: what a daemon says and does without any. With roots that do, it is tried in the
//! conformance tests.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use kms_proto::{
    Envelope, KekId, LOCAL_KEK_ANNOTATION, WrappedKek,
    wire::v2::{DecryptRequest, StatusRequest},
};

use crate::support::{
    eventually,
    gatehouse::{Gate, Gatehouse},
    plugin::{Plugin, Site, kms_plugin},
    server::free_port,
};

/// A site whose one root is a Vault where nobody listens.
fn site() -> Site {
    site_at(&format!("http://127.0.0.1:{}", free_port()))
}

fn site_at(vault: &str) -> Site {
    let site = Site::new();
    site.write_secret("token", "none");
    site.write_config(&format!(
        "{}stateDirectory: {}
roots: [{{name: vault, vault: {{addresses: [\"{vault}\"], key: k8s, auth: {{tokenFile: {}}}}}}}]
keks: [{{name: main, wrapWith: [vault]}}]
",
        site.settings,
        site.path("state").display(),
        site.path("token").display(),
    ));
    site
}

#[tokio::test]
async fn a_daemon_serves_before_its_roots_do_and_says_what_is_missing() {
    let site = site();
    let plugin = Plugin::start(&site);
    assert_eq!(plugin.get("/livez").0, 200);
    let why = eventually("it has asked", || {
        let (status, text) = plugin.get("/readyz");
        assert_eq!(status, 503, "{text}");
        text.contains("cannot be reached").then_some(text)
    });
    assert!(why.starts_with(r#"starting: the root "vault""#), "{why}");
    let error = plugin
        .client()
        .await
        .status(StatusRequest {})
        .await
        .unwrap_err();
    assert_eq!(error.code(), tonic::Code::FailedPrecondition);
    assert!(error.message().contains("vault"), "{error}");
    assert_eq!(plugin.metric(r#"ringfence_state{state="starting"}"#), 1.0);
    assert_eq!(
        plugin.metric(r#"ringfence_root_up{root="vault",kind="vault"}"#),
        0.0
    );

    let status = site.run("status");
    let text = String::from_utf8(status.stdout).unwrap();
    assert!(
        text.starts_with("state     starting\nreason    the root"),
        "{text}"
    );
    // What went wrong has a line of its own, as long as it is.
    let mut table = text
        .lines()
        .filter(|line| !line.contains("cannot be reached"));
    assert!(table.all(|line| line.chars().count() <= 100), "{text}");

    // The state directory is in use, and not to blame.
    let check = site.run("check");
    assert_eq!(check.status.code(), Some(4), "{check:?}");
}

/// A root that takes calls and never answers, and a local KEK that only it opens.
#[tokio::test]
async fn a_caller_is_told_before_it_gives_up() {
    let silent = Gatehouse::start(free_port());
    silent.set(Gate::BlackHole);
    let site = site_at(&silent.endpoint());
    let plugin = Plugin::start(&site);
    let wrapped = WrappedKek {
        version: "vault:transit/k8s#1@1".parse().unwrap(),
        ciphertext: vec![0; 60],
    };
    let envelope = Envelope::new(KekId([7; 16]), vec![wrapped]).unwrap();
    let mut client = plugin.client().await;
    let mut request = tonic::Request::new(DecryptRequest {
        ciphertext: vec![1; 73],
        uid: "1".to_owned(),
        key_id: "rf-root-1".to_owned(),
        annotations: [(LOCAL_KEK_ANNOTATION.to_owned(), envelope.to_bytes())].into(),
    });
    request.set_timeout(Duration::from_millis(1500));
    let error = client.decrypt(request).await.unwrap_err();
    assert!(error.message().contains("kms-plugin status"), "{error}");
    assert_eq!(error.code(), tonic::Code::DeadlineExceeded);
}

#[test]
fn a_state_directory_is_one_daemons_and_nobody_elses() {
    let (one, other) = (site(), site());
    let _plugin = Plugin::start(&one);
    let config = fs::read_to_string(other.config()).unwrap();
    let [theirs, ours] = [&other, &one].map(|site| site.path("state").display().to_string());
    other.write_config(&config.replace(&theirs, &ours));
    let refused = other.run("serve");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("in use by another kms-plugin"), "{said}");

    let open = site();
    fs::create_dir(open.path("state")).unwrap();
    fs::set_permissions(open.path("state"), fs::Permissions::from_mode(0o777)).unwrap();
    for verb in ["serve", "check"] {
        let refused = open.run(verb);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(3), "{verb}: {said}");
        assert!(said.contains("chmod go-w"), "{verb}: {said}");
    }

    // Where it will be, there is a file.
    let blocked = site();
    fs::write(blocked.path("state"), "").unwrap();
    let refused = blocked.run("check");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("as `stateDirectory`"), "{said}");
}

#[test]
fn a_recovery_needs_a_root_that_it_recovers_from() {
    let site = site();
    let refused = kms_plugin(&["recover", "--identity", "/nowhere", "--config"])
        .arg(site.config())
        .output()
        .unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("lists no recovery root"), "{said}");
}
