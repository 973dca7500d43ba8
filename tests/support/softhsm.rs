//! A token of SoftHSM 2, behind a module that has the faults that a test wants.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use kms_plugin::root::pkcs11::{Config, Key, Mechanism, Pkcs11, Token};
use tempfile::TempDir;

use super::server;

/// The user PIN of every token here.
pub(crate) const PIN: &str = "a user's PIN";
/// The label of every token, and of every key unless a test says another.
pub(crate) const LABEL: &str = "kms";
/// What a key may do at least, and at most.
pub(crate) const FOR_GCM: &[&str] = &[
    "private=1",
    "sensitive=1",
    "extractable=0",
    "encrypt=1",
    "decrypt=1",
    "wrap=0",
    "unwrap=0",
    "sign=0",
    "verify=0",
];
pub(crate) const FOR_KEY_WRAP: &[&str] = &[
    "private=1",
    "sensitive=1",
    "extractable=0",
    "encrypt=0",
    "decrypt=0",
    "wrap=1",
    "unwrap=1",
    "sign=0",
    "verify=0",
];

/// A folder with a token, its PIN file, and the module.
pub(crate) struct SoftHsm {
    folder: TempDir,
    /// SoftHSM's own module.
    real: PathBuf,
}

impl SoftHsm {
    /// With an empty token.
    pub(crate) fn new() -> Self {
        let hsm = Self {
            folder: tempfile::tempdir().unwrap(),
            real: server::binary("softhsm2-module"),
        };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/softhsm");
        for (flags, from, to) in [
            (&["-shared", "-fPIC"][..], "faulty.c", "faulty.so"),
            (&[], "keys.c", "keys"),
        ] {
            done(
                Command::new("cc")
                    .args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"])
                    .args(flags)
                    .arg("-o")
                    .arg(hsm.path(to))
                    .arg(source.join(from))
                    .arg("-ldl"),
            );
        }
        fs::create_dir(hsm.path("tokens")).unwrap();
        let tokens = hsm.path("tokens");
        fs::write(
            hsm.path("softhsm2.conf"),
            format!(
                "directories.tokendir = {}\nlog.level = ERROR\n",
                tokens.display()
            ),
        )
        .unwrap();
        hsm.add_token(LABEL);
        hsm.write_pin(PIN);
        hsm.set_faults("");
        fs::write(hsm.path("calls"), "").unwrap();
        hsm
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Initialises one more token.
    pub(crate) fn add_token(&self, label: &str) {
        done(
            util()
                .args(["--init-token", "--free", "--so-pin", "an officer's PIN"])
                .args(["--label", label, "--pin", PIN])
                .env("SOFTHSM2_CONF", self.path("softhsm2.conf")),
        );
    }

    /// Puts a key of known bytes into the token, which lets it do everything.
    pub(crate) fn import_key(&self, label: &str, id: &str, key: &[u8; 32]) {
        let file = self.path("imported");
        fs::write(&file, key).unwrap();
        done(
            util()
                .args(["--aes", "--token", LABEL, "--pin", PIN])
                .args(["--label", label, "--id", id, "--import"])
                .arg(&file)
                .env("SOFTHSM2_CONF", self.path("softhsm2.conf")),
        );
    }

    /// Makes a key.
    pub(crate) fn make_key(&self, label: &str, id: &str, attributes: &[&str]) {
        self.keys("make", label, id, attributes);
    }

    /// Changes what a key may do.
    pub(crate) fn change_key(&self, label: &str, id: &str, attributes: &[&str]) {
        self.keys("set", label, id, attributes);
    }

    pub(crate) fn destroy_key(&self, label: &str, id: &str) {
        self.keys("destroy", label, id, &[]);
    }

    fn keys(&self, command: &str, label: &str, id: &str, attributes: &[&str]) {
        done(
            Command::new(self.path("keys"))
                .arg(&self.real)
                .args([LABEL, PIN, command, label, id])
                .args(attributes)
                .env("SOFTHSM2_CONF", self.path("softhsm2.conf")),
        );
    }

    /// Puts another PIN file in place, in one step.
    pub(crate) fn write_pin(&self, pin: &str) {
        let new = self.path("pin.new");
        fs::write(&new, format!("{pin}\n")).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(new, self.path("pin")).unwrap();
    }

    /// What the module does wrong from now on: see `softhsm/faulty.c`.
    pub(crate) fn set_faults(&self, faults: &str) {
        let new = self.path("faults.new");
        fs::write(&new, faults).unwrap();
        fs::rename(new, self.path("faults")).unwrap();
    }

    /// How often the module's function was called.
    pub(crate) fn calls(&self, function: &str) -> usize {
        let calls = fs::read_to_string(self.path("calls")).unwrap();
        calls.lines().filter(|call| *call == function).count()
    }

    /// The settings of a root that uses all keys of the usual label.
    pub(crate) fn config(&self) -> Config {
        let path = |name| self.path(name).to_str().unwrap().to_owned();
        let environment = [
            ("SOFTHSM2_CONF", path("softhsm2.conf")),
            ("REAL_MODULE", self.real.to_str().unwrap().to_owned()),
            ("FAULTS", path("faults")),
            ("CALLS", path("calls")),
        ];
        Config {
            module: self.path("faulty.so"),
            token: Token::Label(LABEL.to_owned()),
            key: Key {
                label: LABEL.to_owned(),
                ids: Vec::new(),
            },
            mechanism: Mechanism::Auto,
            pin_file: self.path("pin"),
            environment: BTreeMap::from(environment.map(|(name, value)| (name.to_owned(), value))),
            timeout: Duration::from_secs(10),
        }
    }

    /// A root with these settings, its module in a process of the built program.
    pub(crate) fn root(config: &Config) -> Pkcs11 {
        Pkcs11::open_with(config, Path::new(env!("CARGO_BIN_EXE_kms-plugin")))
    }
}

/// SoftHSM's own tool, on the module of the tests.
fn util() -> Command {
    let mut command = Command::new(server::binary("softhsm2-util"));
    command
        .arg("--module")
        .arg(server::binary("softhsm2-module"));
    command
}

#[track_caller]
fn done(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
}
