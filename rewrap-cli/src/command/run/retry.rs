//! The command that tries only what failed.

use std::{ffi::OsString, path::Path};

/// Flags with a file that belongs to one run.
const OF_ONE_RUN: [&str; 3] = ["--checkpoint", "--only-keys", "--snapshot-before"];

/// What was typed, for the keys in a file only, as a shell takes it. Nothing where the arguments are no
/// text.
pub(super) fn command(
    arguments: impl IntoIterator<Item = OsString>,
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
    words.push(format!("--only-keys={}", quoted(keys.to_str()?)));
    Some(words.join(" "))
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
            command(arguments, Path::new("/tmp/a b")).unwrap(),
            r"rewrap run --yes --undo-file=/u -n 'it'\''s' --only-keys='/tmp/a b'"
        );
    }
}
