//! The front before a real h2, which judges what comes through it.

use std::{
    collections::BTreeMap,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::RecvStream;
use http::{HeaderMap, Request, Response};
use proptest::{collection::vec, prelude::*};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex},
    net::UnixStream,
    task::JoinSet,
};

use super::*;

pub(super) mod conversation;
pub(super) mod peer;

use conversation::{AUTHORITIES, Call, Conversation};
use peer::{Choices, Fields, HEADERS};

const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const PROTOCOL_ERROR: u32 = 1;

/// A stream of which is read in sips of these lengths, over and over.
struct Sips {
    stream: DuplexStream,
    lengths: Vec<u8>,
    taken: usize,
}

impl AsyncRead for Sips {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let len = match this.lengths.get(this.taken % this.lengths.len().max(1)) {
            None | Some(0) => buf.remaining(),
            Some(len) => buf.remaining().min(usize::from(*len)),
        };
        let mut sip = ReadBuf::new(buf.initialize_unfilled_to(len));
        ready!(Pin::new(&mut this.stream).poll_read(cx, &mut sip))?;
        let len = sip.filled().len();
        buf.advance(len);
        this.taken += 1;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Sips {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What became of a call.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Heard(Call),
    Reset(u32),
}

/// Says it all to h2 through a front, and waits until every call is answered or reset.
async fn outcomes(conversation: &Conversation, lengths: &[u8]) -> BTreeMap<u32, Outcome> {
    let (mut client, server) = duplex(1 << 20);
    let server = tokio::spawn(serve(Front::new(Sips {
        stream: server,
        lengths: lengths.to_vec(),
        taken: 0,
    })));
    client.write_all(&conversation.bytes).await.unwrap();
    let mut outcomes = BTreeMap::new();
    let mut open: Vec<_> = conversation
        .calls
        .iter()
        .map(|(stream, _)| *stream)
        .collect();
    while !open.is_empty() {
        let mut head = [0; 9];
        client.read_exact(&mut head).await.unwrap();
        let [_, l0, l1, kind, _, stream @ ..] = head;
        let mut payload = vec![0; usize::from(u16::from_be_bytes([l0, l1]))];
        client.read_exact(&mut payload).await.unwrap();
        let stream = u32::from_be_bytes(stream);
        match kind {
            HEADERS => open.retain(|id| *id != stream),
            RST_STREAM => {
                open.retain(|id| *id != stream);
                let reason = u32::from_be_bytes(payload.try_into().unwrap());
                outcomes.insert(stream, Outcome::Reset(reason));
            }
            GOAWAY => panic!("{:?}", String::from_utf8_lossy(&payload)),
            _ => {}
        }
    }
    drop(client);
    let heard = server.await.unwrap();
    outcomes.extend(
        heard
            .into_iter()
            .map(|(id, call)| (id, Outcome::Heard(call))),
    );
    outcomes
}

/// Answers every call; gives back what was heard.
async fn serve(stream: Front<Sips>) -> BTreeMap<u32, Call> {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut calls = JoinSet::new();
    while let Some(accepted) = connection.accept().await {
        let Ok((request, mut respond)) = accepted else {
            // The client hung up.
            break;
        };
        calls.spawn(async move {
            let id = respond.stream_id().as_u32();
            let call = hear(request).await;
            respond.send_response(Response::new(()), true).unwrap();
            (id, call)
        });
    }
    calls.join_all().await.into_iter().collect()
}

async fn hear(request: Request<RecvStream>) -> Call {
    let (parts, mut stream) = request.into_parts();
    assert_eq!(parts.method, "POST");
    assert_eq!(parts.uri.scheme_str(), Some("http"));
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data: Bytes = data.unwrap();
        stream.flow_control().release_capacity(data.len()).unwrap();
        body.extend_from_slice(&data);
    }
    let trailers = stream.trailers().await.unwrap().unwrap_or_default();
    Call {
        authority: parts.uri.authority().unwrap().as_str().into(),
        path: parts.uri.path().into(),
        fields: fields(&parts.headers),
        body,
        trailers: fields(&trailers),
    }
}

fn fields(headers: &HeaderMap) -> Fields {
    let fields = headers.iter();
    fields
        .map(|(name, value)| (name.as_str().into(), value.as_bytes().to_vec()))
        .collect()
}

/// What h2 should make of a call behind a front.
fn expected(call: &Call) -> Outcome {
    if call.authority.is_empty() {
        return Outcome::Reset(PROTOCOL_ERROR);
    }
    let mut call = call.clone();
    if http::uri::Authority::try_from(&*call.authority).is_err() {
        let is_unreserved = |byte: &u8| byte.is_ascii_alphanumeric() || b"._~".contains(byte);
        for byte in call
            .authority
            .iter_mut()
            .filter(|byte| !is_unreserved(byte))
        {
            *byte = b'-';
        }
    }
    Outcome::Heard(call)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

#[tokio::test]
async fn what_is_written_and_who_the_peer_is_passes() {
    let (ours, mut peer) = UnixStream::pair().unwrap();
    let mut front = Front::new(ours);
    assert!(front.is_write_vectored());
    let texts = [IoSlice::new(b"in "), IoSlice::new(b"two parts")];
    assert_eq!(front.write_vectored(&texts).await.unwrap(), 12);
    front.write_all(b", then the end").await.unwrap();
    front.flush().await.unwrap();
    front.shutdown().await.unwrap();
    let mut heard = String::new();
    peer.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "in two parts, then the end");
    let uid = front.connect_info().peer_cred.unwrap().uid();
    assert_eq!(uid, rustix::process::geteuid().as_raw());
}

#[tokio::test]
async fn the_end_of_a_peer_comes_after_all_it_said() {
    let (ours, mut peer) = duplex(64);
    let mut front = Front::new(ours);
    // A block without an end.
    let block = peer::frame(HEADERS, 0, 1, b"\x41\x01/");
    peer.write_all(&[peer::PREFACE, &block].concat())
        .await
        .unwrap();
    let mut heard = [0; 24];
    front.read_exact(&mut heard).await.unwrap();
    assert_eq!(front.read(&mut []).await.unwrap(), 0, "no room, no end");
    drop(peer);
    let mut rest = Vec::new();
    front.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, block);
}

proptest! {
    #[test]
    fn h2_hears_every_call_as_it_was_meant_but_for_the_authority(
        choices in vec(any::<u8>(), 0..300),
        lengths in vec(any::<u8>(), 0..8),
    ) {
        let conversation = Conversation::new(&AUTHORITIES, &mut Choices::new(&choices));
        let outcomes = runtime().block_on(outcomes(&conversation, &lengths));
        let calls = conversation.calls.iter();
        let expected = calls.map(|(id, call)| (*id, expected(call))).collect();
        prop_assert_eq!(outcomes, expected);
    }
}
