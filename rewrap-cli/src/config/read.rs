use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// No file that Kubernetes reads here comes near it: a configuration of 4,000 keys is smaller.
const MAX_LEN: usize = 1 << 20;

/// Reads a configuration file; its bytes are wiped when dropped.
///
/// # Errors
/// If the file cannot be read, is a directory, or is larger than 1 MiB.
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, ReadError> {
    let failed = |source| ReadError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    // One allocation, so that no copy of a key stays behind in a buffer that was outgrown.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LEN + 1));
    file.take(MAX_LEN as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > MAX_LEN {
        return Err(ReadError::TooLarge(path.to_owned()));
    }
    Ok(bytes)
}

/// Why a configuration file could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The operating system refused.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no configuration.
    #[error("{} is larger than 1 MiB; is it really a configuration file?", .0.display())]
    TooLarge(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole_and_only_up_to_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.yaml");
        for (len, fits) in [(0, true), (MAX_LEN, true), (MAX_LEN + 1, false)] {
            std::fs::write(&path, vec![b'a'; len]).unwrap();
            let result = read(&path);
            assert_eq!(result.is_ok(), fits);
            assert!(!fits || result.unwrap().len() == len);
        }
        assert!(matches!(read(dir.path()), Err(ReadError::Io { .. })));
        assert!(matches!(
            read(&dir.path().join("none")),
            Err(ReadError::Io { .. })
        ));
    }
}
