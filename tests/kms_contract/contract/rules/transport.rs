//! What a socket has to bear. None of it is sent by a sound kube-apiserver; all of it is sent by
//! something one day.

use crate::contract::{
    Outcome, Rule,
    call::{Call, CallError, Method},
    failed,
    frame::{
        Authority, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, MAX_FRAME_LEN, PREFACE,
        RST_STREAM, SETTINGS, frame, head,
    },
    raw::Raw,
    session::Session,
};

/// Above this no client of Kubernetes takes a message, nor does a Go server by default.
const MAX_MESSAGE_LEN: usize = 4 << 20;

/// Some more would look like an attack.
const FRAMES: usize = 64;

const CANCEL: u32 = 8;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "split-frames",
        asks: "a message that comes in many small frames is read like any other",
        source: "RFC 9113, section 8.1; gRPC over HTTP/2 (messages are not aligned to frames)",
        check: |session| Box::pin(split_frames(session)),
    },
    Rule {
        name: "oversized-messages",
        asks: "a message of more than 4 MiB, or one that claims to be, is an error, and the plugin goes on",
        source: "grpc-go: server.go, defaultServerMaxReceiveMessageSize",
        check: |session| Box::pin(oversized_messages(session)),
    },
    Rule {
        name: "oversized-frames",
        asks: "a frame or a header block longer than announced is no harm to other connections",
        source: "RFC 9113, sections 4.2 and 10.5",
        check: |session| Box::pin(oversized_frames(session)),
    },
    Rule {
        name: "noise",
        asks: "what is no HTTP/2, or breaks off, is no harm to other connections",
        source: "RFC 9113, sections 3.4 and 5.4.1",
        check: |session| Box::pin(noise(session)),
    },
    Rule {
        name: "abandoned-calls",
        asks: "a call that its caller gave up, by an expired grpc-timeout or a reset, is no harm to others on its connection",
        source: "k8s.io/apiserver: kmsv2/grpc_service.go (every call has a timeout)",
        check: |session| Box::pin(abandoned_calls(session)),
    },
];

async fn split_frames(session: &Session<'_>) -> Outcome {
    let sample = session.opened()?;
    let connection = session.connect().await?;
    for mut call in [
        Call::status(),
        Call::encrypt(&sample.plaintext),
        Call::decrypt(&sample.wrapped),
    ] {
        call.frame = call.body.len().div_ceil(FRAMES);
        connection.call(call).await?;
    }
    Ok(None)
}

async fn oversized_messages(session: &Session<'_>) -> Outcome {
    session.status()?;
    let held = session.connect().await?;
    for len in [MAX_MESSAGE_LEN, 4 * MAX_MESSAGE_LEN] {
        let call = Call::encrypt(&vec![7; len]);
        if session.connect().await?.call(call).await.is_ok() {
            return failed(format!(
                "Encrypt of {len} bytes was answered instead of refused"
            ));
        }
        session.still_serves(&held).await?;
    }
    for method in [Method::Encrypt, Method::Decrypt] {
        let mut call = Call::new(method, b"");
        call.body = b"\0\xff\xff\xff\xff short".as_slice().into();
        if session.connect().await?.call(call).await.is_ok() {
            return failed(format!(
                "{method:?} of a message that is not all there was answered"
            ));
        }
        session.still_serves(&held).await?;
    }
    Ok(None)
}

async fn oversized_frames(session: &Session<'_>) -> Outcome {
    session.status()?;
    let head = head(Method::Encrypt, &Authority::Literal(b"localhost"));
    let opening = frame(HEADERS, END_HEADERS, 1, &head);
    let frame_of = |len| [opening.clone(), frame(DATA, END_STREAM, 1, &vec![0; len])].concat();
    let mut endless = frame(HEADERS, 0, 1, &head);
    for _ in 0..64 {
        // A literal header of most of a frame, again and again.
        let literal = [b"\x00\x01x\x7f\x80\x7e".to_vec(), vec![b'a'; 16_255]].concat();
        endless.extend(frame(CONTINUATION, 0, 1, &literal));
    }
    endless.extend(frame(CONTINUATION, END_HEADERS, 1, b""));
    bear(
        session,
        [
            frame_of(MAX_FRAME_LEN + 1),
            frame_of((1 << 24) - 1),
            endless,
        ],
    )
    .await
}

async fn noise(session: &Session<'_>) -> Outcome {
    session.status()?;
    let head = head(Method::Encrypt, &Authority::Literal(b"localhost"));
    let opening = frame(HEADERS, END_HEADERS, 1, &head);
    bear(
        session,
        [
            frame(99, 0, 0, b"a frame of no known kind, and then the end"),
            frame(SETTINGS, 0, 0, b"five!"),
            frame(DATA, 0, 5, b"of a stream that was never opened"),
            frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff\xff"),
            frame(HEADERS, END_HEADERS, 2, b""),
            opening[..opening.len() / 2].to_vec(),
            [opening.clone(), frame(DATA, 0, 1, b"\0\0\0\0\x20half")].concat(),
        ],
    )
    .await?;
    for bytes in [
        &b""[..],
        b"GET / HTTP/1.1\r\n\r\n",
        &PREFACE[..9],
        &[0; 5000],
        &[0xff; 5000],
    ] {
        let held = session.connect().await?;
        Raw::open(session.target)
            .await
            .or_else(failed)?
            .say(bytes)
            .await;
        session.still_serves(&held).await?;
    }
    Ok(None)
}

/// Says each of these on a connection of its own that then is closed.
async fn bear(session: &Session<'_>, sayings: impl IntoIterator<Item = Vec<u8>>) -> Outcome {
    for saying in sayings {
        let held = session.connect().await?;
        let mut raw = Raw::open(session.target).await.or_else(failed)?;
        let saying = [PREFACE, &frame(SETTINGS, 0, 0, b""), &saying].concat();
        raw.say(&saying).await;
        session.still_serves(&held).await?;
        drop(raw);
        session.still_serves(&held).await?;
    }
    Ok(None)
}

async fn abandoned_calls(session: &Session<'_>) -> Outcome {
    let sample = session.opened()?;
    let connection = session.connect().await?;
    let mut expired = Call::decrypt(&sample.wrapped);
    expired.deadline = Some("1n");
    for answer in connection.calls(vec![expired; 16]).await {
        // An answer, a refusal and a reset are all right: nobody waits for it.
        if let Err(error @ CallError::Unanswered { .. }) = answer {
            return failed(format!("with an expired deadline, {error}"));
        }
    }
    sample.opens(&connection).await?;

    let mut raw = Raw::open(session.target).await.or_else(failed)?;
    let mut resets = [PREFACE, &frame(SETTINGS, 0, 0, b"")].concat();
    let head = head(Method::Decrypt, &Authority::Literal(b"localhost"));
    let body = Call::decrypt(&sample.wrapped).body;
    for stream in (1..20).step_by(2) {
        resets.extend(frame(HEADERS, END_HEADERS, stream, &head));
        resets.extend(frame(DATA, END_STREAM, stream, &body));
        resets.extend(frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()));
    }
    raw.say(&resets).await;
    sample.opens(&connection).await?;
    session.still_serves(&connection).await?;
    Ok(None)
}
