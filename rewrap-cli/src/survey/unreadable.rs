//! The list of values that do not open, in bounded memory.

use std::{io, path::PathBuf};

use kms_proto::inventory::{Unreadable, UnreadableCause, UnreadableRest};

use crate::{
    spill::{Spill, SpillError},
    stored::EtcdPrefix,
};

mod causes;

use causes::Causes;

/// How many are kept for the document; the others go to a file.
const LIMIT: usize = 10_000;

/// The first ones in memory, the others in a file: one JSON object a line, no byte of a value. The file
/// goes with the list, unless it is [finished](Self::finish).
#[derive(Debug)]
pub(super) struct UnreadableList {
    limit: usize,
    first: Vec<Unreadable>,
    causes: Causes,
    rest: Option<Rest>,
    failure: Option<ListError>,
}

#[derive(Debug)]
struct Rest {
    file: Spill,
    objects: u64,
}

/// The file with the others could not be written.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot write the list of what does not open to {path}; make room there, or set TMPDIR to another \
     folder"
)]
pub struct ListError {
    path: PathBuf,
    source: io::Error,
}

impl UnreadableList {
    pub(super) fn new(first: &[Unreadable]) -> Self {
        Self {
            limit: LIMIT,
            first: first.to_vec(),
            causes: Causes::of(first),
            rest: None,
            failure: None,
        }
    }

    pub(super) fn add(&mut self, unreadable: Unreadable) {
        self.causes.add(&unreadable);
        if self.first.len() < self.limit {
            self.first.push(unreadable);
        } else if self.failure.is_none()
            && let Err(error) = self.write(&unreadable)
        {
            self.failure = Some(error);
        }
    }

    fn write(&mut self, unreadable: &Unreadable) -> Result<(), ListError> {
        let rest = match &mut self.rest {
            Some(rest) => rest,
            none => none.insert(Rest {
                file: Spill::create("unreadable")?,
                objects: 0,
            }),
        };
        rest.objects += 1;
        Ok(rest.file.add(unreadable)?)
    }

    /// The distinct causes, each with what to do next.
    pub(super) fn causes(&self, prefix: &EtcdPrefix) -> Vec<UnreadableCause> {
        self.causes.told(prefix)
    }

    /// # Errors
    /// The file could not be written.
    pub(super) fn check(&mut self) -> Result<(), ListError> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// The list, and where the rest of it is.
    ///
    /// # Errors
    /// The file could not be written.
    pub(super) fn finish(mut self) -> Result<(Vec<Unreadable>, Option<UnreadableRest>), ListError> {
        self.check()?;
        let kept = |Rest { file, objects }: Rest| {
            let file = file.keep()?.display().to_string();
            Ok::<_, SpillError>(UnreadableRest { file, objects })
        };
        Ok((self.first, self.rest.map(kept).transpose()?))
    }
}

impl From<SpillError> for ListError {
    fn from(SpillError { path, source }: SpillError) -> Self {
        Self { path, source }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn unreadable(number: usize) -> Unreadable {
        Unreadable {
            key: format!("/registry/secrets/default/{number}"),
            error: "no key of this name".to_owned(),
        }
    }

    #[test]
    fn what_is_too_much_for_memory_is_in_a_file() {
        let mut list = UnreadableList::new(&[unreadable(0)]);
        list.limit = 3;
        (1..10).for_each(|number| list.add(unreadable(number)));
        let (first, rest) = list.finish().unwrap();
        assert_eq!(first, [0, 1, 2].map(unreadable));
        let rest = rest.unwrap();
        let text = fs::read_to_string(&rest.file).unwrap();
        fs::remove_file(&rest.file).unwrap();
        assert_eq!((rest.objects, text.lines().count()), (7, 7));
        assert!(
            text.lines()
                .last()
                .unwrap()
                .contains("/registry/secrets/default/9")
        );
    }

    #[test]
    fn a_list_that_nobody_wants_leaves_no_file() {
        let mut list = UnreadableList::new(&[]);
        list.limit = 0;
        list.add(unreadable(0));
        let path = list.rest.as_ref().unwrap().file.path().to_owned();
        assert!(path.exists());
        drop(list);
        assert!(!path.exists());
    }
}
