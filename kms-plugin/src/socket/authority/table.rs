//! The tables of HPACK (RFC 7541, 2.3), without their values.

use std::collections::VecDeque;

use super::Unclear;

/// What a peer may keep (SETTINGS_HEADER_TABLE_SIZE, RFC 9113, 6.5.2) while the server, like ours, allows
/// it nothing else, in bytes.
const MAX_SIZE: usize = 4096;
/// What an entry counts beside its name and value, in bytes (RFC 7541, 4.1).
const OVERHEAD: usize = 32;

/// The names of the static table (RFC 7541, appendix A), from index 1.
const STATIC: [&str; 61] = [
    ":authority",
    ":method",
    ":method",
    ":path",
    ":path",
    ":scheme",
    ":scheme",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "accept",
    "access-control-allow-origin",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "server",
    "set-cookie",
    "strict-transport-security",
    "transfer-encoding",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
];

/// What must be known of a field's name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    /// Its length, decoded.
    len: usize,
    /// Whether it is `:authority`.
    pub(super) is_authority: bool,
}

impl From<&[u8]> for Name {
    fn from(name: &[u8]) -> Self {
        Self {
            len: name.len(),
            is_authority: name == b":authority",
        }
    }
}

/// The dynamic table of the one who decodes, as far as it decides which name an index stands for.
#[derive(Debug)]
pub(super) struct Table {
    /// The newest first: the name and the size of each entry. At most `MAX_SIZE / OVERHEAD` of them.
    entries: VecDeque<(Name, usize)>,
    size: usize,
    max_size: usize,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            entries: VecDeque::new(),
            size: 0,
            max_size: MAX_SIZE,
        }
    }

    /// The name that an index stands for.
    pub(super) fn name(&self, index: usize) -> Result<Name, Unclear> {
        let position = index.checked_sub(1).ok_or(Unclear)?;
        match STATIC.get(position) {
            Some(name) => Ok(name.as_bytes().into()),
            None => {
                let entry = self.entries.get(position - STATIC.len());
                entry.map(|(name, _)| *name).ok_or(Unclear)
            }
        }
    }

    /// Adds an entry; one that is larger than the table leaves it empty (RFC 7541, 4.4).
    pub(super) fn insert(&mut self, name: Name, value_len: usize) {
        let size = name.len + value_len + OVERHEAD;
        self.evict(self.max_size.saturating_sub(size));
        if size <= self.max_size {
            self.entries.push_front((name, size));
            self.size += size;
        }
    }

    /// Obeys a size update.
    pub(super) fn resize(&mut self, max_size: usize) -> Result<(), Unclear> {
        if max_size > MAX_SIZE {
            return Err(Unclear);
        }
        self.max_size = max_size;
        self.evict(max_size);
        Ok(())
    }

    /// The sizes of all entries.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Drops the oldest entries until the rest fits.
    fn evict(&mut self, max_size: usize) {
        while self.size > max_size
            && let Some((_, size)) = self.entries.pop_back()
        {
            self.size -= size;
        }
    }
}
