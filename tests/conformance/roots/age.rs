//! The recovery root, with the age of its inventors.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use kms_plugin::root::{
    age::{Age, Config},
    local::KeyMaterial,
    remote::{Binding, RemoteRoot},
};

use super::{
    binding, local_kek,
    suite::{Subject, conforms},
};
use crate::support::server;

/// A new identity in a file, and its recipient.
fn identity(path: &Path) -> Config {
    let made = Command::new(server::binary("age-keygen"))
        .arg("-o")
        .arg(path)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let text = fs::read_to_string(path).unwrap();
    let recipient = text
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "));
    Config {
        recipient: recipient.unwrap().parse().unwrap(),
    }
}

#[tokio::test]
#[ignore = "builds age"]
async fn it_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let [ours, theirs] = ["ours", "theirs"].map(|name| {
        let path = folder.path().join(name);
        Age::with_identity(&identity(&path), &path).unwrap()
    });
    conforms(Subject {
        root: &ours,
        stranger: &theirs,
        kind: "age",
        rotate: None,
        flip_every: 1,
        at_once: 20,
    })
    .await;
}

#[tokio::test]
#[ignore = "builds age"]
async fn what_is_wrapped_opens_with_age_and_an_identity_of_age_keygen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity");
    let config = identity(&path);
    for number in 0..20 {
        let kek = KeyMaterial::new(Box::new([number; 32]));
        let binding = Binding {
            context: format!("cluster {number}"),
            kek: [number; 16],
        };
        let wrapped = Age::open(&config).wrap(&kek, &binding).await.unwrap();
        let ours = Age::with_identity(&config, &path).unwrap();
        let opened = ours.unwrap(&wrapped, &binding).await.unwrap();
        assert!(opened.expose() == kek.expose());

        let mut age = Command::new(server::binary("age"))
            .args(["--decrypt", "--identity"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let file = Age::age_file(&wrapped).unwrap();
        age.stdin.take().unwrap().write_all(&file).unwrap();
        let opened = age.wait_with_output().unwrap();
        assert!(opened.status.success(), "{opened:?}");
        assert_eq!(opened.stdout.len(), 64);
        assert!(opened.stdout.starts_with(kek.expose()));
    }

    let other = identity(&folder.path().join("other"));
    assert_ne!(other, config);
    assert!(Age::with_identity(&other, &path).is_err());
}

/// What `docs/roots/age.md` has somebody type who has nothing but age.
#[tokio::test]
#[ignore = "builds age"]
async fn the_page_opens_what_is_stored_with_age_alone() {
    let page = include_str!("../../../docs/roots/age.md");
    let script = page.split("```sh\n").nth(1).unwrap();
    let script = script.split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = identity(&folder.path().join("recovery.identity"));
    let kek = local_kek();
    let wrapped = Age::open(&config)
        .wrap(&kek, &binding("prod-eu1"))
        .await
        .unwrap();
    fs::write(folder.path().join("wrapped"), &wrapped.ciphertext).unwrap();

    let age = server::binary("age");
    let path = format!(
        "{}:{}",
        age.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let done = Command::new("sh")
        .args(["-euc", script])
        .current_dir(folder.path())
        .env("PATH", path)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    let opened = fs::read(folder.path().join("local-kek")).unwrap();
    assert!(opened == kek.expose());
    let file = fs::read(folder.path().join("wrapped.age")).unwrap();
    assert_eq!(file, Age::age_file(&wrapped).unwrap());
}
