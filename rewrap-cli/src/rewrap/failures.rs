//! What could not be brought to the current key: the first ones in memory, all of them in a file that a
//! run takes with `--only-keys`.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process,
};

use kms_proto::inventory::Unreadable;

use super::only::MOST_KEYS;

/// How many are kept for the report.
const REPORTED: usize = 10_000;

/// The failures of a pass.
#[derive(Debug, Default)]
pub(super) struct Failures {
    first: Vec<Unreadable>,
    count: u64,
    file: Option<(PathBuf, BufWriter<File>)>,
    /// The file lacks some of them.
    incomplete: bool,
}

impl Failures {
    /// Those that a look at the store found; there is no file of them.
    pub(super) fn seen(first: &[Unreadable], count: u64) -> Self {
        Self {
            first: first.to_vec(),
            count,
            file: None,
            incomplete: true,
        }
    }

    pub(super) fn add(&mut self, failure: Unreadable) {
        self.count += 1;
        if self.count > MOST_KEYS as u64 {
            self.incomplete = true;
        }
        if !self.incomplete
            && let Err(error) = self.write(&failure)
        {
            eprintln!(
                "warning: cannot keep a list of what failed in the folder for temporary files: {error}"
            );
            self.incomplete = true;
        }
        if self.first.len() < REPORTED {
            self.first.push(failure);
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn first(&self) -> &[Unreadable] {
        &self.first
    }

    /// The file with all of them, for good: it stays when these are dropped. Nothing where there are
    /// none, too many, or no room for it.
    pub(super) fn keep_file(&mut self) -> Option<PathBuf> {
        if self.incomplete {
            return None;
        }
        let (path, mut file) = self.file.take()?;
        match file.flush() {
            Ok(()) => Some(path),
            Err(_) => {
                remove(&path);
                None
            }
        }
    }

    fn write(&mut self, failure: &Unreadable) -> io::Result<()> {
        let (_, file) = match &mut self.file {
            Some(file) => file,
            none => none.insert(create()?),
        };
        serde_json::to_writer(&mut *file, failure)?;
        file.write_all(b"\n")
    }
}

impl Drop for Failures {
    fn drop(&mut self) {
        if let Some((path, _)) = &self.file {
            remove(path);
        }
    }
}

/// Half a list helps nobody; if it cannot be removed, it is at least small.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

/// A new file in the folder for temporary ones, which only this user may read.
fn create() -> io::Result<(PathBuf, BufWriter<File>)> {
    for number in 0.. {
        let name = format!("rewrap-failed-{}-{number}.jsonl", process::id());
        let path = std::env::temp_dir().join(name);
        let mut options = OpenOptions::new();
        match options.write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return Ok((path, BufWriter::new(file))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    unreachable!("there are more numbers than files")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(count: usize) -> Failures {
        let mut failures = Failures::default();
        for number in 0..count {
            failures.add(Unreadable {
                key: format!("/registry/secrets/default/{number}"),
                error: "no key of this name".to_owned(),
            });
        }
        failures
    }

    #[test]
    fn all_are_in_the_file_and_the_first_in_memory() {
        let mut many = failures(REPORTED + 1);
        assert_eq!(
            (many.first().len(), many.count()),
            (REPORTED, REPORTED as u64 + 1)
        );
        let path = many.keep_file().unwrap();
        drop(many);
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(text.lines().count(), REPORTED + 1);
    }

    #[test]
    fn a_file_that_nobody_wants_or_that_is_not_whole_does_not_stay() {
        let few = failures(3);
        let path = few.file.as_ref().unwrap().0.clone();
        assert!(path.exists());
        drop(few);
        assert!(!path.exists());
        let mut many = failures(MOST_KEYS + 1);
        let path = many.file.as_ref().unwrap().0.clone();
        assert_eq!(many.keep_file(), None);
        drop(many);
        assert!(!path.exists());
    }
}
