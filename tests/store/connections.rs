//! Endpoints, TLS and users.

use std::time::Duration;

use rewrap_cli::store::{Login, RangeOptions, Store, StoreConfig, StoreError, TlsFiles};
use zeroize::Zeroizing;

use crate::{
    open,
    support::etcd::{Certificates, Etcd, unused_endpoint},
};

#[tokio::test]
async fn an_endpoint_that_is_down_is_named() {
    let dead = unused_endpoint();
    let error = Store::connect(StoreConfig::new(vec![dead.clone()]))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)), "{error}");
    assert!(error.to_string().contains(&dead), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert_eq!(error.exit_code(), 4);
}

#[tokio::test]
async fn dead_endpoints_are_passed_over() {
    let etcd = Etcd::start();
    etcd.put("/registry/a", b"x");
    let endpoints = vec![unused_endpoint(), etcd.endpoint(), unused_endpoint()];
    let store = Store::connect(StoreConfig::new(endpoints)).await.unwrap();
    for _ in 0..3 {
        assert!(store.get(b"/registry/a").await.unwrap().is_some());
    }
    let answers: Vec<_> = store.status().await.iter().map(Result::is_ok).collect();
    assert_eq!(answers, [false, true, false]);
}

#[tokio::test]
async fn calls_fail_over_when_an_endpoint_goes_away() {
    let etcd = Etcd::start();
    etcd.put("/registry/a", b"x");
    let first = crate::support::proxy::Proxy::start(etcd.port()).await;
    let store = Store::connect(StoreConfig::new(vec![first.endpoint(), etcd.endpoint()]))
        .await
        .unwrap();
    first.stop();
    assert!(store.get(b"/registry/a").await.unwrap().is_some());
    drop(etcd);
    let error = store.get(b"/registry/a").await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn endpoints_of_two_clusters_are_refused() {
    let (one, other) = (Etcd::start(), Etcd::start());
    let endpoints = vec![one.endpoint(), other.endpoint()];
    let error = Store::connect(StoreConfig::new(endpoints))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::DifferentClusters(_)), "{error}");
    assert_eq!(error.exit_code(), 3);
}

#[tokio::test]
async fn the_status_is_the_members_own() {
    let etcd = Etcd::start();
    let store = open(&etcd).await;
    let revision = etcd.put("/registry/a", b"x");
    let status = store.status().await.remove(0).unwrap();
    assert_eq!(status.endpoint, etcd.endpoint());
    assert_eq!(status.revision, revision);
    assert!(status.version.starts_with("3."), "{status:?}");
    assert!(status.cluster_id != 0 && status.db_size >= status.db_size_in_use);
    assert!(status.db_size_in_use > 0);
    assert_eq!(status.problems, [""; 0]);
}

#[tokio::test]
async fn tls_is_refused_unless_both_sides_are_known() {
    let files = Certificates::generate();
    let etcd = Etcd::start_tls(&files);
    let connect = |endpoint: String, ca: Option<&str>, identity: Option<(&str, &str)>| {
        let mut config = StoreConfig::new(vec![endpoint]);
        config.tls = TlsFiles {
            ca: ca.map(|name| files.path(name)),
            cert: identity.map(|(cert, _)| files.path(cert)),
            key: identity.map(|(_, key)| files.path(key)),
        };
        Store::connect(config)
    };
    let ours = Some(("client.pem", "client.key"));

    let store = connect(etcd.endpoint(), Some("ca.pem"), ours)
        .await
        .unwrap();
    assert_eq!(store.get(b"/registry/a").await.unwrap(), None);

    for (what, ca, identity) in [
        ("another CA", Some("other-ca.pem"), ours),
        ("the system's CAs", None, ours),
        ("no client certificate", Some("ca.pem"), None),
        (
            "one that is for servers",
            Some("ca.pem"),
            Some(("server-only.pem", "server-only.key")),
        ),
    ] {
        let error = connect(etcd.endpoint(), ca, identity).await.unwrap_err();
        assert!(matches!(error, StoreError::Tls(_)), "{what}: {error}");
        assert!(error.to_string().contains(&etcd.endpoint()), "{error}");
        assert_eq!(error.exit_code(), 4);
    }

    for (what, ca, identity) in [
        (
            "a key of another certificate",
            "ca.pem",
            ("client.pem", "server.key"),
        ),
        (
            "a file that is no PEM",
            "ca.pem",
            ("client.key", "client.pem"),
        ),
        (
            "a missing file",
            "missing.pem",
            ("client.pem", "client.key"),
        ),
    ] {
        let error = connect(etcd.endpoint(), Some(ca), Some(identity))
            .await
            .unwrap_err();
        assert_eq!(error.exit_code(), 3, "{what}: {error}");
    }

    let plain = etcd.endpoint().replace("https", "http");
    let error = connect(plain.clone(), Some("ca.pem"), None)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::TlsOverHttp(_)), "{error}");
    let error = connect(plain, None, None).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)), "{error}");

    let without_tls = Etcd::start();
    let https = without_tls.endpoint().replace("http", "https");
    let error = connect(https, Some("ca.pem"), ours).await.unwrap_err();
    assert!(matches!(error, StoreError::Tls(_)), "{error}");
}

#[tokio::test]
async fn users_are_refused_in_words_that_help() {
    let etcd = Etcd::start();
    etcd.put("/registry/a", b"x");
    etcd.add_user("rewrap", "right", "READWRITE", ["/registry/", "/registry0"]);
    etcd.enable_auth("toor");
    let connect = |login: Option<(&str, &str)>| {
        let mut config = StoreConfig::new(vec![etcd.endpoint()]);
        config.login = login.map(|(user, password)| Login {
            user: user.to_owned(),
            password: Zeroizing::new(password.into()),
        });
        Store::connect(config)
    };

    let error = connect(None).await.unwrap_err();
    assert!(matches!(error, StoreError::NoLogin), "{error}");
    for (user, password) in [("rewrap", "wrong"), ("nobody", "right")] {
        let error = connect(Some((user, password))).await.unwrap_err();
        assert!(matches!(error, StoreError::Login { .. }), "{error}");
        assert!(error.to_string().contains(user), "{error}");
        assert!(!error.to_string().contains(password), "{error}");
        assert_eq!(error.exit_code(), 4);
    }

    let store = connect(Some(("rewrap", "right"))).await.unwrap();
    assert!(store.get(b"/registry/a").await.unwrap().is_some());
    let error = store
        .range(RangeOptions::prefix(b"/other/"))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }), "{error}");
    assert!(
        error.to_string().contains("/other/ up to /other0"),
        "{error}"
    );
    let error = store
        .lock(b"/ringfence.dev/rewrap.lock", "us", Duration::from_secs(30))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("/ringfence.dev/"), "{error}");
    assert_eq!(error.exit_code(), 4);

    // A new password ends all tokens of the user; the store fetches another.
    etcd.change_password("rewrap", "right");
    let reads: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.get(b"/registry/a").await })
        })
        .collect();
    for read in reads {
        assert!(read.await.unwrap().unwrap().is_some());
    }
    etcd.change_password("rewrap", "another");
    let error = store.get(b"/registry/a").await.unwrap_err();
    assert!(matches!(error, StoreError::Login { .. }), "{error}");
}

#[tokio::test]
async fn a_user_is_no_error_where_etcd_wants_none() {
    let etcd = Etcd::start();
    let mut config = StoreConfig::new(vec![etcd.endpoint()]);
    config.login = Some(Login {
        user: "root".to_owned(),
        password: Zeroizing::new(b"x".to_vec()),
    });
    let store = Store::connect(config).await.unwrap();
    assert_eq!(store.get(b"/registry/a").await.unwrap(), None);
}
