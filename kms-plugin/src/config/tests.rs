use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::damage::{damaged, tells};

const GOOD: &str = "\
apiVersion: ringfence.dev/v1alpha1
kind: KmsPluginConfiguration
context: prod-eu1
socket:
  path: /run/kmsplugin/socket.sock
  allowedUids: [0]
keks:
- name: \"2026-11\"
  local: {keyFile: /etc/kms-plugin/keys/2026-11.key}
- name: 2026-05
  epoch: 2
  keyId: rf-local-0
  local:
    keyFile: /etc/kms-plugin/keys/2026-05.key
";

fn refusal(text: &str) -> String {
    text.parse::<Config>().unwrap_err().to_string()
}

fn replaced(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}

#[test]
fn what_is_not_said_has_a_default() {
    let Config { fixed, keks, .. } = GOOD.parse().unwrap();
    assert_eq!(fixed.context, "prod-eu1");
    assert_eq!(fixed.socket.mode, 0o600);
    assert_eq!(fixed.socket.group, None);
    assert_eq!(fixed.socket.peers.uids, [0].into());
    assert_eq!(fixed.http, DEFAULT_HTTP.parse().unwrap());
    assert_eq!(fixed.poll_interval, Duration::from_secs(10));
    assert_eq!((keks[0].name.as_str(), keks[0].epoch), ("2026-11", 1));
    assert_eq!((keks[1].name.as_str(), keks[1].epoch), ("2026-05", 2));
    assert_eq!(keks[1].pinned.as_ref().unwrap().as_str(), "rf-local-0");
    let default: Config = replaced("  allowedUids: [0]\n", "").parse().unwrap();
    assert_eq!(default.fixed.socket.peers.uids, Peers::default_uids());
}

#[test]
fn what_is_said_is_taken() {
    let text = replaced(
        "  allowedUids: [0]\n",
        "  mode: 0660\n  group: 4242\n  allowedUids: [7]\n  allowedGids: [65534]\n  allowOverflowId: true\n",
    ) + "http: {address: \"[::1]:0\"}\nreload: {pollInterval: 250ms}\n";
    let Fixed {
        socket,
        http,
        poll_interval,
        ..
    } = text.parse::<Config>().unwrap().fixed;
    assert_eq!((socket.mode, socket.group), (0o660, Some(4242)));
    assert_eq!(socket.peers.uids, [7].into());
    assert_eq!(socket.peers.gids, [65534].into());
    assert_eq!(http, "[::1]:0".parse().unwrap());
    assert_eq!(poll_interval, Duration::from_millis(250));
}

#[test]
fn the_samples_are_accepted() {
    for sample in [
        include_str!("../../../config/kms-plugin.yaml"),
        include_str!("../../../config/kms-plugin-rotated.yaml"),
        include_str!("../../../config/kms-plugin-roots.yaml"),
    ] {
        sample.parse::<Config>().unwrap();
    }
}

#[test]
fn unknown_missing_and_duplicate_fields_are_named_with_their_line() {
    for (from, to, message) in [
        (
            "  epoch: 2",
            "  epcoh: 2",
            "line 11, column 3: the field `epcoh` is unknown here; expected name, keyId, epoch, local, wrapWith, writeQuorum",
        ),
        (
            "    keyFile:",
            "    keyfile:",
            "line 14, column 5: the field `keyfile` is unknown here; expected keyFile",
        ),
        (
            "  epoch: 2",
            "  epoch: 2\n  epoch: 3",
            "line 12, column 3: the field `epoch` is given twice",
        ),
        ("context: prod-eu1\n", "", "the field `context` is missing"),
        (
            "  epoch: 2",
            "  epoch: two",
            "line 11, column 10: this is no u32",
        ),
        (
            "allowedUids: [0]",
            "allowedUids: [-1]",
            "line 6, column 17: this is no u32",
        ),
    ] {
        let refusal = refusal(&replaced(from, to));
        assert!(refusal.ends_with(message), "{refusal}");
    }
}

#[test]
fn fields_that_make_no_sense_are_named() {
    let long = format!("context: {}", "c".repeat(254));
    for (from, to, message) in [
        (
            "v1alpha1",
            "v1",
            "apiVersion: must be ringfence.dev/v1alpha1",
        ),
        ("KmsPlugin", "Kms", "kind: must be KmsPluginConfiguration"),
        (
            "context: prod-eu1",
            "context: \"\"",
            "context: must have 1 to 253",
        ),
        ("context: prod-eu1", &long, "context: must have 1 to 253"),
        (
            "context: prod-eu1",
            "context: \" a\"",
            "context: must have 1 to 253",
        ),
        (
            "context: prod-eu1",
            "context: pröd",
            "context: must have 1 to 253",
        ),
        (
            "context: prod-eu1",
            "context: \"a\\tb\"",
            "context: must have 1 to 253",
        ),
        (
            "/run/kmsplugin",
            "run",
            "socket.path: must be an absolute path",
        ),
        (
            "allowedUids: [0]",
            "mode: \"0666\"\n  group: no-such-group",
            "socket.group: is not in",
        ),
        (
            "allowedUids: [0]",
            "mode: \"0677\"",
            "socket.mode: must be octal",
        ),
        (
            "allowedUids: [0]",
            "mode: \"0060\"",
            "socket.mode: must be octal",
        ),
        ("allowedUids: [0]", "mode: rw", "socket.mode: must be octal"),
        (
            "allowedUids: [0]",
            "allowedUids: [65534]",
            "socket.allowedUids: 65534 is",
        ),
        (
            "allowedUids: [0]",
            "allowedGids: [65534]",
            "socket.allowedGids: 65534 is",
        ),
        (
            "\"2026-11\"",
            "2026-05",
            "keks[1].name: names another KEK already",
        ),
        ("\"2026-11\"", "\"\"", "keks[0].name: must have 1 to 64"),
        (
            "epoch: 2",
            "epoch: 0",
            "keks[1].epoch: must be from 1 to 64",
        ),
        (
            "epoch: 2",
            "epoch: 65",
            "keks[1].epoch: must be from 1 to 64",
        ),
        (
            "rf-local-0",
            "\"\"",
            "keks[1].keyId: must have 1 to 1024 bytes",
        ),
        (
            "  local: {keyFile: /etc/kms-plugin/keys/2026-11.key}\n",
            "",
            "keks[0]: must say where",
        ),
        (
            "{keyFile: /etc/",
            "{keyFile: etc/",
            "keks[0].local.keyFile: must be an absolute",
        ),
        (
            "kind:",
            "http: {address: 0.0.0.0:8082}\nkind:",
            "http.address: must be a loopback",
        ),
        (
            "kind:",
            "http: {address: localhost}\nkind:",
            "http.address: must be a loopback",
        ),
        (
            "kind:",
            "reload: {pollInterval: 10}\nkind:",
            "reload.pollInterval: must be a number",
        ),
        (
            "kind:",
            "reload: {pollInterval: 1ms}\nkind:",
            "reload.pollInterval: must be a number",
        ),
        (
            "kind:",
            "reload: {pollInterval: 99999999999999999999m}\nkind:",
            "reload.pollInterval: must",
        ),
    ] {
        let refusal = refusal(&replaced(from, to));
        assert!(refusal.starts_with(message), "{to}: {refusal}");
    }
    let keks = GOOD.split_once("keks:").unwrap().0.to_owned();
    assert_eq!(
        refusal(&(keks + "keks: []\n")),
        "keks: must list at least one KEK"
    );
}

#[test]
fn aliases_are_refused_whether_they_explode_or_not() {
    let bomb = (1..9).fold("a0: &a0 [x]\n".to_owned(), |text, n| {
        let aliases = vec![format!("*a{}", n - 1); 9].join(",");
        format!("{text}a{n}: &a{n} [{aliases}]\n")
    });
    for text in [
        format!("{bomb}{GOOD}"),
        replaced("context: prod-eu1", "context: &c prod-eu1"),
        replaced("keks:\n- name: \"2026-11\"", "keks:\n- <<: {name: x}"),
        replaced(
            "context: prod-eu1",
            &format!("context: {}", "[".repeat(50_000)),
        ),
        replaced(
            "context: prod-eu1",
            &format!("context: {}", "{a: ".repeat(5_000)),
        ),
        format!("{GOOD}---\n{GOOD}"),
    ] {
        assert!(text.parse::<Config>().is_err(), "{}", &text[..60]);
    }
    let refusal = refusal(&replaced("name: 2026-05", "name: &n 2026-05"));
    assert!(
        refusal.contains("anchors and aliases, which are refused"),
        "{refusal}"
    );
}

/// A key that was taken for a configuration, or stands in the wrong place of one.
#[test]
fn nothing_of_the_file_is_quoted() {
    const SECRET: &str = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I=";
    const SHORT: &str = "hunter2-hunter2";
    for secret in [SECRET, SHORT] {
        let mut texts = vec![
            secret.to_owned(),
            format!("{secret}\n"),
            format!("- {secret}"),
            format!("{secret}: x"),
            format!("a: {{{secret}"),
            format!("a: \"{secret}"),
            format!("a: !{secret} b"),
            format!("a: *{secret}"),
            format!("%{secret}\n---\na: b"),
            format!("{GOOD}{secret}: x\n"),
            format!("{GOOD}{secret}: x\n{secret}: y\n"),
        ];
        // In place of every value, and of every key, of the file.
        for line in GOOD.lines().filter(|line| line.contains(':')) {
            let (key, value) = line.split_once(':').unwrap();
            texts.push(GOOD.replace(line, &format!("{key}: {secret}")));
            texts.push(GOOD.replace(line, &format!("{key}: [{secret}]")));
            texts.push(GOOD.replace(line, &format!("{secret}:{value}")));
            texts.push(GOOD.replace(line, secret));
        }
        for text in texts {
            if let Err(error) = text.parse::<Config>() {
                let shown = format!("{} {error:?}", crate::chain::chain(&error));
                assert!(!shown.contains(&secret[..8]), "{shown}");
            }
        }
    }
}

proptest! {
    #[test]
    fn random_text_never_panics(text in ".{0,200}") {
        prop_assert!(text.parse::<Config>().is_err());
    }

    /// A file that holds a secret where there should be none, in disorder.
    #[test]
    fn a_damaged_file_never_panics_and_is_never_quoted(bytes in damaged(with_secrets())) {
        let text = String::from_utf8_lossy(&bytes);
        if let Err(error) = text.parse::<Config>() {
            let said = format!("{} {error:?}", crate::chain::chain(&error));
            prop_assert!(!tells(&said, SECRET), "{said}");
        }
    }

    #[test]
    fn durations_are_what_they_say(number in any::<u64>(), unit in "ms|s|m|h|d|") {
        let parsed = duration(&format!("{number}{unit}"));
        let millis = match unit.as_str() {
            "ms" => Some(u128::from(number)),
            "s" => Some(u128::from(number) * 1_000),
            "m" => number.checked_mul(60).map(|seconds| u128::from(seconds) * 1_000),
            "h" => number.checked_mul(3_600).map(|seconds| u128::from(seconds) * 1_000),
            _ => None,
        };
        prop_assert_eq!(parsed.map(|duration| duration.as_millis()), millis);
    }

    #[test]
    fn no_text_makes_a_duration_panic(text in "[-+0-9. msh\u{b5}é]{0,30}") {
        let _ = duration(&text);
    }
}

const SECRET: &str = "h4nt3r-2x-h4nt3r-2y";

fn with_secrets() -> String {
    GOOD.replace("2026-11", SECRET).replace("prod-eu1", SECRET)
}

#[test]
fn the_file_that_is_damaged_is_good() {
    with_secrets().parse::<Config>().unwrap();
    assert_eq!(with_secrets().matches(SECRET).count(), 3);
}

const ROOTS: &str = "\
apiVersion: ringfence.dev/v1alpha1
kind: KmsPluginConfiguration
context: prod-eu1
socket: {path: /run/kmsplugin/socket.sock}
roots:
- name: vault
  vault: {addresses: [\"https://vault.example:8200\"], key: k8s, caFile: /etc/ca.pem, auth: {tokenFile: /run/token}}
- name: recovery
  age: {recipient: age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p}
keks:
- {name: main, wrapWith: [vault, recovery]}
- {name: before, local: {keyFile: /etc/kms-plugin/keys/before.key}}
";

#[test]
fn roots_wrap_for_one_kek() {
    let config: Config = ROOTS.parse().unwrap();
    let roots = config.under_roots.unwrap();
    assert_eq!(
        config.fixed.state_directory,
        Path::new("/var/lib/kms-plugin")
    );
    assert_eq!(config.keks[0].source, KekSource::UnderRoots);
    assert_eq!((roots.wrap_with, roots.write_quorum), (vec![0, 1], 2));
    assert_eq!(roots.offline_grace, Duration::from_secs(24 * 3600));
    assert_eq!(roots.sealed_copies, None);
    assert!(!roots.roots[0].settings.is_offline() && roots.roots[1].settings.is_offline());

    let more =
        "offlineGrace: 0s\nstateDirectory: /srv/kms\nsealedCopies: {keyFile: /run/copies}\nkeks:";
    let text = ROOTS
        .replace("keks:", more)
        .replace("[vault, recovery]", "[recovery, vault], writeQuorum: 1");
    let config: Config = text.parse().unwrap();
    let roots = config.under_roots.unwrap();
    assert_eq!((roots.wrap_with, roots.write_quorum), (vec![1, 0], 1));
    assert_eq!(roots.offline_grace, Duration::ZERO);
    assert_eq!(roots.sealed_copies.unwrap(), Path::new("/run/copies"));
    assert_eq!(config.fixed.state_directory, Path::new("/srv/kms"));
}

#[test]
fn roots_that_cannot_work_are_refused_by_name() {
    for (from, to, message) in [
        (
            "wrapWith: [vault, recovery]",
            "wrapWith: [other]",
            "keks[0].wrapWith: names no root",
        ),
        (
            "wrapWith: [vault, recovery]",
            "wrapWith: [vault, vault]",
            "keks[0].wrapWith: names a root twice",
        ),
        (
            "wrapWith: [vault, recovery]",
            "wrapWith: []",
            "keks[0].wrapWith: must name a root that can unwrap",
        ),
        (
            "wrapWith: [vault, recovery]",
            "wrapWith: [recovery]",
            "keks[0].wrapWith: must name a root that can unwrap",
        ),
        (
            "wrapWith: [vault, recovery]",
            "wrapWith: [vault], keyId: rf-root-1",
            "keks[0].keyId: is for a key file",
        ),
        (
            "wrapWith: [vault, recovery]",
            "wrapWith: [vault], writeQuorum: 2",
            "keks[0].writeQuorum: must be `all`, or from 1 to 1",
        ),
        (
            "wrapWith: [vault, recovery]",
            "wrapWith: [vault], writeQuorum: most",
            "keks[0].writeQuorum: must be `all`",
        ),
        (
            "wrapWith: [vault, recovery]",
            "local: {keyFile: /k}",
            "roots: no KEK uses them",
        ),
        (
            "wrapWith: [vault, recovery]",
            "wrapWith: [vault], local: {keyFile: /k}",
            "keks[0]: must say where",
        ),
        (
            "local: {keyFile: /etc/kms-plugin/keys/before.key}",
            "wrapWith: [vault]",
            "keks[1].wrapWith: there is another KEK",
        ),
        (
            "- name: recovery",
            "- name: vault",
            "roots[1].name: names another root already",
        ),
        (
            "  age: {recipient: age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p}\n",
            "",
            "roots[1]: must have a name and one of",
        ),
        (
            "recipient: age1ql3",
            "recipient: age1xx3",
            "roots[1].age.recipient:",
        ),
        (
            "tokenFile: /run/token",
            "tokenFile: token",
            "roots[0].vault.auth.tokenFile: must be an absolute path",
        ),
        (
            "keks:",
            "offlineGrace: 721h\nkeks:",
            "offlineGrace: must be a number",
        ),
        (
            "keks:",
            "stateDirectory: state\nkeks:",
            "stateDirectory: must be an absolute path",
        ),
        (
            "keks:",
            "sealedCopies: {keyFile: copies}\nkeks:",
            "sealedCopies.keyFile: must be an absolute path",
        ),
    ] {
        assert!(ROOTS.contains(from), "{from}");
        let refusal = refusal(&ROOTS.replacen(from, to, 1));
        assert!(refusal.starts_with(message), "{to}: {refusal}");
    }
}
