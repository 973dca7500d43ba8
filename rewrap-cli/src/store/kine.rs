//! What is different where kine answers: it serves the requests that kube-apiserver makes, and of
//! etcd's API not much else (`github.com/k3s-io/kine`, `pkg/server`).
//!
//! * A range is a directory: its end is the prefix with its last byte `/` raised to `0`, and it
//!   begins at the prefix or behind a key. Older kine shows only what is *behind* the key that a
//!   range begins at, refuses `keys_only`, and labels a page that the limit cut with a later revision
//!   than it was read at.
//! * A lease is a number of seconds: a key ends so long after its newest write. There is nothing to
//!   keep alive and nothing to revoke.
//! * Beside the newest value of a key the database keeps the one before it, until the key is
//!   written again; compaction does not reach it.

use super::{Page, RangeOptions, Store, StoreError};

impl Store {
    /// [`Store::range`] on kine.
    pub(super) async fn kine_range(&self, options: RangeOptions) -> Result<Page, StoreError> {
        let keys_only = options.keys_only;
        let mut page = match directory(&options) {
            _ if options.range_end.is_empty() => {
                let one = RangeOptions {
                    revision: options.revision,
                    ..RangeOptions::one(&options.key)
                };
                self.ask_range(one).await?
            }
            Some(directory) => self.kine_directory(options, &directory).await?,
            None => return Err(StoreError::Unsupported { ask: options.ask() }),
        };
        if keys_only {
            for record in &mut page.records {
                record.value.clear();
            }
        }
        Ok(page)
    }

    async fn kine_directory(
        &self,
        options: RangeOptions,
        directory: &[u8],
    ) -> Result<Page, StoreError> {
        let mut options = RangeOptions {
            keys_only: false,
            ..options
        };
        let mut page = self.ask_range(options.clone()).await?;
        if page.more && options.revision == 0 {
            options.revision = page.revision;
            page = self.ask_range(options.clone()).await?;
            page.revision = options.revision;
        }
        let begins_at_a_key = options.key != directory && !options.key.ends_with(b"\0");
        if begins_at_a_key && !options.count_only {
            self.kine_first(&options, &mut page).await?;
        }
        Ok(page)
    }

    /// The key that a range begins at, where the page lacks it.
    async fn kine_first(&self, options: &RangeOptions, page: &mut Page) -> Result<(), StoreError> {
        if page.records.first().is_some_and(|r| r.key == options.key) {
            return Ok(());
        }
        let first = RangeOptions {
            revision: match options.revision {
                0 => page.revision,
                asked => asked,
            },
            ..RangeOptions::one(&options.key)
        };
        let first = self.ask_range(first).await?.records;
        page.count += i64::try_from(first.len()).unwrap_or_default();
        page.records.splice(0..0, first);
        Ok(())
    }
}

/// The directory that a range is all of or the end of.
fn directory(options: &RangeOptions) -> Option<Vec<u8>> {
    let name = options.range_end.strip_suffix(b"0")?;
    let directory = [name, b"/"].concat();
    options.key.starts_with(&directory).then_some(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_directory_or_its_end() {
        let of = |key: &str, end: &str| {
            directory(&RangeOptions {
                key: key.into(),
                range_end: end.into(),
                ..RangeOptions::default()
            })
        };
        let secrets = Some(b"/registry/secrets/".to_vec());
        assert_eq!(of("/registry/secrets/", "/registry/secrets0"), secrets);
        assert_eq!(of("/registry/secrets/a\0", "/registry/secrets0"), secrets);
        assert_eq!(of("/", "0"), Some(b"/".to_vec()));
        for (key, end) in [
            ("/registry/health", "/registry/healti"),
            ("\0", "\0"),
            ("/registry/pods/", "/registry/secrets0"),
        ] {
            assert_eq!(of(key, end), None, "{key} up to {end}");
        }
    }
}
