use std::fmt;

/// What every encrypted value in etcd begins with (`k8s:enc:`); a value that does not is plain
/// text.
pub const ENCRYPTED_PREFIX: &[u8] = b"k8s:enc:";

/// The text before a stored value that names its transformer:
/// `k8s:enc:<provider>:<version>:<name>:`.
///
/// `Display` writes exactly what kube-apiserver writes; nothing for [`Prefix::Identity`]. Where the
/// configuration is known, values are matched against these texts, as kube-apiserver does it: key
/// names and names of KMS v1 providers may contain `:`, so the name [`Prefix::guess`] finds is for
/// people only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Prefix<'a> {
    /// No prefix: plain text.
    Identity,
    /// AES-CBC with the named key.
    AesCbc(&'a str),
    /// AES-GCM with the named key.
    AesGcm(&'a str),
    /// XSalsa20-Poly1305 with the named key.
    Secretbox(&'a str),
    /// The envelope of a named KMS v1 provider.
    KmsV1(&'a str),
    /// The envelope of a named KMS v2 provider.
    KmsV2(&'a str),
    /// An encrypted value of a transformer that no released kube-apiserver has.
    Unknown,
}

impl<'a> Prefix<'a> {
    /// The prefix of a stored value as a person would read it: the name ends at the next `:`.
    pub fn guess(value: &'a [u8]) -> Self {
        if !value.starts_with(ENCRYPTED_PREFIX) {
            return Self::Identity;
        }
        type Kind<'a> = fn(&'a str) -> Prefix<'a>;
        let kinds: [(&str, Kind<'a>); 5] = [
            ("k8s:enc:aescbc:v1:", Self::AesCbc),
            ("k8s:enc:aesgcm:v1:", Self::AesGcm),
            ("k8s:enc:secretbox:v1:", Self::Secretbox),
            ("k8s:enc:kms:v1:", Self::KmsV1),
            ("k8s:enc:kms:v2:", Self::KmsV2),
        ];
        kinds
            .iter()
            .find_map(|(text, kind)| {
                let rest = value.strip_prefix(text.as_bytes())?;
                let end = rest.iter().position(|byte| *byte == b':')?;
                Some(kind(str::from_utf8(&rest[..end]).ok()?))
            })
            .unwrap_or(Self::Unknown)
    }
}

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => Ok(()),
            Self::AesCbc(name) => write!(f, "k8s:enc:aescbc:v1:{name}:"),
            Self::AesGcm(name) => write!(f, "k8s:enc:aesgcm:v1:{name}:"),
            Self::Secretbox(name) => write!(f, "k8s:enc:secretbox:v1:{name}:"),
            Self::KmsV1(name) => write!(f, "k8s:enc:kms:v1:{name}:"),
            Self::KmsV2(name) => write!(f, "k8s:enc:kms:v2:{name}:"),
            Self::Unknown => f.write_str("k8s:enc:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn guessing_reads_what_display_writes() {
        for prefix in [
            Prefix::AesCbc("a"),
            Prefix::AesGcm("b"),
            Prefix::Secretbox("c"),
            Prefix::KmsV1("d"),
            Prefix::KmsV2("e"),
        ] {
            let value = format!("{prefix}rest");
            assert_eq!(Prefix::guess(value.as_bytes()), prefix);
        }
        assert_eq!(Prefix::guess(b"k8s\0..."), Prefix::Identity);
        assert_eq!(Prefix::guess(b""), Prefix::Identity);
        assert_eq!(Prefix::guess(b"k8s:enc:rot13:v1:x:"), Prefix::Unknown);
        assert_eq!(
            Prefix::guess(b"k8s:enc:aescbc:v1:unfinished"),
            Prefix::Unknown
        );
        assert_eq!(Prefix::guess(b"k8s:enc:aescbc:v1:\xff:"), Prefix::Unknown);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(tail in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Prefix::guess(&tail);
            let _ = Prefix::guess(&[ENCRYPTED_PREFIX, &tail].concat());
        }
    }
}
