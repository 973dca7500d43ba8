//! What a daemon lets the outside know: systemd, `status`, probes, metrics and the log.

use std::{fs, os::unix::net::UnixDatagram};

use rustix::process::Signal;
use tonic::Code;

use crate::{
    SEED, as_request, encrypt, failure, opens, refusal,
    support::{
        DEADLINE,
        plugin::{Plugin, Site, kms_plugin},
    },
};

#[test]
fn systemd_is_told_of_readiness_reloads_and_the_end() {
    let site = Site::with_key();
    let notify = UnixDatagram::bind(site.path("notify")).unwrap();
    notify.set_read_timeout(Some(DEADLINE)).unwrap();
    let told = || {
        let mut message = [0; 200];
        let len = notify.recv(&mut message).unwrap();
        String::from_utf8(message[..len].to_vec()).unwrap()
    };
    let notify_socket = site.path("notify");
    let mut plugin = Plugin::start_with(&site, |command| {
        command.env("NOTIFY_SOCKET", notify_socket);
    });
    assert_eq!(told().trim_end(), "READY=1");
    plugin.signal(Signal::HUP);
    let reloading = told();
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(told().trim_end(), "READY=1");
    plugin.signal(Signal::TERM);
    assert_eq!(told().trim_end(), "STOPPING=1");
    assert_eq!(plugin.wait().code(), Some(0));
}

#[tokio::test]
async fn status_tells_what_the_daemon_is_doing() {
    let site = Site::with_key();
    let (code, said) = failure(site.run("status"));
    assert_eq!(
        (code, said.contains("is kms-plugin running")),
        (4, true),
        "{said}"
    );

    let mut plugin = Plugin::start(&site);
    let mut client = plugin.client().await;
    let wrapped = encrypt(&mut client).await;
    assert!(opens(&mut client, &wrapped).await);
    site.write_config("not: this");
    plugin.logged("refused the changed files");

    let socket = site.socket();
    let socket = socket.to_str().unwrap();
    let output = kms_plugin(&["status", "--socket", socket, "-o", "json"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["kind"], "PluginStatus");
    assert_eq!(document["state"], "serving");
    assert_eq!(document["context"], "test");
    assert_eq!(
        (&document["encrypts"], &document["decrypts"]),
        (&1.into(), &1.into())
    );
    assert_eq!(document["keks"][0]["name"], "one");
    assert_eq!(document["keks"][0]["keyId"], wrapped.key_id);
    let error = document["reloadError"].as_str().unwrap();
    assert!(error.contains("the field `not` is unknown here"), "{error}");

    let output = kms_plugin(&["status", "--socket", socket])
        .output()
        .unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        table.contains("state     serving") && table.contains(&wrapped.key_id),
        "{table}"
    );
    assert!(table.contains("REFUSED"), "{table}");
}

#[tokio::test]
async fn probes_and_metrics_answer_on_loopback() {
    let site = Site::with_key();
    let plugin = Plugin::start(&site);
    assert_eq!(plugin.get("/livez"), (200, "ok\n".to_owned()));
    assert_eq!(plugin.get("/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(plugin.get("/").0, 404);
    let mut client = plugin.client().await;
    let wrapped = encrypt(&mut client).await;
    let encrypts = r#"ringfence_requests_total{method="Encrypt",code="Ok"}"#;
    assert_eq!(plugin.metric(encrypts), 1.0);
    assert_eq!(plugin.metric("ringfence_connections"), 1.0);
    let (_, metrics) = plugin.get("/metrics");
    assert!(
        metrics.contains(&format!(r#"key_id="{}""#, wrapped.key_id)),
        "{metrics}"
    );
    assert!(metrics.ends_with("# EOF\n"));
}

#[tokio::test]
async fn no_secret_is_logged_at_any_level() {
    let site = Site::with_key();
    let mut plugin = Plugin::start_with(&site, |command| {
        command.args(["--log-level", "trace"]);
    });
    let mut client = plugin.client().await;
    let wrapped = encrypt(&mut client).await;
    assert!(opens(&mut client, &wrapped).await);
    let mut altered = as_request(&wrapped);
    altered.ciphertext[40] ^= 1;
    assert_eq!(refusal(&mut client, altered).await, Code::InvalidArgument);
    plugin.signal(Signal::TERM);
    plugin.wait();
    plugin.logged("stopped");

    let log = plugin.log().join("\n");
    assert!(log.contains("uid-decrypt") && log.contains(&wrapped.key_id));
    let key = fs::read_to_string(site.key_file("one")).unwrap();
    let list = |bytes: &[u8]| {
        let list = format!("{:?}", &bytes[..8]);
        list.trim_matches(['[', ']']).to_owned()
    };
    let seed = str::from_utf8(SEED).unwrap();
    for secret in [
        key.trim_end(),
        seed,
        &list(SEED),
        &list(&wrapped.ciphertext),
    ] {
        assert!(!log.contains(secret), "{secret}");
    }
}
