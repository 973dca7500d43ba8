/// Encodes fields so that no two lists of fields encode alike: each after its length (64 bits, big
/// endian).
pub(crate) fn encode<'a>(fields: impl IntoIterator<Item = &'a [u8], IntoIter: Clone>) -> Vec<u8> {
    let fields = fields.into_iter();
    // Whoever grows step by step is wiped as often: this is done for every DEK source.
    let len = fields
        .clone()
        .map(|field| size_of::<u64>() + field.len())
        .sum();
    let mut encoded = Vec::with_capacity(len);
    for field in fields {
        encoded.extend_from_slice(&(field.len() as u64).to_be_bytes());
        encoded.extend_from_slice(field);
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_concatenate_alike_encode_differently() {
        assert_ne!(encode([&b"ab"[..], b"c"]), encode([&b"a"[..], b"bc"]));
        assert_ne!(encode([&b"a"[..]]), encode([&b"a"[..], b""]));
        assert_eq!(encode([&b"a"[..]]), b"\0\0\0\0\0\0\0\x01a");
    }
}
