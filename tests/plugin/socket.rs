//! The socket: one daemon, only the peers who may, from the start to the end.

use std::{
    fs::{self, Permissions},
    io::Read,
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::{UnixListener, UnixStream},
    },
};

use kms_proto::wire::v2::StatusRequest;
use rustix::process::{Signal, getgid, getuid};
use tokio::task::spawn_blocking;

use crate::{
    Client, as_foreigner, encrypt, failure, opens,
    support::{
        eventually,
        plugin::{Plugin, Site, connect, kms_plugin},
    },
};

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

/// Root becomes somebody else; whoever cannot do that is a foreigner to a daemon that expects
/// somebody else.
#[test]
fn a_foreigner_who_can_open_the_socket_is_refused_by_uid() {
    let (uid, gid, allowed) = if getuid().is_root() {
        (65533, 65533, 0)
    } else {
        (getuid().as_raw(), getgid().as_raw(), 4242)
    };
    let mut site = Site::with_key();
    let socket = format!("path: {}", site.socket().display());
    site.settings = site.settings.replace(
        &socket,
        &format!(r#"{socket}, mode: "0666", allowedUids: [{allowed}]"#),
    );
    site.configure(&["one"]);
    for directory in ["", "run"] {
        fs::set_permissions(site.path(directory), Permissions::from_mode(0o755)).unwrap();
    }
    let mut plugin = Plugin::start(&site);

    let client = as_foreigner(uid, gid)
        .args(["status", "--socket"])
        .arg(site.socket())
        .spawn()
        .unwrap();
    let pid = client.id();
    let (code, said) = failure(client.wait_with_output().unwrap());
    assert_eq!(code, 4, "{said}");
    plugin.logged(&format!(
        r#""message":"refused a peer; see socket.allowedUids","uid":{uid},"gid":{gid},"pid":{pid}"#
    ));
    let series = format!(r#"ringfence_refused_peers_total{{uid="{uid}"}}"#);
    eventually("it is counted", || {
        (plugin.metric(&series) >= 1.0).then_some(())
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
