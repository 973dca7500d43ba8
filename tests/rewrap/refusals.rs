//! What goes wrong, with a clear word and nothing lost.

use std::fs;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::store::{SECRETS, Store};
use crate::support::{
    dice::Dice,
    encryption::{
        Provider::{AesCbc, AesGcm, Identity},
        secret,
    },
    rewrap::{self, Running},
    sealed::{seal, secret_json},
};

const VOUCH: &str = "--assume-converged";

#[test]
fn without_proof_nothing_is_written() {
    let store = Store::start(&[AesGcm("new"), Identity]);
    store.fill(3, Identity, &mut Dice::new());
    let refused = store.harmless("run", &["--yes"], 5);
    assert!(refused.stderr.contains("--apiserver"), "{refused}");
}

#[test]
fn without_a_terminal_somebody_must_have_said_yes() {
    let store = Store::start(&[AesGcm("new"), Identity]);
    store.fill(3, Identity, &mut Dice::new());
    let refused = store.harmless("run", &[VOUCH], 5);
    assert!(refused.stderr.contains("--yes"), "{refused}");
}

#[test]
fn a_wrong_prefix_does_not_look_clean() {
    let store = Store::start(&[AesGcm("new"), Identity]);
    store.etcd.put("/elsewhere/pods/default/a", b"{}");
    for verb in ["status", "plan", "run", "verify"] {
        let refused = store.harmless(verb, &["--etcd-prefix=/wrong"], 3);
        for there in ["/registry", "/elsewhere"] {
            assert!(refused.stderr.contains(there), "{refused}");
        }
        assert_eq!(refused.stdout, "");
    }
}

#[test]
fn a_password_that_others_can_read_is_refused_and_not_repeated() {
    let store = Store::start(&[AesGcm("new"), Identity]);
    let refused = store.rewrap(
        "status",
        &["--user=root:hunter2", "--password-file=/dev/null"],
    );
    let mut command = rewrap::command(["status"]);
    command
        .arg(format!("--endpoints={}", store.etcd.endpoint()))
        .arg(format!(
            "--encryption-provider-config={}",
            store.encryption().display()
        ))
        .env("ETCDCTL_PASSWORD", "hunter2");
    for refused in [refused, Running::start(&mut command).finish()] {
        let refused = refused.expect(64);
        assert!(refused.stderr.contains("--password-file"), "{refused}");
        assert!(!refused.stderr.contains("hunter2"), "{refused}");
    }
}

#[test]
fn an_unreadable_object_is_listed_and_the_others_are_rewritten() {
    let mut dice = Dice::new();
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    let plaintexts = store.fill(20, AesCbc("old"), &mut dice);
    let path = format!("{SECRETS}default/unreadable");
    let plaintext = secret_json("default", "unreadable", "data");
    let value = seal(AesGcm("forgotten"), &path, &plaintext, &mut dice);
    store.etcd.put(&path, &value);

    let inventory = store.rewrap("status", &["--output=json"]).expect(0).json();
    assert_eq!(inventory["unreadable"][0]["key"], path, "{inventory:#}");
    store.rewrap("status", &["--exit-code"]).expect(1);
    let report = store
        .rewrap("run", &["--yes", VOUCH, "--output=json"])
        .expect(6)
        .json();
    assert_eq!(
        (&report["rewrapped"], &report["failed"]),
        (&20.into(), &1.into()),
        "{report:#}"
    );
    assert_eq!(report["failures"][0]["key"], path, "{report:#}");
    store.rewrap("verify", &[]).expect(1);

    assert_eq!(store.etcd.get(&path).unwrap().0, value);
    let (mut now, names) = store.opened();
    now.remove(&path);
    assert!(now == plaintexts);
    assert_eq!(names["new"], 20);
}

#[test]
fn a_value_that_would_outgrow_a_request_is_reported_and_stays() {
    let mut dice = Dice::new();
    let store = Store::start(&[AesGcm("new"), Identity]);
    store.fill(20, Identity, &mut dice);
    let path = format!("{SECRETS}default/large");
    // etcd takes requests of 1.5 MiB: the plain value fits, the encrypted one does not.
    let room = 3 * 512 * 1024 - 150 - secret_json("default", "large", "").len();
    let value = secret_json("default", "large", &"x".repeat(room));
    store.etcd.put(&path, &value);

    let report = store
        .rewrap("run", &["--yes", VOUCH, "--output=json"])
        .expect(6)
        .json();
    assert_eq!(
        (&report["rewrapped"], &report["failed"]),
        (&20.into(), &1.into()),
        "{report:#}"
    );
    assert_eq!(report["failures"][0]["key"], path, "{report:#}");
    assert!(store.etcd.get(&path).unwrap().0 == value);
}

#[test]
fn a_wrong_key_under_the_right_name_writes_nothing() {
    let mut dice = Dice::new();
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    // What is stored under the name `old` was written with another key.
    for number in 0..600 {
        let name = format!("secret-{number}");
        let path = format!("{SECRETS}default/{name}");
        let value = seal(
            AesCbc("not"),
            &path,
            &secret_json("default", &name, "data"),
            &mut dice,
        );
        let body = value.strip_prefix(b"k8s:enc:aescbc:v1:not:").unwrap();
        store
            .etcd
            .put(&path, &[b"k8s:enc:aescbc:v1:old:", body].concat());
    }
    let report = store
        .harmless("run", &["--yes", VOUCH, "--output=json"], 6)
        .json();
    assert_eq!(
        (&report["rewrapped"], &report["failed"]),
        (&0.into(), &600.into()),
        "{report:#}"
    );
}

#[test]
fn a_key_that_would_steer_the_terminal_is_shown_with_escapes() {
    let store = Store::start(&[AesGcm("new"), Identity]);
    let path = format!("{SECRETS}default/a\u{1b}[2J\nverified: at revision 1");
    let value = b"k8s:enc:aesgcm:v1:gone\x1b[2J\nverified: all:rest";
    store.etcd.put(&path, value);
    let get = ["secrets", path.strip_prefix(SECRETS).unwrap()];
    for (verb, more, code) in [
        ("status", &[][..], 0),
        ("plan", &[], 0),
        ("verify", &[], 1),
        ("run", &["--yes", VOUCH], 6),
        ("get", &get, 1),
    ] {
        let finished = store.harmless(verb, more, code);
        let said = format!("{finished}");
        assert!(!said.contains('\u{1b}'), "{said}");
        let forged = said.lines().any(|line| line.starts_with("verified"));
        assert!(!forged, "{said}");
    }
    // Programs get the key itself.
    let inventory = store.rewrap("status", &["--output=json"]).json();
    assert_eq!(inventory["unreadable"][0]["key"], path, "{inventory:#}");
}

#[test]
fn a_bad_configuration_is_refused_with_line_and_field_and_never_quoted() {
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    store.fill(3, AesCbc("old"), &mut Dice::new());
    let file = store.encryption();
    let good = fs::read_to_string(&file).unwrap();
    let name = file.to_str().unwrap();
    let replaced = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    let secret = BASE64_STANDARD.encode(secret("new"));
    let bomb: String = (1..12)
        .map(|level| {
            let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
            format!("a{level}: &a{level} [{aliases}]\n")
        })
        .collect();
    for (text, words) in [
        (
            replaced("  - aesgcm:", "  - aesgmc:"),
            "resources[0].providers[0]: unknown field; known here: aesgcm, aescbc",
        ),
        (
            replaced("  providers:", "  providers: []\n  providers:"),
            "a key is already set in its mapping (line 7)",
        ),
        (
            replaced(&secret, &secret[..40]),
            "aesgcm.keys[0].secret: Invalid value: \"REDACTED\": secret is not of the expected length, got 30",
        ),
        (
            replaced(&secret, &format!("'{secret}!'")),
            "aesgcm.keys[0].secret: Invalid value: \"REDACTED\": secrets must be base64 encoded (line 10)",
        ),
        (
            replaced("kind: Enc", "kind: Dec"),
            "the kind is not EncryptionConfiguration",
        ),
        (
            format!("a0: &a0 [x, x, x]\n{bomb}{good}"),
            "the document contains excessive aliasing",
        ),
        (format!("{good}\t{secret}"), "(line 1"),
        (secret.clone(), "the kind is not EncryptionConfiguration"),
        (
            String::new(),
            "the encryption provider configuration file is empty",
        ),
    ] {
        fs::write(&file, text).unwrap();
        for verb in ["status", "plan", "run", "verify"] {
            let refused = store.harmless(verb, &["--kubernetes-version=1.31"], 3);
            for words in [name, "is refused", words] {
                assert!(refused.stderr.contains(words), "no {words:?} in {refused}");
            }
        }
    }
    fs::remove_file(&file).unwrap();
    let cannot_read = format!("cannot read {name}");
    for words in ["No such file", "Is a directory"] {
        let refused = store.harmless("status", &[], 3);
        for words in [&cannot_read, words] {
            assert!(refused.stderr.contains(words), "{refused}");
        }
        if !file.exists() {
            fs::create_dir(&file).unwrap();
        }
    }
    // A device without an end is not read to its end.
    let endless = [
        "--encryption-provider-config=/dev/zero",
        "--endpoints=http://127.0.0.1:1",
    ];
    let refused = rewrap::run([&["status"][..], &endless].concat()).expect(3);
    assert!(refused.stderr.contains("larger than 1 MiB"), "{refused}");
}
