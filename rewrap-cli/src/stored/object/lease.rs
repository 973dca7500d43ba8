use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{protobuf, text};

/// When a Lease (`coordination.k8s.io/v1`) says that it was renewed; nothing where the bytes are no
/// Lease in protobuf or JSON, or one without that time.
pub fn renew_time(plaintext: &[u8]) -> Option<SystemTime> {
    match plaintext {
        [b'k', b'8', b's', 0, message @ ..] => {
            let (seconds, nanos) = protobuf::renew_time(message)?;
            at(seconds, nanos)
        }
        [b'{', ..] => {
            let time = text::renew_time_of_json(plaintext)?;
            Some(OffsetDateTime::parse(&time, &Rfc3339).ok()?.into())
        }
        _ => None,
    }
}

fn at(seconds: i64, nanos: i32) -> Option<SystemTime> {
    let since = Duration::new(seconds.try_into().ok()?, nanos.try_into().ok()?);
    UNIX_EPOCH.checked_add(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(time: Option<SystemTime>) -> Option<u64> {
        Some(time?.duration_since(UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn both_encodings_tell_the_time() {
        let json = |time: &str| format!(r#"{{"kind":"Lease","spec":{{"renewTime":{time}}}}}"#);
        for (time, expected) in [
            ("1970-01-01T00:00:00.000000Z", 0),
            ("2000-02-29T12:30:45.999999Z", 951_827_445),
            ("2026-11-24T12:10:02.123456Z", 1_795_522_202),
            ("2026-11-24T13:10:02+01:00", 1_795_522_202),
        ] {
            let json = json(&format!("{time:?}"));
            assert_eq!(
                seconds(renew_time(json.as_bytes())),
                Some(expected),
                "{time}"
            );
        }
        for time in ["null", "7", r#""""#, r#""2026-11-24""#] {
            assert_eq!(renew_time(json(time).as_bytes()), None, "{time}");
        }
        // TypeMeta; raw: spec (2): renewTime (4): seconds (1) and nanos (2).
        let protobuf = b"k8s\0\x0a\x00\x12\x0b\x12\x09\x22\x07\x08\xe8\x07\x10\xc0\x84\x3d";
        let expected = UNIX_EPOCH + Duration::from_secs(1000) + Duration::from_millis(1);
        assert_eq!(renew_time(protobuf), Some(expected));
        assert_eq!(renew_time(b"k8s\0\x0a\x00\x12\x00"), None);
    }
}
