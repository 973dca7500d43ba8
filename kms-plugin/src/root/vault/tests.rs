use super::*;

#[test]
fn the_associated_data_is_label_context_and_local_kek() {
    let binding = Binding {
        context: "prod".to_owned(),
        kek: [7; 16],
    };
    let mut expected = b"\0\0\0\0\0\0\0\x12ringfence/vault/v1".to_vec();
    expected.extend_from_slice(b"\0\0\0\0\0\0\0\x04prod\0\0\0\0\0\0\0\x10");
    expected.extend_from_slice(&[7; 16]);
    assert_eq!(associated_data(&binding), BASE64_STANDARD.encode(expected));
}

#[test]
fn the_number_of_a_version_is_between_its_marks() {
    for (version, expected) in [
        ("vault:transit/k#3@1732471200", Some(3)),
        ("vault:a/b/k#12@0", Some(12)),
        ("vault:transit/k#3", None),
        ("vault:transit/k#0@1", None),
        ("vault:transit/k#x@1", None),
        ("aws:arn#1", None),
    ] {
        assert_eq!(number(&version.parse().unwrap()), expected, "{version}");
    }
}
