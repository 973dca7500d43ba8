//! The command that tries only what failed.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

/// Flags with a file that belongs to one run.
const OF_ONE_RUN: [&str; 4] = [
    "--checkpoint",
    "--only-keys",
    "--snapshot-before",
    "--undo-file",
];

/// What was typed, for the keys in a file only, as a shell takes it. Nothing where the arguments are no
/// text. What is replaced is kept in another undo file, if it was before.
pub(super) fn command(
    arguments: impl IntoIterator<Item = OsString>,
    undo: Option<&Path>,
    keys: &Path,
) -> Option<String> {
    let mut words = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let argument = argument.into_string().ok()?;
        let flag = argument
            .split_once('=')
            .map_or(&*argument, |(flag, _)| flag);
        if !OF_ONE_RUN.contains(&flag) {
            words.push(quoted(&argument));
        } else if flag == argument {
            arguments.next();
        }
    }
    let mut add = |flag: &str, path: &OsStr| -> Option<()> {
        words.push(format!("{flag}={}", quoted(path.to_str()?)));
        Some(())
    };
    if let Some(undo) = undo {
        add("--undo-file", free_beside(undo).as_os_str())?;
    }
    add("--only-keys", keys.as_os_str())?;
    Some(words.join(" "))
}

/// A name like it that no file has.
fn free_beside(path: &Path) -> PathBuf {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    let mut names = (2..).map(numbered);
    names
        .find(|name| name.symlink_metadata().is_err())
        .unwrap_or_else(|| path.to_owned())
}

/// As one word of a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_flags_but_those_of_one_run() {
        let arguments = "rewrap run --yes --checkpoint c --undo-file=/u --only-keys=old --snapshot-before s -n it's";
        let arguments = arguments.split(' ').map(OsString::from);
        assert_eq!(
            command(
                arguments,
                Some(Path::new("/nowhere/u")),
                Path::new("/tmp/a b")
            )
            .unwrap(),
            r"rewrap run --yes -n 'it'\''s' --undo-file=/nowhere/u.2 --only-keys='/tmp/a b'"
        );
    }
}
