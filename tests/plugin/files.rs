//! Key files, the configuration and the command line: what is refused, and with which words.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown},
};

use rustix::process::getuid;

use crate::{
    as_foreigner, encrypt, failure, opens,
    support::plugin::{Plugin, Site, kms_plugin},
};

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

/// Root gives the file away, and becomes somebody else; whoever cannot do that takes the rights from
/// himself.
#[test]
fn a_key_file_of_somebody_else_or_without_rights_is_refused() {
    const NOBODY_IN_PARTICULAR: u32 = 65533;
    let site = Site::with_key();
    let file = site.key_file("one");
    let key = fs::read_to_string(&file).unwrap();
    let refused = |output, message: &str| {
        let (code, said) = failure(output);
        assert_eq!(code, 3, "{said}");
        for message in [file.to_str().unwrap(), message] {
            assert!(said.contains(message), "no {message:?} in {said}");
        }
        assert!(!said.contains(&key[..16]), "{said}");
    };
    let (uid, gid) = (Some(NOBODY_IN_PARTICULAR), Some(NOBODY_IN_PARTICULAR));
    for verb in ["check", "serve"] {
        if !getuid().is_root() {
            fs::set_permissions(&file, Permissions::from_mode(0o000)).unwrap();
            refused(site.run(verb), "Permission denied");
            continue;
        }
        chown(&file, uid, gid).unwrap();
        refused(
            site.run(verb),
            "belongs to uid 65533; it must belong to root or to the user of this process",
        );
        chown(&file, Some(0), Some(0)).unwrap();
        for directory in ["", "run"] {
            fs::set_permissions(site.path(directory), Permissions::from_mode(0o755)).unwrap();
        }
        let output = as_foreigner(NOBODY_IN_PARTICULAR, NOBODY_IN_PARTICULAR)
            .args([verb, "--config"])
            .arg(site.config())
            .output();
        refused(output.unwrap(), "Permission denied");
    }
    assert!(!site.socket().exists());
}

#[tokio::test]
async fn a_swapped_key_file_is_refused_by_its_pin() {
    let site = Site::with_key();
    let checked = String::from_utf8(site.run("check").stdout).unwrap();
    let (_, key_id) = checked.trim_end().rsplit_once(' ').unwrap();
    let config = fs::read_to_string(site.config()).unwrap();
    site.write_config(&config.replace("name: one", &format!("name: one, keyId: {key_id}")));
    assert!(site.run("check").status.success());
    let mut plugin = Plugin::start(&site);
    let wrapped = encrypt(&mut plugin.client().await).await;

    fs::remove_file(site.key_file("one")).unwrap();
    site.keygen("one");
    // The daemon that runs keeps the key it has; a new one does not begin with another.
    let message = format!("but `keyId` says {key_id}");
    plugin.logged(&message);
    assert!(opens(&mut plugin.client().await, &wrapped).await);
    drop(plugin);
    let (code, said) = failure(site.run("serve"));
    assert_eq!((code, said.contains(&message)), (3, true), "{said}");
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
