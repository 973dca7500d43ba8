//! The three calls, byte by byte.

use crate::contract::{
    Outcome, Rule,
    call::{Call, CallError, Method},
    failed,
    protobuf::field,
    session::{Sample, Session, refused},
};

const API: &str = "k8s.io/kms: apis/v2/api.proto";

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "status-call",
        asks: "`/v2.KeyManagementService/Status`, with the `:authority` `localhost`, answers an empty message with the strings version = 1, healthz = 2, key_id = 3",
        source: "k8s.io/kms: apis/v2/api.proto; k8s.io/apiserver: kmsv2/grpc_service.go, NewGRPCService",
        check: |session| Box::pin(status_call(session)),
    },
    Rule {
        name: "encrypt-call",
        asks: "`/v2.KeyManagementService/Encrypt` takes the bytes plaintext = 1 and the string uid = 2; it answers the bytes ciphertext = 1, the string key_id = 2 and the map of strings to bytes annotations = 3",
        source: API,
        check: |session| Box::pin(encrypt_call(session)),
    },
    Rule {
        name: "decrypt-call",
        asks: "`/v2.KeyManagementService/Decrypt` takes the bytes ciphertext = 1, the strings uid = 2 and key_id = 3 and the map annotations = 4 as Encrypt answered them; it answers the same bytes plaintext = 1",
        source: API,
        check: |session| Box::pin(decrypt_call(session)),
    },
    Rule {
        name: "unknown-fields",
        asks: "fields that a later kube-apiserver may add are passed over",
        source: "protobuf.dev: Language Guide (proto 3), Unknown Fields",
        check: |session| Box::pin(unknown_fields(session)),
    },
    Rule {
        name: "malformed-messages",
        asks: "an Encrypt or Decrypt that is no protobuf message is refused, and the connection goes on",
        source: "protobuf.dev: Encoding",
        check: |session| Box::pin(malformed_messages(session)),
    },
];

async fn status_call(session: &Session<'_>) -> Outcome {
    let status = session.connect().await?.status().await?;
    session.status.get_or_init(|| status);
    Ok(None)
}

async fn encrypt_call(session: &Session<'_>) -> Outcome {
    session.status()?;
    let sample = Sample::make(&session.connect().await?).await?;
    session.sample.get_or_init(|| sample);
    Ok(None)
}

async fn decrypt_call(session: &Session<'_>) -> Outcome {
    session.sample()?.opens(&session.connect().await?).await?;
    session.opened.get_or_init(|| ());
    Ok(None)
}

async fn unknown_fields(session: &Session<'_>) -> Outcome {
    let sample = session.opened()?;
    let connection = session.connect().await?;
    let unknown = [
        &b"\xb8\x3e\x01"[..], // 999, a varint
        b"\xc1\x3e12345678",  // 1000, 64 bits
        b"\xca\x3e\x03new",   // 1001, bytes
        b"\xd5\x3e1234",      // 1002, 32 bits
    ]
    .concat();
    for call in [
        Call::status(),
        Call::encrypt(&sample.plaintext),
        Call::decrypt(&sample.wrapped),
    ] {
        // After the five bytes of gRPC's own.
        let message = [&call.body[5..], &unknown].concat();
        connection.call(Call::new(call.method, &message)).await?;
    }
    Ok(None)
}

async fn malformed_messages(session: &Session<'_>) -> Outcome {
    session.opened()?;
    let connection = session.connect().await?;
    for method in [Method::Encrypt, Method::Decrypt] {
        for (what, message) in [
            ("whose field is cut off", &field(1, &[7; 32])[..20]),
            ("without the length of its field", b"\x0a"),
            ("with an endless varint", &[0xff; 12]),
        ] {
            let answer = connection.call(Call::new(method, message)).await;
            refused(&format!("{method:?} of a message {what}"), answer)?;
        }
    }
    // Status has nothing to read: looking at its message or not are both right.
    match connection.call(Call::new(Method::Status, b"\x0a")).await {
        Ok(_) | Err(CallError::Refused { .. }) => {}
        Err(error) => return failed(format!("Status of a message without an end: {error}")),
    }
    session.still_serves(&connection).await?;
    Ok(None)
}
