//! What could not be brought to the current key: the first ones in memory, all of them in a file that a
//! run takes with `--only-keys`.

use std::path::PathBuf;

use kms_proto::inventory::Unreadable;

use super::only::MOST_KEYS;
use crate::spill::{Spill, SpillError};

/// How many are kept for the report.
const REPORTED: usize = 10_000;

/// The failures of a pass.
#[derive(Debug, Default)]
pub(super) struct Failures {
    first: Vec<Unreadable>,
    count: u64,
    file: Option<Spill>,
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
            && let Err(SpillError { source, .. }) = self.write(&failure)
        {
            eprintln!(
                "warning: cannot keep a list of what failed in the folder for temporary files: {source}"
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
        self.file.take()?.keep().ok()
    }

    fn write(&mut self, failure: &Unreadable) -> Result<(), SpillError> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(Spill::create("failed")?),
        };
        file.add(failure)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

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
        let path = few.file.as_ref().unwrap().path().to_owned();
        assert!(path.exists());
        drop(few);
        assert!(!path.exists());
        let mut many = failures(MOST_KEYS + 1);
        let path = many.file.as_ref().unwrap().path().to_owned();
        assert_eq!(many.keep_file(), None);
        drop(many);
        assert!(!path.exists());
    }
}
