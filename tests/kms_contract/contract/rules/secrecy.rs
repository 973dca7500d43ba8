//! What no error may tell.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

use crate::contract::{
    Outcome, Rule,
    call::{Call, CallError, Method},
    connection::Connection,
    failed,
    message::encrypt_request,
    protobuf::field,
    session::{Sample, Session},
};

pub(super) const RULES: &[Rule] = &[Rule {
    name: "error-text",
    asks: "what a refusal says, in its text, its headers and its trailers, holds no part of a plaintext: kube-apiserver logs it and may show it to users",
    source: "k8s.io/apiserver: kmsv2/envelope.go, TransformFromStorage and GenerateTransformer (pass the plugin's words on)",
    check: |session| Box::pin(error_text(session)),
}];

/// 32 bytes, as a DEK source has, that a text shows as they are.
const MARKER: &[u8; 32] = b"Zq7wXk2vTn9sLd4gRb8mYc3hPf6jUa5e";

/// So many bytes of a plaintext in a row are no accident.
const TELLING: usize = 8;

async fn error_text(session: &Session<'_>) -> Outcome {
    session.opened()?;
    let connection = session.connect().await?;
    let marked = Sample {
        plaintext: MARKER.to_vec(),
        wrapped: connection.encrypt(MARKER).await?,
    };
    for (what, call) in provocations(&marked) {
        // A connection each: some may be cut.
        match session.connect().await?.call(call).await {
            Err(CallError::Refused { refusal, .. }) if tells(&refusal.said) => {
                return failed(format!(
                    "the refusal of {what} shows bytes of the plaintext"
                ));
            }
            _ => {}
        }
    }
    serves(&marked, &connection).await
}

/// Calls that may well be refused by a plugin that has the marker at hand.
fn provocations(marked: &Sample) -> Vec<(&'static str, Call)> {
    let mut altered = marked.wrapped.clone();
    if let Some(byte) = altered.ciphertext.last_mut() {
        *byte ^= 1;
    }
    let mut annotated = marked.wrapped.clone();
    annotated
        .annotations
        .insert("added.example.com".to_owned(), b"1".to_vec());
    let mut unknown = marked.wrapped.clone();
    unknown.key_id += "0";
    let long = MARKER.repeat(2_000 / MARKER.len());
    let huge = MARKER.repeat((4 << 20) / MARKER.len() + 1);
    let cut_off = [field(1, MARKER), b"\x12\xff".to_vec()].concat();
    vec![
        (
            "a Decrypt with an altered ciphertext",
            Call::decrypt(&altered),
        ),
        (
            "a Decrypt with an annotation more",
            Call::decrypt(&annotated),
        ),
        ("a Decrypt with an unknown key id", Call::decrypt(&unknown)),
        (
            "a Decrypt of a plaintext",
            Call::new(Method::Decrypt, &field(1, MARKER)),
        ),
        ("an Encrypt of 2,000 bytes", Call::encrypt(&long)),
        ("an Encrypt of 4 MiB", Call::encrypt(&huge)),
        (
            "an Encrypt without uid",
            Call::new(Method::Encrypt, &encrypt_request(MARKER, "")),
        ),
        ("a malformed Encrypt", Call::new(Method::Encrypt, &cut_off)),
    ]
}

async fn serves(marked: &Sample, connection: &Connection) -> Outcome {
    marked.opens(connection).await?;
    Ok(None)
}

/// Whether a text holds a part of the marker: as it is, in hexadecimal digits, in base64 or as a
/// list of numbers.
fn tells(said: &[u8]) -> bool {
    let lower = said.to_ascii_lowercase();
    let holds = |text: &[u8], part: &[u8]| text.windows(part.len()).any(|it| it == part);
    MARKER.windows(TELLING).any(|part| {
        let numbers: Vec<_> = part.iter().map(u8::to_string).collect();
        holds(said, part)
            || holds(&lower, hex::encode(part).as_bytes())
            || [", ", " ", ","]
                .iter()
                .any(|comma| holds(said, numbers.join(comma).as_bytes()))
    }) || MARKER
        // Of three in a row, one begins where base64 begins a group.
        .windows(TELLING / 3 * 3 + 3)
        .any(|part| holds(said, STANDARD_NO_PAD.encode(part).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plaintext_is_found_in_every_dress() {
        let part = &MARKER[5..25];
        let numbers = format!("{part:?}");
        for dress in [
            String::from_utf8_lossy(part).into_owned(),
            hex::encode(part),
            hex::encode_upper(part),
            STANDARD_NO_PAD.encode(part),
            STANDARD_NO_PAD.encode([b"?", part].concat()),
            STANDARD_NO_PAD.encode([b"??", part].concat()),
            numbers.replace(',', ""),
            numbers.replace(' ', ""),
            numbers,
        ] {
            assert!(tells(format!("no: {dress}.").as_bytes()), "{dress}");
        }
        assert!(!tells(b"cannot unwrap: wrong key id or altered; 32 bytes"));
        assert!(!tells(&MARKER[..TELLING - 1]));
    }
}
