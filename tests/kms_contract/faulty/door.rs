//! The connections of a plugin with a fault.

use std::{
    convert::Infallible,
    error::Error,
    os::unix::net::UnixListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use kms_proto::wire::v2::key_management_service_server::KeyManagementServiceServer;
use tokio::{net::UnixStream, sync::Notify, task::JoinSet};
use tonic::{Status, body::Body};
use tower::{ServiceExt, service_fn};

use super::{Fault, State, service::Service};
use crate::contract::{answer::split_message, protobuf::fields};

/// So many may be opened without a Status between them; then one is lost.
const CONNECTIONS: usize = 20;
/// Calls on one connection.
const ENOUGH_CALLS: usize = 300;

/// Serves for ever.
pub(super) async fn serve(listener: UnixListener, state: Arc<State>) {
    let listener = tokio::net::UnixListener::from_std(listener).unwrap();
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        while connections.try_join_next().is_some() {}
        let is_lost = match state.fault {
            Fault::LosesConnections => {
                let opened = state.connections.fetch_add(1, SeqCst) + 1;
                opened > CONNECTIONS && state.connections.swap(0, SeqCst) > 0
            }
            Fault::HangsUpAfterNoise => state.noise.swap(0, SeqCst) > 0,
            _ => false,
        };
        if is_lost {
            continue;
        }
        connections.spawn(connection(stream, Arc::clone(&state)));
    }
}

async fn connection(stream: UnixStream, state: Arc<State>) {
    let service = Service {
        state: Arc::clone(&state),
        since_rotation: Arc::default(),
    };
    let limit = match state.fault {
        Fault::TakesMessagesOfAnySize => usize::MAX,
        _ => 4 << 20,
    };
    let door = Arc::new(Door {
        state: Arc::clone(&state),
        service: KeyManagementServiceServer::new(service).max_decoding_message_size(limit),
        calls: AtomicUsize::new(0),
        hang_up: Notify::new(),
    });
    let answering = Arc::clone(&door);
    let service = service_fn(move |request: Request<_>| {
        let door = Arc::clone(&answering);
        async move { Ok::<_, Infallible>(door.answer(request).await) }
    });
    let server = auto::Builder::new(TokioExecutor::new()).http2_only();
    let serving = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::select! {
        biased;
        () = door.hang_up.notified() => {}
        ended = serving => {
            if ended.is_err_and(|error| is_broken_protocol(&*error)) {
                state.noise.fetch_add(1, SeqCst);
            }
        }
    }
}

/// Whether a connection ended because of what was said on it.
fn is_broken_protocol(error: &(dyn Error + 'static)) -> bool {
    let of_http2 = error.downcast_ref::<h2::Error>();
    of_http2.is_some_and(|error| error.reason().is_some())
        || error.source().is_some_and(is_broken_protocol)
}

/// What every call of one connection passes.
struct Door {
    state: Arc<State>,
    service: KeyManagementServiceServer<Service>,
    calls: AtomicUsize,
    hang_up: Notify,
}

impl Door {
    async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: BodyExt<Data = Bytes> + Unpin,
    {
        let refuse = || Status::invalid_argument("no").into_http();
        let (mut head, mut body) = request.into_parts();
        let mut parts = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                return refuse();
            };
            parts.extend(frame.into_data().ok().filter(|data| !data.is_empty()));
        }
        let mut body = parts.concat();
        let message = fields(split_message(&body).unwrap_or_default());
        let is_message = message.is_ok();
        let has_unknown = message.is_ok_and(|it| it.iter().any(|(number, _)| *number > 4));
        let calls = self.calls.fetch_add(1, SeqCst);
        match self.state.fault {
            Fault::AnotherPackage => {
                let path = head.uri.path().replace("/v2.", "/v2alpha1.");
                head.uri = path.parse().unwrap();
            }
            Fault::RefusesUnknownFields if has_unknown => return refuse(),
            Fault::TakesAnyMessage if !is_message => body = vec![0; 5],
            Fault::NeedsWholeFrames if parts.len() > 1 => return refuse(),
            Fault::NeedsAHostName
                if head
                    .uri
                    .authority()
                    .is_some_and(|it| it.as_str().starts_with('@')) =>
            {
                return refuse();
            }
            Fault::HangsUpAfterADeadline if head.headers.contains_key("grpc-timeout") => {
                self.hang_up.notify_one();
            }
            Fault::HangsUpAtThe300thCall if calls + 1 == ENOUGH_CALLS => {
                self.hang_up.notify_one();
            }
            _ => {}
        }
        let request = Request::from_parts(head, Full::new(Bytes::from(body)));
        let response = self.service.clone().oneshot(request).await;
        let response = response.unwrap_or_else(|never| match never {});
        // A refusal has its status in the head.
        let is_refusal = response.headers().contains_key("grpc-status");
        if is_refusal && self.state.fault == Fault::HangsUpAfterARefusal {
            self.hang_up.notify_one();
        }
        response
    }
}
