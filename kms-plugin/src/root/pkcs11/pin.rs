//! The PIN file, and the one that the token refused.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::{chain::chain, file};

/// More than any token takes, in bytes.
const MAX_LEN: u64 = 256;

/// A file with a PIN in it, read anew whenever a login is needed. What the token refused is not read again
/// until the file is another: tokens count wrong PINs, and lock.
#[derive(Debug)]
pub(super) struct PinFile {
    path: PathBuf,
    refused: Option<Refused>,
}

#[derive(Debug)]
struct Refused {
    edition: Edition,
    what: String,
}

/// One content of a file: another inode, time or length is another content. Follows symbolic links, as
/// the kubelet swaps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edition {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
}

impl Edition {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}

impl PinFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            refused: None,
        }
    }

    /// The PIN, unless the token refused it; else why there is none.
    pub(super) fn read(&mut self) -> Result<(Zeroizing<String>, Edition), String> {
        let unreadable = |error: io::Error| format!("cannot read {}: {error}", self.path.display());
        let edition = Edition::of(&self.path).map_err(unreadable)?;
        match &self.refused {
            Some(refused) if refused.edition == edition => {
                return Err(format!(
                    "{}; it is not tried again until {} is changed or touched",
                    refused.what,
                    self.path.display()
                ));
            }
            _ => self.refused = None,
        }
        let content = file::read(&self.path, 0o077, MAX_LEN).map_err(|error| chain(&error))?;
        if Edition::of(&self.path).map_err(unreadable)? != edition {
            return Err(format!("{} is being written", self.path.display()));
        }
        let pin = match str::from_utf8(&content) {
            Ok(text) => text.trim_end_matches(['\r', '\n']),
            Err(_) => return Err(format!("{} is no text", self.path.display())),
        };
        if pin.is_empty() {
            return Err(format!("{} is empty", self.path.display()));
        }
        Ok((Zeroizing::new(pin.to_owned()), edition))
    }

    /// Remembers that the token refused what stood in the file, and says so.
    pub(super) fn refuse(&mut self, edition: Edition, what: String) -> String {
        let said = format!(
            "{what}; it is not tried again until {} is changed or touched",
            self.path.display()
        );
        self.refused = Some(Refused { edition, what });
        said
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn write(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn a_refused_pin_is_not_read_again_until_the_file_is_another() {
        let folder = tempfile::tempdir().unwrap();
        for edition in ["1", "2"] {
            fs::create_dir(folder.path().join(edition)).unwrap();
            write(&folder.path().join(edition).join("pin"), "1234\n");
        }
        let data = folder.path().join("..data");
        symlink("1", &data).unwrap();
        symlink("..data/pin", folder.path().join("pin")).unwrap();

        let mut file = PinFile::new(folder.path().join("pin"));
        let (pin, edition) = file.read().unwrap();
        assert_eq!(*pin, "1234");
        let said = file.refuse(edition, "CKR_PIN_INCORRECT".to_owned());
        assert!(said.starts_with("CKR_PIN_INCORRECT; "), "{said}");
        assert_eq!(file.read().unwrap_err(), said);
        assert_eq!(file.read().unwrap_err(), said);

        symlink("2", folder.path().join("new")).unwrap();
        fs::rename(folder.path().join("new"), &data).unwrap();
        let (_, edition) = file.read().unwrap();
        file.refuse(edition, "CKR_PIN_INCORRECT".to_owned());
        assert!(file.read().is_err());
        fs::File::options()
            .write(true)
            .open(folder.path().join("2/pin"))
            .unwrap()
            .set_modified(std::time::SystemTime::UNIX_EPOCH)
            .unwrap();
        assert_eq!(*file.read().unwrap().0, "1234");
    }

    #[test]
    fn a_file_that_is_no_pin_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        let mut file = PinFile::new(path.clone());
        assert!(file.read().unwrap_err().starts_with("cannot read "));
        for bad in ["", "\n", &"1".repeat(300)] {
            write(&path, bad);
            assert!(file.read().is_err(), "{bad:?}");
        }
        write(&path, "1234");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(file.read().unwrap_err().contains("open to others"));
    }
}
