//! Files of JSON lines that outlast a crash: an entry that was acknowledged is on the disk.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
};

use serde::Serialize;
use tokio::sync::oneshot;

/// The most entries that are brought to the disk together.
const TOGETHER: usize = 1024;

/// A file that entries are appended to. Whoever has entries at the same time shares one sync.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    entries: mpsc::Sender<Entry>,
}

#[derive(Debug)]
struct Entry {
    line: Vec<u8>,
    written: oneshot::Sender<Result<(), io::Error>>,
}

/// A file of ours could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}; what is written to etcd is safe", path.display())]
pub struct JournalError {
    path: PathBuf,
    source: io::Error,
}

impl Journal {
    /// Appends to a file, which is created where there is none; only this user may read it then.
    ///
    /// # Errors
    /// It cannot be opened for that.
    pub fn append_to(path: &Path) -> Result<Self, JournalError> {
        let failed = |source| JournalError {
            path: path.to_owned(),
            source,
        };
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        // Whoever was killed in the middle of a line leaves one without an end.
        end_line(&mut file).map_err(failed)?;
        // A file outlasts a crash only with its name.
        sync_folder(path).map_err(failed)?;
        Self::keep(path, file)
    }

    fn keep(path: &Path, file: File) -> Result<Self, JournalError> {
        let failed = |source| JournalError {
            path: path.to_owned(),
            source,
        };
        let (entries, waiting) = mpsc::channel();
        thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || keep(file, &waiting))
            .map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            entries,
        })
    }

    /// Appends an entry and waits until it is on the disk.
    ///
    /// # Errors
    /// It is not, and nothing will be any more: behind half a line there is no other.
    pub async fn append(&self, entry: &impl Serialize) -> Result<(), JournalError> {
        let failed = |source| JournalError {
            path: self.path.clone(),
            source,
        };
        let mut line = serde_json::to_vec(entry).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        let (written, answer) = oneshot::channel();
        let gone = || failed(io::Error::other("its thread has ended"));
        self.entries
            .send(Entry { line, written })
            .map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?.map_err(failed)
    }
}

/// Brings the name of a file to the disk.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// Gives a file this content, all of it or none; only this user may read it.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    // Whoever was killed while writing left it.
    remove(Path::new(&partial))?;
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&partial)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    sync_folder(path)
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn end_line(file: &mut File) -> io::Result<()> {
    if !file.metadata()?.is_file() || file.seek(SeekFrom::End(0))? == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last == *b"\n" {
        Ok(())
    } else {
        file.write_all(b"\n")
    }
}

/// Writes what waits, as long as anybody may come.
fn keep(mut file: File, waiting: &mpsc::Receiver<Entry>) {
    let mut outcome = Ok(());
    while let Ok(first) = waiting.recv() {
        let mut lines = first.line;
        let mut answers = vec![first.written];
        while answers.len() < TOGETHER
            && let Ok(Entry { line, written }) = waiting.try_recv()
        {
            lines.extend(line);
            answers.push(written);
        }
        if outcome.is_ok() {
            outcome = file.write_all(&lines).and_then(|()| file.sync_data());
        }
        for answer in answers {
            let again = |error: &io::Error| io::Error::new(error.kind(), error.to_string());
            // Who asked may have gone.
            let _ = answer.send(outcome.as_ref().map(drop).map_err(again));
        }
    }
}
