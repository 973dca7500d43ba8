use proptest::prelude::*;

use super::*;
use crate::damage::{damaged, tells};

/// A field of a protobuf message: number, and bytes, text or a message.
fn field(number: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    const LENGTH_DELIMITED: u8 = 2;
    let mut out = vec![number << 3 | LENGTH_DELIMITED];
    prost::encode_length_delimiter(content.as_ref().len(), &mut out).unwrap();
    out.extend_from_slice(content.as_ref());
    out
}

fn protobuf(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let type_meta = [field(1, api_version), field(2, kind)].concat();
    [
        b"k8s\0",
        &field(1, type_meta)[..],
        &field(2, raw),
        &field(3, ""),
        &field(4, ""),
    ]
    .concat()
}

/// `data` of a Secret is field 2, `type` is field 3.
fn secret(namespace: &str, name: &str) -> Vec<u8> {
    let meta = [
        field(1, name),
        field(2, ""),
        field(3, namespace),
        field(5, "3f1c"),
        field(6, ""),
    ]
    .concat();
    let entry = [field(1, "password"), field(2, "hunter2")].concat();
    [field(1, meta), field(2, entry), field(3, "Opaque")].concat()
}

fn key<'k>(namespace: Option<&'k str>, name: &'k str) -> ObjectKey<'k> {
    ObjectKey { namespace, name }
}

/// A CBOR string, as bytes (kube-apiserver) or as text.
fn string(text: &str, major: u8) -> Vec<u8> {
    assert!(text.len() < 24);
    [&[major << 5 | text.len() as u8], text.as_bytes()].concat()
}

fn cbor(major: u8) -> Vec<u8> {
    let s = |text| string(text, major);
    [
        vec![0xd9, 0xd9, 0xf7, 0xa4],
        [s("apiVersion"), s("bears.com/v1")].concat(),
        [s("kind"), s("Panda")].concat(),
        [s("metadata"), vec![0xa3]].concat(),
        [s("name"), s("ping")].concat(),
        [s("namespace"), s("zoo")].concat(),
        [s("generation"), vec![0x18, 0x2a]].concat(),
        [s("spec"), vec![0x82, 0xf9, 0x3c, 0x00, 0xa0]].concat(),
    ]
    .concat()
}

const JSON: &str = r#"{"kind":"Panda","apiVersion":"bears.com/v1","metadata":{"name":"ping","namespace":"zoo",
    "uid":"u","labels":{"name":"other"}},"spec":{"kind":"no","deep":[[[{}]]],"x":"\ud83d\ude00\u0000"}}
"#;

#[test]
fn protobuf_states_its_type_and_name() {
    let plaintext = protobuf("v1", "Secret", &secret("default", "db"));
    let identity = identify(&plaintext, key(Some("default"), "db")).unwrap();
    assert_eq!(
        identity,
        Identity {
            api_version: "v1".into(),
            kind: "Secret".into(),
            namespace: Some("default".into()),
            name: "db".into(),
            uid: Some("3f1c".into()),
        }
    );
    let plaintext = protobuf("v1", "Namespace", &secret("", "kube-system"));
    assert!(identify(&plaintext, key(None, "kube-system")).is_ok());
}

#[test]
fn json_and_cbor_state_their_type_and_name() {
    for plaintext in [JSON.as_bytes(), &cbor(2), &cbor(3)] {
        let identity = identify(plaintext, key(Some("zoo"), "ping")).unwrap();
        assert_eq!(&*identity.api_version, "bears.com/v1");
        assert_eq!(&*identity.kind, "Panda");
    }
}

#[test]
fn another_name_or_namespace_is_another_object() {
    let cluster_scoped = JSON.replace(r#""namespace":"zoo","#, "");
    let null = JSON.replace(r#""zoo""#, "null");
    for (plaintext, namespace, name) in [
        (JSON, Some("zoo"), "pong"),
        (JSON, Some("farm"), "ping"),
        (JSON, None, "ping"),
        (&cluster_scoped, Some("zoo"), "ping"),
        (&null, Some("zoo"), "ping"),
    ] {
        let outcome = identify(plaintext.as_bytes(), key(namespace, name));
        assert_eq!(outcome, Err(NotAnObject::Another));
    }
    assert!(identify(cluster_scoped.as_bytes(), key(None, "ping")).is_ok());
}

#[test]
fn the_end_of_the_etcd_key_is_namespace_and_name() {
    let cluster_scoped = JSON.replace(r#""namespace":"zoo","#, "");
    for (plaintext, path, expected) in [
        (JSON, "/registry/bears.com/pandas/zoo/ping", true),
        (JSON, "/registry/bears.com/pandas/ping", false),
        (JSON, "/registry/bears.com/pandas/bigzoo/ping", false),
        (JSON, "/registry/bears.com/pandas/zoo/xping", false),
        (JSON, "/registry/bears.com/pandas/zoo/ping/", false),
        (JSON, "ping", false),
        (&cluster_scoped, "/registry/bears.com/pandas/ping", true),
        (&cluster_scoped, "/registry/bears.com/pandas/pong", false),
    ] {
        let outcome = identify_at(plaintext.as_bytes(), path.as_bytes());
        assert_eq!(outcome.is_ok(), expected, "{path}");
    }
}

#[test]
fn whatever_is_not_whole_is_no_object() {
    let of = |plaintext: &[u8]| identify(plaintext, key(Some("zoo"), "ping")).unwrap_err();
    let good = secret("zoo", "ping");
    let cases: [(Vec<u8>, NotAnObject); 19] = [
        (b"".to_vec(), NotAnObject::Encoding),
        (b"k8s".to_vec(), NotAnObject::Encoding),
        (b"k8s:enc:aescbc:v1:".to_vec(), NotAnObject::Encoding),
        (b"---\nkind: Secret\n".to_vec(), NotAnObject::Encoding),
        (b" {}".to_vec(), NotAnObject::Encoding),
        (b"[]".to_vec(), NotAnObject::Encoding),
        (b"{".to_vec(), NotAnObject::Json),
        (b"{}".to_vec(), NotAnObject::Json),
        (format!("{JSON}x").into(), NotAnObject::Json),
        (JSON.replace("\"ping\"", "7").into(), NotAnObject::Json),
        (
            JSON.replace("\"Panda\"", "\"\"").into(),
            NotAnObject::Nameless,
        ),
        (
            JSON.replace("\"kind\":\"Panda\",", "\"kind\":\"A\",\"kind\":\"Panda\",")
                .into(),
            NotAnObject::Json,
        ),
        ([cbor(2), vec![0]].concat(), NotAnObject::Cbor),
        (vec![0xd9, 0xd9, 0xf7, 0xa0], NotAnObject::Cbor),
        (b"k8s\0".to_vec(), NotAnObject::Nameless),
        (protobuf("", "Secret", &good), NotAnObject::Nameless),
        (protobuf("v1", "", &good), NotAnObject::Nameless),
        (protobuf("v1", "Secret", b""), NotAnObject::Nameless),
        (
            protobuf("v1", "Secret", &good[..good.len() - 1]),
            NotAnObject::Protobuf,
        ),
    ];
    for (plaintext, expected) in cases {
        assert_eq!(of(&plaintext), expected, "{}", plaintext.escape_ascii());
    }
}

#[test]
fn errors_quote_nothing() {
    let secret = br#"{"apiVersion":"v1","kind":{"password":"hunter2"}}"#;
    let error = identify(secret, key(None, "x")).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn no_shortened_object_is_one() {
    let protobuf = protobuf("v1", "Secret", &secret("zoo", "ping"));
    // The last two fields are empty and may be missing.
    let optional_tail = 4;
    for (whole, optional) in [
        (protobuf, optional_tail),
        (JSON.trim_end().into(), 0),
        (cbor(2), 0),
    ] {
        for len in 0..whole.len() - optional {
            let outcome = identify(&whole[..len], key(Some("zoo"), "ping"));
            assert!(outcome.is_err(), "{len} of {}", whole.escape_ascii());
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(
        magic in prop::sample::select(vec![&b"k8s\0"[..], b"{", b"\xd9\xd9\xf7", b""]),
        tail in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let plaintext = [magic, &tail].concat();
        prop_assert!(identify(&plaintext, key(None, "some-name")).is_err());
        prop_assert!(identify_at(&plaintext, b"/some-name").is_err());
    }

    #[test]
    fn damaged_objects_never_panic_and_are_never_quoted(
        plaintext in prop::sample::select(with_secret()).prop_flat_map(damaged),
    ) {
        for outcome in [
            identify(&plaintext, key(Some("zoo"), "ping")),
            identify_at(&plaintext, b"/registry/secrets/zoo/ping"),
        ] {
            if let Err(error) = outcome {
                let said = format!("{error} {error:?}");
                prop_assert!(!tells(&said, SECRET), "{said}");
            }
        }
    }
}

const SECRET: &str = "h4nt3r-2x-h4nt3r-2y";

/// An object with a secret in it, in each encoding.
fn with_secret() -> Vec<Vec<u8>> {
    let entry = [field(1, "password"), field(2, SECRET)].concat();
    let raw = [secret("zoo", "ping"), field(2, entry)].concat();
    let json = JSON.replace(r#""spec":{"#, &format!(r#""data":"{SECRET}","spec":{{"#));
    let mut binary = cbor(2);
    // One more entry of the map.
    binary[3] += 1;
    binary.extend([string("data", 2), string(SECRET, 2)].concat());
    vec![protobuf("v1", "Secret", &raw), json.into(), binary]
}

#[test]
fn the_objects_that_are_damaged_are_good() {
    for plaintext in with_secret() {
        assert!(
            plaintext
                .windows(SECRET.len())
                .any(|window| window == SECRET.as_bytes())
        );
        identify(&plaintext, key(Some("zoo"), "ping")).unwrap();
    }
}

#[test]
fn nesting_is_bounded() {
    let json = format!(
        r#"{{"apiVersion":"v1","kind":"K","metadata":{{"name":"n"}},"x":{}"#,
        "[".repeat(1_000_000)
    );
    assert!(identify(json.as_bytes(), key(None, "n")).is_err());
    let cbor = [vec![0xd9, 0xd9, 0xf7], vec![0x81; 1_000_000]].concat();
    assert!(identify(&cbor, key(None, "n")).is_err());
    let groups = [b"k8s\0".to_vec(), vec![0x0b; 1_000_000]].concat();
    assert!(identify(&groups, key(None, "n")).is_err());
}
