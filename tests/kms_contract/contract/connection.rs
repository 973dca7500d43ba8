//! gRPC calls whose messages are bytes, over one HTTP/2 connection.

use std::{
    fmt::Display,
    future::poll_fn,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use h2::{SendStream, client::SendRequest};
use http::Request;
use tokio::{net::UnixStream, task::JoinSet, time::timeout};

use super::{
    Target,
    answer::{Refusal, receive},
    call::{Call, CallError},
    message::{Status, Wrapped, plaintext},
};

/// The calls in flight before a plugin said how many it takes (`defaultMaxStreamsClient`,
/// grpc-go's `internal/transport/defaults.go`).
const MAX_STREAMS_AT_FIRST: usize = 100;

/// How many calls [`Connection::calls`] has in flight: no burst.
const IN_FLIGHT: usize = 32;

/// A connection to the plugin. Clones share it; it ends with the last of them.
#[derive(Clone)]
pub(super) struct Connection {
    requests: SendRequest<Bytes>,
    patience: Duration,
    heard: Arc<Mutex<Vec<Status>>>,
}

impl Connection {
    /// Connects as kube-apiserver does. Every Status that is answered differently from those before
    /// is added to `heard`.
    pub(super) async fn open(
        target: &Target,
        heard: &Arc<Mutex<Vec<Status>>>,
    ) -> Result<Self, CallError> {
        let connecting = async {
            let stream = UnixStream::connect(&target.socket).await.map_err(text)?;
            // Thousands of short answers at once are what a burst asks for, and no attack.
            let mut client = h2::client::Builder::new();
            client.data_frame_budget(usize::MAX);
            client.initial_max_send_streams(MAX_STREAMS_AT_FIRST);
            client.handshake(stream).await.map_err(text)
        };
        let call = || "a connection".to_owned();
        let patience = target.patience;
        let (requests, connection) = match timeout(patience, connecting).await {
            Ok(connected) => connected.map_err(|why| CallError::Lost { call: call(), why })?,
            Err(_) => {
                return Err(CallError::Unanswered {
                    call: call(),
                    patience,
                });
            }
        };
        // How it ends shows in the calls.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self {
            requests,
            patience,
            heard: Arc::clone(heard),
        })
    }

    /// A Status, with an empty message.
    pub(super) async fn status(&self) -> Result<Status, CallError> {
        let status = self.read(Call::status(), Status::read).await?;
        let mut heard = self.heard.lock().expect("no holder panics");
        if heard.last() != Some(&status) {
            heard.push(status.clone());
        }
        Ok(status)
    }

    pub(super) async fn encrypt(&self, plaintext: &[u8]) -> Result<Wrapped, CallError> {
        self.read(Call::encrypt(plaintext), Wrapped::read).await
    }

    pub(super) async fn decrypt(&self, wrapped: &Wrapped) -> Result<Vec<u8>, CallError> {
        self.read(Call::decrypt(wrapped), plaintext).await
    }

    async fn read<T>(
        &self,
        call: Call,
        read: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<T, CallError> {
        let method = call.method;
        let message = self.call(call).await?;
        read(&message).map_err(|why| CallError::Lost {
            call: format!("{method:?}"),
            why: format!("the answer is not its message: {why}"),
        })
    }

    /// Many calls, some of them at the same time; the answers come in the order of the calls.
    pub(super) async fn calls(&self, calls: Vec<Call>) -> Vec<Result<Vec<u8>, CallError>> {
        let mut answers = Vec::with_capacity(calls.len());
        for some in calls.chunks(IN_FLIGHT) {
            answers.extend(self.burst(some.to_vec()).await);
        }
        answers
    }

    /// Many calls, all of them at the same time; the answers come in the order of the calls.
    pub(super) async fn burst(&self, calls: Vec<Call>) -> Vec<Result<Vec<u8>, CallError>> {
        let mut flying = JoinSet::new();
        for (at, call) in calls.into_iter().enumerate() {
            let connection = self.clone();
            flying.spawn(async move { (at, connection.call(call).await) });
        }
        let mut answers = flying.join_all().await;
        answers.sort_by_key(|(at, _)| *at);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// Makes one call and returns the message that was answered.
    pub(super) async fn call(&self, call: Call) -> Result<Vec<u8>, CallError> {
        let (method, patience) = (call.method, self.patience);
        let call_of = || format!("{method:?}");
        match timeout(patience, self.exchange(call)).await {
            Ok(Ok(Ok(message))) => Ok(message),
            Ok(Ok(Err(refusal))) => Err(CallError::Refused { method, refusal }),
            Ok(Err(why)) => Err(CallError::Lost {
                call: call_of(),
                why,
            }),
            Err(_) => Err(CallError::Unanswered {
                call: call_of(),
                patience,
            }),
        }
    }

    async fn exchange(&self, call: Call) -> Result<Result<Vec<u8>, Refusal>, String> {
        let mut request = Request::post(format!("http://localhost{}", call.method.path()))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(deadline) = call.deadline {
            request = request.header("grpc-timeout", deadline);
        }
        let request = request.body(()).map_err(text)?;
        let mut requests = self.requests.clone().ready().await.map_err(text)?;
        let (response, stream) = requests.send_request(request, false).map_err(text)?;
        // An answer may come before all was sent.
        let mut receiving = Box::pin(receive(response));
        tokio::select! {
            answer = &mut receiving => answer,
            () = send(stream, call.body, call.frame) => receiving.await,
        }
    }
}

/// Sends a body. Whoever does not want all of it says why in the answer.
async fn send(mut stream: SendStream<Bytes>, mut body: Bytes, frame: usize) {
    while !body.is_empty() {
        let wanted = body.len().min(frame);
        stream.reserve_capacity(wanted);
        while stream.capacity() == 0 {
            let Some(Ok(_)) = poll_fn(|cx| stream.poll_capacity(cx)).await else {
                return;
            };
        }
        let part = body.split_to(wanted.min(stream.capacity()));
        if stream.send_data(part, body.is_empty()).is_err() {
            return;
        }
    }
}

fn text(error: impl Display) -> String {
    error.to_string()
}
