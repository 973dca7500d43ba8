use prost::bytes::Bytes;

use super::{
    Ask, StoreError, revision,
    wire::{
        etcdserverpb::{RangeRequest, RangeResponse},
        mvccpb::KeyValue,
    },
};

/// The most that a page of several records may weigh, in bytes: pages are read ahead, and whoever gets
/// one that is too large asks for a smaller one.
const MAX_PAGE: usize = 8 << 20;

/// What to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeOptions {
    /// The first key.
    pub key: Vec<u8>,
    /// The first key that is not read; empty reads `key` alone.
    pub range_end: Vec<u8>,
    /// The most records to return; 0 is no limit.
    pub limit: i64,
    /// At which revision; 0 is the newest.
    pub revision: i64,
    /// Leave the values out.
    pub keys_only: bool,
    /// Leave the records out.
    pub count_only: bool,
}

impl RangeOptions {
    /// One key, newest revision.
    pub fn one(key: &[u8]) -> Self {
        Self {
            key: key.into(),
            ..Self::default()
        }
    }

    /// All keys that begin with this prefix, newest revision.
    pub fn prefix(prefix: &[u8]) -> Self {
        Self {
            key: prefix.into(),
            range_end: prefix_end(prefix),
            ..Self::default()
        }
    }

    /// How large the answer may be, where none may be larger than `most`. One record always fits.
    pub(super) fn max_reply(&self, most: usize) -> usize {
        match self.limit {
            1 => most,
            _ => most.min(MAX_PAGE),
        }
    }

    /// How many keys begin with this prefix, newest revision; no records.
    pub fn count(prefix: &[u8]) -> Self {
        Self {
            count_only: true,
            ..Self::prefix(prefix)
        }
    }

    pub(super) fn ask(&self) -> Ask {
        Ask::Read {
            key: self.key.as_slice().into(),
            end: self.range_end.as_slice().into(),
            revision: self.revision,
        }
    }
}

impl From<RangeOptions> for RangeRequest {
    fn from(options: RangeOptions) -> Self {
        let RangeOptions {
            key,
            range_end,
            limit,
            revision,
            keys_only,
            count_only,
        } = options;
        Self {
            key: key.into(),
            range_end: range_end.into(),
            limit,
            revision,
            keys_only,
            count_only,
        }
    }
}

/// The first key that can follow a key.
pub fn key_after(key: &[u8]) -> Vec<u8> {
    [key, b"\0"].concat()
}

/// The first key after all that begin with `prefix`: its last byte that can be raised is raised, what
/// follows is cut. Where none can, `\0`, which etcd reads as "to the end".
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.last_mut() {
        if let Some(next) = last.checked_add(1) {
            *last = next;
            return end;
        }
        end.pop();
    }
    vec![0]
}

/// An answer to a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In the order of their keys.
    pub records: Vec<Record>,
    /// Whether the limit cut the range.
    pub more: bool,
    /// How many keys the range has, whatever the limit.
    pub count: i64,
    /// The store's revision when it was read: reading at it again sees the same.
    pub revision: i64,
}

impl Page {
    pub(super) fn from_wire(response: RangeResponse, ask: &Ask) -> Result<Self, StoreError> {
        let page = Self {
            revision: revision(response.header.as_ref(), ask)?,
            records: response.kvs.into_iter().map(Record::from).collect(),
            more: response.more,
            count: response.count,
        };
        page.check(ask)?;
        Ok(page)
    }

    /// A part of a [`RangeStream`](super::RangeStream).
    pub(super) fn of_part(part: RangeResponse, ask: &Ask) -> Result<Self, StoreError> {
        let page = Self {
            records: part.kvs.into_iter().map(Record::from).collect(),
            more: part.more,
            count: part.count,
            revision: 0,
        };
        page.check(ask)?;
        Ok(page)
    }

    /// Whoever reads on behind the last key relies on the order; and an SQL database may have other
    /// thoughts of which keys are alike.
    fn check(&self, ask: &Ask) -> Result<(), StoreError> {
        let Ask::Read { key, end, .. } = ask else {
            return Ok(());
        };
        let (key, end) = (key.as_bytes(), end.as_bytes());
        if end.is_empty() {
            return match self.records.first() {
                Some(record) if record.key != key => Err(StoreError::OtherKey {
                    asked: key.into(),
                    got: record.key[..].into(),
                }),
                _ => Ok(()),
            };
        }
        let asked_for = |key_of: &[u8]| key_of >= key && (end == b"\0" || key_of < end);
        let keys = self.records.iter().map(|record| &record.key[..]);
        // In their order, all lie between the first and the last.
        let outermost = [self.records.first(), self.records.last()];
        let mut outermost = outermost.into_iter().flatten();
        if outermost.all(|record| asked_for(&record.key))
            && keys.is_sorted_by(|one, next| one < next)
        {
            Ok(())
        } else {
            Err(StoreError::Disorder { ask: ask.clone() })
        }
    }
}

/// One key as etcd holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The key.
    pub key: Bytes,
    /// The stored bytes.
    pub value: Bytes,
    /// The revision of its last write.
    pub mod_revision: i64,
    /// The revision that created it.
    pub create_revision: i64,
    /// The lease that deletes it when it ends; 0 is none. To be carried by every write.
    pub lease: i64,
}

impl Record {
    /// The length of the key and the value, in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.key.len() + self.value.len()
    }
}

impl From<KeyValue> for Record {
    fn from(kv: KeyValue) -> Self {
        let KeyValue {
            key,
            create_revision,
            mod_revision,
            version: _,
            value,
            lease,
        } = kv;
        Self {
            key,
            value,
            mod_revision,
            create_revision,
            lease,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::wire::etcdserverpb::ResponseHeader, *};

    #[test]
    fn a_prefix_ends_before_its_successor() {
        assert_eq!(prefix_end(b"/registry/secrets/"), b"/registry/secrets0");
        assert_eq!(prefix_end(b"a\xff\xff"), b"b");
        assert_eq!(prefix_end(b"\xff"), b"\0");
        assert_eq!(prefix_end(b""), b"\0");
    }

    fn page(keys: &[&str], options: &RangeOptions) -> Result<Page, StoreError> {
        let kv = |key: &&str| KeyValue {
            key: key.to_string().into(),
            ..KeyValue::default()
        };
        let response = RangeResponse {
            header: Some(ResponseHeader::default()),
            kvs: keys.iter().map(kv).collect(),
            ..RangeResponse::default()
        };
        Page::from_wire(response, &options.ask())
    }

    #[test]
    fn keys_come_in_order_and_only_those_that_were_asked_for() {
        let pods = RangeOptions::prefix(b"/registry/pods/");
        page(&[], &pods).unwrap();
        page(&["/registry/pods/B", "/registry/pods/a"], &pods).unwrap();
        for keys in [
            ["/registry/pods/a", "/registry/pods/B"],
            ["/registry/pods/a", "/registry/pods/a"],
            ["/registry/pods/a", "/registry/podtemplates/a"],
            ["/registry/Pods/a", "/registry/pods/a"],
        ] {
            let error = page(&keys, &pods).unwrap_err();
            assert!(matches!(error, StoreError::Disorder { .. }), "{error}");
        }
        let all = RangeOptions {
            key: b"\0".into(),
            range_end: b"\0".into(),
            ..RangeOptions::default()
        };
        page(&["/a", "b"], &all).unwrap();

        let one = RangeOptions::one(b"/registry/roles/a_b");
        page(&["/registry/roles/a_b"], &one).unwrap();
        let error = page(&["/registry/roles/a-b"], &one).unwrap_err();
        assert!(error.to_string().contains("/registry/roles/a-b"), "{error}");
    }
}
