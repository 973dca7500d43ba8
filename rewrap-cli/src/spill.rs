//! Lists that outgrow memory.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    process,
};

use serde::Serialize;

/// JSON lines in a new file of the folder for temporary ones, which only this user may read. The file
/// goes with the list, unless it is [kept](Self::keep): half a list helps nobody.
#[derive(Debug)]
pub(crate) struct Spill {
    path: PathBuf,
    file: BufWriter<File>,
    kept: bool,
}

/// A file with a list could not be written.
#[derive(Debug)]
pub(crate) struct SpillError {
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

impl Spill {
    /// An empty list; the name says what is in it.
    ///
    /// # Errors
    /// The folder takes no file.
    pub(crate) fn create(name: &str) -> Result<Self, SpillError> {
        for number in 0.. {
            let name = format!("rewrap-{name}-{}-{number}.jsonl", process::id());
            let path = env::temp_dir().join(name);
            let mut options = OpenOptions::new();
            match options.write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => {
                    return Ok(Self {
                        path,
                        file: BufWriter::new(file),
                        kept: false,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(SpillError { path, source }),
            }
        }
        unreachable!("there are more numbers than files")
    }

    /// One more line.
    ///
    /// # Errors
    /// It is not written.
    pub(crate) fn add(&mut self, line: &impl Serialize) -> Result<(), SpillError> {
        let line = serde_json::to_string(line).map_err(io::Error::from);
        let written = line.and_then(|line| writeln!(self.file, "{line}"));
        written.map_err(|source| self.failed(source))
    }

    /// The file, whole and for good.
    ///
    /// # Errors
    /// Some of it is not written.
    pub(crate) fn keep(mut self) -> Result<PathBuf, SpillError> {
        self.file.flush().map_err(|source| self.failed(source))?;
        self.kept = true;
        Ok(self.path.clone())
    }

    fn failed(&self, source: io::Error) -> SpillError {
        SpillError {
            path: self.path.clone(),
            source,
        }
    }

    #[cfg(test)]
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.path
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        if !self.kept {
            // If it cannot be removed, it is at least small.
            let _ = fs::remove_file(&self.path);
        }
    }
}
