//! Errors in one line.

use std::{error::Error, fmt};

use crate::printable::Lines;

/// An error with all its causes, fit for a terminal. Libraries below us repeat each other's words in
/// layers; what was just said is not said again.
pub(crate) struct Chain<'a>(pub(crate) &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        write!(f, "{}", Lines(&said))?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !said.ends_with(&text) {
                write!(f, ": {}", Lines(&text))?;
            }
            said = text;
            source = cause.source();
        }
        Ok(())
    }
}
