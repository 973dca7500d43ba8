use std::collections::{BTreeMap, HashMap};

/// The annotations of a wrapped DEK source: public, stored in the clear with *every* object, and
/// part of its identity.
///
/// Sorted by key, so that equal annotations are equal values whatever order they arrived in.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Annotations(BTreeMap<String, Vec<u8>>);

impl Annotations {
    /// The most bytes that all keys and values may have together (`annotationsMaxSize`,
    /// `k8s.io/apiserver/pkg/storage/value/encrypt/envelope/kmsv2/envelope.go`).
    pub const MAX_SIZE: usize = 32 * 1024;

    /// Checks the rules of kube-apiserver: keys are fully qualified domain names, the whole is at
    /// most [`Self::MAX_SIZE`].
    ///
    /// # Errors
    /// The first key that is no domain name, or the size.
    pub fn new(
        entries: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> Result<Self, AnnotationsError> {
        let entries: BTreeMap<_, _> = entries.into_iter().collect();
        Self::check(&entries)?;
        Ok(Self(entries))
    }

    /// Whether these may be annotations.
    pub(crate) fn check<K: AsRef<str>, V: AsRef<[u8]>>(
        entries: &BTreeMap<K, V>,
    ) -> Result<(), AnnotationsError> {
        let mut size = 0;
        for (key, value) in entries {
            let key = key.as_ref();
            if !is_fully_qualified_domain_name(key) {
                return Err(AnnotationsError::Key(key.to_owned()));
            }
            size += key.len() + value.as_ref().len();
        }
        if size > Self::MAX_SIZE {
            return Err(AnnotationsError::TooLarge { size });
        }
        Ok(())
    }

    /// Keys and values in the order of the keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> + Clone {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_slice()))
    }

    /// The value of one key.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key).map(Vec::as_slice)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The form the messages use.
    pub fn to_wire(&self) -> HashMap<String, Vec<u8>> {
        self.0
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }
}

/// `IsFullyQualifiedDomainName` of `k8s.io/apimachinery/pkg/util/validation/validation.go`: one
/// trailing dot is dropped, the rest is an RFC 1123 subdomain of at most 253 characters with two
/// labels or more, each of 1 to 63 characters.
fn is_fully_qualified_domain_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() <= 253 && name.contains('.') && name.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = label.as_bytes();
    bytes.len() <= 63
        && bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
        && bytes.iter().all(|byte| alphanumeric(byte) || *byte == b'-')
}

/// Why annotations are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnnotationsError {
    /// A key is no fully qualified domain name.
    #[error("the annotation key {0:?} is no fully qualified domain name, such as kek.example.com")]
    Key(String),
    /// More than [`Annotations::MAX_SIZE`] bytes in all.
    #[error("the annotations have {size} bytes, more than the {max} that kube-apiserver accepts", max = Annotations::MAX_SIZE)]
    TooLarge {
        /// Keys and values together, in bytes.
        size: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_judged_as_the_apiserver_judges_them() {
        for good in [
            "a.b",
            "kek.kms.kubernetes.io",
            "10.0.0.1",
            "a-b.io.",
            "1a.b2",
        ] {
            assert!(is_fully_qualified_domain_name(good), "{good}");
        }
        let long_label = format!("{}.io", "a".repeat(64));
        let long_name = format!("{}b", "a.".repeat(127));
        for bad in [
            "",
            ".",
            "com",
            "Dev.k8s.io",
            "a_b.io",
            "*.x.io",
            ".io",
            "a..b",
            "-a.io",
            "a-.io",
            "a.b..",
            &long_label,
            &long_name,
        ] {
            assert!(!is_fully_qualified_domain_name(bad), "{bad}");
        }
        assert!(is_fully_qualified_domain_name(&format!(
            "{}.io",
            "a".repeat(63)
        )));
    }

    #[test]
    fn the_size_limit_counts_keys_and_values() {
        let entry = |len| [("a.bc".to_owned(), vec![0; len])];
        assert!(Annotations::new(entry(Annotations::MAX_SIZE - 4)).is_ok());
        assert_eq!(
            Annotations::new(entry(Annotations::MAX_SIZE - 3)),
            Err(AnnotationsError::TooLarge {
                size: Annotations::MAX_SIZE + 1
            })
        );
    }
}
