use std::{error::Error, fmt};

/// An error with all its sources, for a place that keeps one line of text.
pub(in crate::stored) struct Chain<'a>(pub(in crate::stored) &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}
