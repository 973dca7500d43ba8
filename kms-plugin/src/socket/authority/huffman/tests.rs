use proptest::prelude::*;

use super::*;

fn decoded(coded: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    decode(coded, &mut text).ok().map(|()| text)
}

/// Encoded strings of RFC 7541, appendix C.4 and C.6.
#[test]
fn the_examples_of_the_rfc_are_decoded() {
    for (coded, text) in [
        ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),
        ("a8eb10649cbf", "no-cache"),
        ("25a849e95ba97d7f", "custom-key"),
        ("25a849e95bb8e8b4bf", "custom-value"),
        ("6402", "302"),
        ("aec3771a4b", "private"),
        (
            "d07abe941054d444a8200595040b8166e082a62d1bff",
            "Mon, 21 Oct 2013 20:13:21 GMT",
        ),
        (
            "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
            "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
        ),
    ] {
        let coded = hex::decode(coded).unwrap();
        assert_eq!(decoded(&coded).unwrap(), text.as_bytes());
        assert_eq!(encode(text.as_bytes()), coded);
    }
}

/// RFC 7541, 5.2.
#[test]
fn padding_is_the_beginning_of_the_end_of_string_and_less_than_a_byte() {
    assert_eq!(decoded(b"").unwrap(), b"");
    // `0` has the code 00000.
    assert_eq!(decoded(&[0b0000_0111]).unwrap(), b"0");
    for malformed in [
        &[0b0000_0110][..],
        &[0b0000_0011],
        &[0b0000_0111, 0xff],
        &[0xff],
        // The end of the string itself, 30 ones.
        &[0xff, 0xff, 0xff, 0xff],
        &[0b0000_0111, 0xff, 0xff, 0xff, 0b1110_0000],
    ] {
        assert_eq!(decoded(malformed), None, "{malformed:x?}");
    }
}

#[test]
fn every_byte_has_its_code() {
    let bytes: Vec<u8> = (0..=u8::MAX).collect();
    assert_eq!(decoded(&encode(&bytes)).unwrap(), bytes);
    for byte in bytes {
        assert_eq!(decoded(&encode(&[byte])).unwrap(), [byte]);
    }
}

proptest! {
    #[test]
    fn what_is_decoded_has_one_code_and_is_at_most_8_5_as_long(coded: Vec<u8>) {
        if let Some(text) = decoded(&coded) {
            prop_assert!(text.len() <= coded.len() * 8 / 5);
            prop_assert_eq!(encode(&text), coded);
        }
    }
}
