use ::base64::{Engine as _, prelude::BASE64_STANDARD};
use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn durations_add_up(hours in 0..100_000_i64, minutes in 0..100_i64, millis in 0..100_000_i64, micros in 0..9_999_i64) {
        let text = format!("{hours}h{minutes}m{millis}ms{micros}us");
        let nanos = ((hours * 60 + minutes) * 60_000 + millis) * 1_000_000 + micros * 1_000;
        prop_assert_eq!(duration::parse(&text), Some(nanos));
        prop_assert_eq!(duration::parse(&format!("-{text}")), Some(-nanos));
    }

    #[test]
    fn no_text_makes_a_duration_panic(
        near in "[-+]?([0-9]{0,25}[.]?[0-9]{0,25}(ns|us|\u{b5}s|\u{3bc}s|ms|s|m|h|d)?){0,4}",
        far in ".{0,20}",
    ) {
        let _ = duration::parse(&far);
        // A sign changes no more than the sign, but for the one number that has no opposite.
        let unsigned = near.trim_start_matches(['-', '+']);
        let negative = duration::parse(&format!("-{unsigned}"));
        if negative != Some(i64::MIN) {
            prop_assert_eq!(negative, duration::parse(unsigned).map(|nanos| -nanos));
        }
    }

    #[test]
    fn base64_comes_back_whatever_its_line_breaks(
        bytes in prop::collection::vec(any::<u8>(), 0..100),
        breaks in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(vec!['\r', '\n'])), 0..9),
    ) {
        let mut text = BASE64_STANDARD.encode(&bytes);
        for (at, line_break) in breaks {
            text.insert(at.index(text.len() + 1), line_break);
        }
        let decoded = base64::decode(&text).unwrap();
        prop_assert_eq!(decoded.as_slice(), bytes);
    }

    #[test]
    fn no_text_makes_base64_panic(near in "[A-Za-z0-9+/=\r\n]{0,60}", far in ".{0,40}") {
        let _ = base64::decode(&far);
        if let Some(bytes) = base64::decode(&near) {
            let characters = near.replace(['\r', '\n'], "").len();
            prop_assert_eq!(BASE64_STANDARD.encode(&bytes).len(), characters);
        }
    }

    #[test]
    fn a_path_comes_back_from_its_url(path in "/[^/\u{0}][^\u{0}]{0,30}") {
        let escaped: String = path.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let escaped = escaped.replace("%2f", "/");
        let parsed = url::parse(&format!("unix://{escaped}")).unwrap();
        prop_assert_eq!((parsed.scheme.as_str(), parsed.path), ("unix", path.into_bytes()));
    }

    #[test]
    fn no_text_makes_a_url_panic(
        near in "(unix|tcp|UNIX|1x)?:?/{0,4}[a%2@:\\[\\]é/#? ~-]{0,30}",
        far in ".{0,40}",
    ) {
        let _ = url::parse(&near);
        let _ = url::parse(&far);
    }
}
