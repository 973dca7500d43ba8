//! The real `kms-plugin`, as kube-apiserver and an operator meet it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    fs::{self, Permissions},
    io::{Read, Write},
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::{UnixDatagram, UnixListener, UnixStream},
    },
    process::Output,
};

use kms_proto::wire::v2::{
    DecryptRequest, EncryptRequest, EncryptResponse, StatusRequest, StatusResponse,
    key_management_service_client::KeyManagementServiceClient,
};
use rustix::process::{Signal, getuid};
use tokio::task::{JoinSet, spawn_blocking};
use tonic::{Code, transport::Channel};

use support::{
    DEADLINE, eventually,
    plugin::{Plugin, Site, connect, kms_plugin},
};

type Client = KeyManagementServiceClient<Channel>;

const SEED: &[u8; 32] = b"a DEK seed of exactly 32 bytes..";

async fn key_id(client: &mut Client) -> String {
    let status = client.status(StatusRequest {}).await.unwrap();
    let StatusResponse {
        version,
        healthz,
        key_id,
    } = status.into_inner();
    assert_eq!((version.as_str(), healthz.as_str()), ("v2beta1", "ok"));
    key_id
}

async fn encrypt(client: &mut Client) -> EncryptResponse {
    let request = EncryptRequest {
        plaintext: SEED.to_vec(),
        uid: "uid-encrypt".to_owned(),
    };
    client.encrypt(request).await.unwrap().into_inner()
}

fn as_request(wrapped: &EncryptResponse) -> DecryptRequest {
    DecryptRequest {
        ciphertext: wrapped.ciphertext.clone(),
        uid: "uid-decrypt".to_owned(),
        key_id: wrapped.key_id.clone(),
        annotations: wrapped.annotations.clone(),
    }
}

async fn opens(client: &mut Client, wrapped: &EncryptResponse) -> bool {
    let answer = client.decrypt(as_request(wrapped)).await;
    answer.is_ok_and(|answer| answer.get_ref().plaintext == SEED)
}

async fn refusal(client: &mut Client, request: DecryptRequest) -> Code {
    client.decrypt(request).await.unwrap_err().code()
}

/// A command that failed: its exit code and what it said.
fn failure(output: Output) -> (i32, String) {
    assert!(output.stdout.is_empty(), "{output:?}");
    let message = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), message)
}

#[tokio::test]
async fn what_is_wrapped_unwraps_also_after_a_restart_and_nothing_else_does() {
    let site = Site::with_key();
    let mut plugin = Plugin::start(&site);
    let mut client = plugin.client().await;
    let wrapped = encrypt(&mut client).await;
    assert_eq!(wrapped.key_id, key_id(&mut client).await);
    assert_ne!(wrapped.ciphertext, encrypt(&mut client).await.ciphertext);

    plugin.signal(Signal::TERM);
    plugin.wait();
    let plugin = Plugin::start(&site);
    let mut client = plugin.client().await;
    assert!(opens(&mut client, &wrapped).await);

    for at in 0..wrapped.ciphertext.len() {
        let mut altered = as_request(&wrapped);
        altered.ciphertext[at] ^= 1;
        assert_eq!(refusal(&mut client, altered).await, Code::InvalidArgument);
    }
    let mut unknown = as_request(&wrapped);
    unknown.key_id += "0";
    assert_eq!(
        refusal(&mut client, unknown).await,
        Code::FailedPrecondition
    );
    let mut annotated = as_request(&wrapped);
    annotated
        .annotations
        .insert("a.example.com".to_owned(), vec![]);
    assert_eq!(refusal(&mut client, annotated).await, Code::InvalidArgument);
    let mut large = as_request(&wrapped);
    large
        .annotations
        .insert("a.example.com".to_owned(), vec![0; 65 * 1024]);
    assert_eq!(refusal(&mut client, large).await, Code::OutOfRange);
    assert!(opens(&mut client, &wrapped).await);
}

#[tokio::test]
async fn a_key_is_rotated_by_editing_the_file_and_a_hangup() {
    let mut site = Site::with_key();
    site.settings = site.settings.replace("50ms", "60m");
    site.configure(&["one"]);
    let mut plugin = Plugin::start(&site);
    let mut client = plugin.client().await;
    let old = encrypt(&mut client).await;

    site.keygen("two");
    site.configure(&["two", "one"]);
    assert_eq!(key_id(&mut client).await, old.key_id, "not asked yet");
    plugin.signal(Signal::HUP);
    plugin.logged(r#""message":"took the keyring of the files","primary":"two""#);
    let new = encrypt(&mut client).await;
    assert_ne!(new.key_id, old.key_id);
    assert_eq!(new.key_id, key_id(&mut client).await);
    assert!(opens(&mut client, &old).await && opens(&mut client, &new).await);

    // The old key under its old id: refused, and the answer is in the message.
    site.configure(&["one", "two"]);
    plugin.signal(Signal::HUP);
    let refused = plugin.logged("refused the changed files");
    assert!(refused.contains("set its `epoch` to 2"), "{refused}");
    assert_eq!(key_id(&mut client).await, new.key_id);

    site.configure(&["one@2", "two"]);
    plugin.signal(Signal::HUP);
    eventually("the third key id", || {
        (plugin.metric("ringfence_reloads_total") == 2.0).then_some(())
    });
    let third = encrypt(&mut client).await;
    assert!(third.key_id != old.key_id && third.key_id != new.key_id);
    for wrapped in [&old, &new, &third] {
        assert!(opens(&mut client, wrapped).await);
    }
}

#[tokio::test]
async fn a_key_is_rotated_by_editing_the_file_alone() {
    let site = Site::with_key();
    let mut plugin = Plugin::start(&site);
    let mut client = plugin.client().await;
    let old = encrypt(&mut client).await;
    site.keygen("two");
    site.configure(&["two", "one"]);
    plugin.logged(r#""primary":"two""#);
    assert_ne!(key_id(&mut client).await, old.key_id);
    assert!(opens(&mut client, &old).await);

    // Retired for good.
    site.configure(&["two"]);
    eventually("the second reload", || {
        (plugin.metric("ringfence_reloads_total") == 2.0).then_some(())
    });
    assert_eq!(
        refusal(&mut client, as_request(&old)).await,
        Code::FailedPrecondition
    );
}

#[tokio::test]
async fn bad_files_keep_the_old_keyring_and_say_so() {
    let site = Site::with_key();
    let mut plugin = Plugin::start(&site);
    let mut client = plugin.client().await;
    let wrapped = encrypt(&mut client).await;
    let good = fs::read_to_string(site.config()).unwrap();
    site.keygen("two");
    let key = fs::read(site.key_file("two")).unwrap();
    let one = fs::read(site.key_file("one")).unwrap();

    type Damage<'a> = (&'a str, &'a dyn Fn());
    let two_and_one = || site.configure(&["two", "one"]);
    let damages: [Damage<'_>; 6] = [
        ("the field `keks` is missing", &|| {
            site.write_config(&site.settings)
        }),
        ("`context` changed", &|| {
            site.write_config(&good.replace("context: test", "context: other"))
        }),
        ("cannot read", &|| fs::remove_file(site.config()).unwrap()),
        ("20 bytes are neither a key", &|| {
            fs::write(site.key_file("two"), &key[..20]).unwrap();
            two_and_one();
        }),
        ("is open to others", &|| {
            fs::set_permissions(site.key_file("two"), Permissions::from_mode(0o644)).unwrap();
            fs::write(site.key_file("two"), &key).unwrap();
        }),
        ("are the same key", &|| {
            fs::write(site.key_file("two"), &one).unwrap();
            fs::set_permissions(site.key_file("two"), Permissions::from_mode(0o600)).unwrap();
        }),
    ];
    for (failures, (message, damage)) in (1..).zip(damages) {
        damage();
        let refused = plugin.logged(message);
        assert!(
            refused.contains("the old keyring stays in use"),
            "{refused}"
        );
        eventually(message, || {
            (plugin.metric("ringfence_reload_failures_total") >= f64::from(failures)).then_some(())
        });
        assert_eq!(
            plugin.metric("ringfence_config_last_reload_successful"),
            0.0
        );
        assert_eq!(key_id(&mut client).await, wrapped.key_id);
        assert!(opens(&mut client, &wrapped).await);
    }

    // The half-written key gets its other half; nobody touches the configuration again.
    fs::write(site.key_file("two"), &key).unwrap();
    plugin.logged(r#""primary":"two""#);
    eventually("a good reload", || {
        (plugin.metric("ringfence_config_last_reload_successful") == 1.0).then_some(())
    });
    assert_ne!(key_id(&mut client).await, wrapped.key_id);
}

#[tokio::test]
async fn of_two_daemons_one_serves() {
    let site = Site::with_key();
    let plugin = Plugin::start(&site);
    let (code, message) = failure(site.run("serve"));
    assert_eq!(code, 2);
    assert!(message.contains("another kms-plugin holds"), "{message}");
    let mut client = plugin.client().await;
    encrypt(&mut client).await;
}

#[test]
fn of_many_daemons_started_at_once_one_serves() {
    let site = Site::with_key();
    let mut children: Vec<_> = (0..8)
        .map(|_| {
            kms_plugin(&["serve", "--log-level=off", "--config"])
                .arg(site.config())
                .spawn()
                .unwrap()
        })
        .collect();
    eventually("all but one give up", || {
        children.retain_mut(|child| match child.try_wait().unwrap() {
            Some(status) => {
                assert_eq!(status.code(), Some(2));
                false
            }
            None => true,
        });
        (children.len() == 1).then_some(())
    });
    UnixStream::connect(site.socket()).unwrap();
    let mut last = children.pop().unwrap();
    last.kill().unwrap();
    last.wait().unwrap();
}

#[test]
fn what_is_at_the_path_of_the_socket_is_left_alone() {
    let site = Site::with_key();
    let socket = site.socket();

    fs::write(&socket, "mine").unwrap();
    let (code, message) = failure(site.run("serve"));
    assert_eq!(
        (code, message.contains("is no socket")),
        (2, true),
        "{message}"
    );
    assert_eq!(fs::read(&socket).unwrap(), b"mine");
    fs::remove_file(&socket).unwrap();

    fs::create_dir(&socket).unwrap();
    let (code, message) = failure(site.run("serve"));
    assert_eq!(
        (code, message.contains("is no socket")),
        (2, true),
        "{message}"
    );
    fs::remove_dir(&socket).unwrap();

    let elsewhere = site.path("elsewhere");
    symlink(&elsewhere, &socket).unwrap();
    let (code, message) = failure(site.run("serve"));
    assert_eq!(
        (code, message.contains("is no socket")),
        (2, true),
        "{message}"
    );
    assert!(!elsewhere.exists());
    fs::remove_file(&socket).unwrap();

    let live = UnixListener::bind(&socket).unwrap();
    let (code, message) = failure(site.run("serve"));
    assert_eq!(
        (code, message.contains("another process serves")),
        (2, true),
        "{message}"
    );
    drop(live);

    fs::set_permissions(site.path("run"), Permissions::from_mode(0o770)).unwrap();
    let (code, message) = failure(site.run("serve"));
    assert_eq!(
        (code, message.contains("has mode 0770")),
        (2, true),
        "{message}"
    );
}

#[tokio::test]
async fn after_a_kill_the_next_daemon_takes_over() {
    let site = Site::with_key();
    let mut plugin = Plugin::start(&site);
    let wrapped = encrypt(&mut plugin.client().await).await;
    plugin.signal(Signal::KILL);
    plugin.wait();
    assert!(site.socket().exists(), "nobody was left to remove it");
    let plugin = Plugin::start(&site);
    assert!(opens(&mut plugin.client().await, &wrapped).await);
}

#[tokio::test]
async fn a_peer_of_another_uid_is_turned_away() {
    let mut site = Site::with_key();
    let socket = format!("path: {}", site.socket().display());
    site.settings = site
        .settings
        .replace(&socket, &format!("{socket}, allowedUids: [4242]"));
    site.configure(&["one"]);
    let mut plugin = Plugin::start(&site);
    let uid = getuid().as_raw();

    // Turned away before a word was said: HTTP/2 would have begun with a SETTINGS frame.
    let mut stream = UnixStream::connect(site.socket()).unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).unwrap();
    assert_eq!(said, b"");
    if let Ok(channel) = connect(&site.socket()).await {
        let status = Client::new(channel).status(StatusRequest {}).await;
        assert!(status.is_err());
    }
    plugin.logged(&format!(
        r#""message":"refused a peer; see socket.allowedUids","uid":{uid}"#
    ));
    let series = format!(r#"ringfence_refused_peers_total{{uid="{uid}"}}"#);
    eventually("both are counted", || {
        (plugin.metric(&series) >= 2.0).then_some(())
    });
    let (code, _) = failure(site.run("status"));
    assert_eq!(code, 4);
}

#[tokio::test]
async fn running_out_of_file_descriptors_passes() {
    let site = Site::with_key();
    let mut plugin = Plugin::start(&site);
    plugin.limit_files(Some(0));
    let waiting = UnixStream::connect(site.socket()).unwrap();
    plugin.logged("cannot accept a connection");
    plugin.logged("refused the changed files");
    plugin.limit_files(None);

    drop(waiting);
    let wrapped = encrypt(&mut plugin.client().await).await;
    assert!(opens(&mut plugin.client().await, &wrapped).await);
    eventually("the files are read again", || {
        (plugin.metric("ringfence_config_last_reload_successful") == 1.0).then_some(())
    });
    // With pauses between them: a loop without would have made many thousands.
    let errors = plugin.metric("ringfence_accept_errors_total");
    assert!((1.0..1000.0).contains(&errors), "{errors}");
}

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

/// Calls in a row, as many as all apiservers of a large cluster make in weeks.
#[tokio::test]
#[ignore = "100,000 calls; run it in the release profile"]
async fn memory_stays_below_10_mib() {
    let site = Site::with_key();
    let plugin = Plugin::start(&site);
    let mut client = plugin.client().await;
    let wrapped = encrypt(&mut client).await;
    let mut callers = JoinSet::new();
    for _ in 0..10 {
        let (mut client, wrapped) = (client.clone(), wrapped.clone());
        callers.spawn(async move {
            for _ in 0..5_000 {
                encrypt(&mut client).await;
                assert!(opens(&mut client, &wrapped).await);
            }
        });
    }
    callers.join_all().await;
    let peak = plugin.peak_memory_kib();
    println!("VmHWM {peak} KiB");
    assert!(peak < 10 * 1024, "{peak} KiB");
}

#[tokio::test]
async fn noise_on_the_socket_disturbs_nobody() {
    let site = Site::with_key();
    let plugin = Plugin::start(&site);
    let mut client = plugin.client().await;
    for noise in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 5000],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff",
    ] {
        let mut stream = UnixStream::connect(site.socket()).unwrap();
        // It may have hung up before the end.
        let _ = stream.write_all(noise);
        drop(stream);
    }
    let wrapped = encrypt(&mut client).await;
    assert!(opens(&mut client, &wrapped).await);
    eventually("the noise is gone", || {
        (plugin.metric("ringfence_connections") == 1.0).then_some(())
    });
}

#[tokio::test]
async fn a_signal_to_stop_ends_the_daemon_and_removes_the_socket() {
    for signal in [Signal::TERM, Signal::INT] {
        let site = Site::with_key();
        let mut plugin = Plugin::start(&site);
        let mut client = plugin.client().await;
        encrypt(&mut client).await;
        plugin.signal(signal);
        // The client goes on living meanwhile: it has to answer the farewell.
        let ended = spawn_blocking(move || (plugin.wait(), plugin.log()));
        let (status, log) = ended.await.unwrap();
        assert_eq!(status.code(), Some(0));
        assert!(!site.socket().exists());
        assert!(!log.iter().any(|line| line.contains("cut off")), "{log:?}");
    }
}

#[tokio::test]
async fn a_socket_that_is_no_longer_ours_outlives_us() {
    let site = Site::with_key();
    let mut plugin = Plugin::start(&site);
    fs::remove_file(site.socket()).unwrap();
    let _other = UnixListener::bind(site.socket()).unwrap();
    plugin.signal(Signal::TERM);
    assert_eq!(plugin.wait().code(), Some(0));
    assert!(site.socket().exists());
}

#[test]
fn bad_key_files_are_refused_with_the_reason() {
    let site = Site::with_key();
    let key = fs::read(site.key_file("one")).unwrap();
    let file = site.key_file("one");
    let secret = String::from_utf8(key.clone()).unwrap();
    for (content, mode, message) in [
        (
            &key[..],
            0o644,
            "has mode 0644 and is open to others; run `chmod 0600` on it",
        ),
        (&key, 0o660, "has mode 0660 and is open to others"),
        (b"", 0o600, "it is empty; `kms-plugin keygen` makes a key"),
        (&key[..30], 0o600, "its 30 bytes are neither a key"),
        (&[0; 32], 0o600, "plainly not random"),
        (
            b"correct horse battery staple 123",
            0o600,
            "plainly not random",
        ),
    ] {
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        for verb in ["check", "serve"] {
            let (code, said) = failure(site.run(verb));
            assert_eq!(code, 3, "{said}");
            assert!(said.contains(message), "{said}");
            assert!(!said.contains(&secret[..16]), "{said}");
        }
    }
    fs::remove_file(&file).unwrap();
    let (code, said) = failure(site.run("serve"));
    assert_eq!((code, said.contains("No such file")), (3, true), "{said}");
    assert!(!site.socket().exists());
}

#[test]
fn a_swapped_key_file_is_refused_by_its_pin() {
    let site = Site::with_key();
    let checked = String::from_utf8(site.run("check").stdout).unwrap();
    let (_, key_id) = checked.trim_end().rsplit_once(' ').unwrap();
    let config = fs::read_to_string(site.config()).unwrap();
    site.write_config(&config.replace("name: one", &format!("name: one, keyId: {key_id}")));
    assert!(site.run("check").status.success());

    fs::remove_file(site.key_file("one")).unwrap();
    site.keygen("one");
    let (code, said) = failure(site.run("serve"));
    assert_eq!(code, 3);
    assert!(
        said.contains(&format!("but `keyId` says {key_id}")),
        "{said}"
    );
}

#[test]
fn a_bad_configuration_is_refused_with_line_and_field() {
    let site = Site::with_key();
    let good = fs::read_to_string(site.config()).unwrap();
    let key = fs::read_to_string(site.key_file("one")).unwrap();
    for (text, message) in [
        (
            good.replace("context", "contxt"),
            "line 3, column 1: the field `contxt` is unknown here",
        ),
        (
            format!("{good}context: again\n"),
            "the field `context` is given twice",
        ),
        (
            good.replace("epoch: 1", "epoch: &e 1"),
            "anchors and aliases, which are refused",
        ),
        (
            good.replace("127.0.0.1:0", "0.0.0.0:0"),
            "http.address: must be a loopback address",
        ),
        (key.clone(), "line 1"),
    ] {
        site.write_config(&text);
        for verb in ["check", "serve", "status"] {
            let (code, said) = failure(site.run(verb));
            assert_eq!(code, 3, "{said}");
            assert!(said.contains(message), "{said}");
            assert!(!said.contains(&key[..16]), "{said}");
        }
    }
    site.write_config(&good);
    fs::set_permissions(site.config(), Permissions::from_mode(0o666)).unwrap();
    let (code, said) = failure(site.run("serve"));
    assert_eq!(
        (code, said.contains("run `chmod 0644` on it")),
        (3, true),
        "{said}"
    );
}

#[test]
fn check_names_every_kek_and_keygen_overwrites_nothing() {
    let site = Site::with_key();
    site.keygen("two");
    site.configure(&["two", "one"]);
    let output = site.run("check");
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], r#"context "test": ok"#);
    assert!(lines[1].starts_with(r#"KEK "two" (local, epoch 1): ok, wraps, key id rf-local-"#));
    assert!(lines[2].starts_with(r#"KEK "one" (local, epoch 1): ok, unwraps, key id rf-local-"#));

    let before = fs::read(site.key_file("one")).unwrap();
    let output = kms_plugin(&["keygen"])
        .arg(site.key_file("one"))
        .output()
        .unwrap();
    let (code, said) = failure(output);
    assert_eq!(
        (code, said.contains("never overwritten")),
        (2, true),
        "{said}"
    );
    assert_eq!(fs::read(site.key_file("one")).unwrap(), before);
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

#[test]
fn usage_errors_exit_64() {
    for arguments in [&[][..], &["serve"], &["status"], &["frobnicate"]] {
        let output = kms_plugin(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
    }
    assert!(kms_plugin(&["--help"]).output().unwrap().status.success());
    assert!(
        kms_plugin(&["--version"])
            .output()
            .unwrap()
            .status
            .success()
    );
}
