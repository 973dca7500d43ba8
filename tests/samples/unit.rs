//! The systemd unit and its tmpfiles.d line.

use std::{fs, process::Command};

use super::{sample, socket_directory};

/// The words of a setting, in the order of the file. systemd's own quoting is not used there.
pub(crate) fn setting(name: &str) -> Vec<String> {
    let text = sample("kms-plugin.service");
    let values = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    values
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect()
}

/// `/var/run` is a symbolic link to `/run`; units and tmpfiles.d name the target.
fn socket_directory_of_unit() -> String {
    let directory = socket_directory();
    format!(
        "/run/{}",
        directory.strip_prefix("/var/run").unwrap().display()
    )
}

#[test]
fn the_unit_can_write_the_directory_of_the_socket_and_nothing_else() {
    assert_eq!(setting("ProtectSystem"), ["strict"]);
    assert_eq!(setting("ReadWritePaths"), [socket_directory_of_unit()]);
    assert_eq!(setting("ReadOnlyPaths"), ["/etc/kms-plugin"]);
    assert_eq!(setting("CapabilityBoundingSet"), [""; 0]);
    assert_eq!(setting("NoNewPrivileges"), ["yes"]);
}

#[test]
fn tmpfiles_makes_that_directory_closed_to_others() {
    let text = sample("tmpfiles.d/kms-plugin.conf");
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let expected = format!("d {} 0750 root root -", socket_directory_of_unit());
    assert_eq!(lines, [expected]);
}

/// Not every machine has systemd; where it is, it judges the unit itself.
#[test]
fn systemd_accepts_the_unit() {
    let dir = tempfile::tempdir().unwrap();
    let unit = dir.path().join("kms-plugin.service");
    let installed = sample("kms-plugin.service").replace(
        "/usr/local/bin/kms-plugin",
        env!("CARGO_BIN_EXE_kms-plugin"),
    );
    fs::write(&unit, installed).unwrap();
    let Ok(output) = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&unit)
        .output()
    else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !said.contains("kms-plugin.service"),
        "{said}"
    );
}
