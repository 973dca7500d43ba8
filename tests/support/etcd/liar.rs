//! What stands before an etcd and does not pass everything on as it is.

use std::{
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    thread::{self, JoinHandle},
};

use futures_util::stream;
use http_body_util::{BodyExt as _, Full};
use tokio::sync::oneshot;
use tonic::{
    Request, Response, Status,
    body::Body,
    client,
    codegen::http::{self, uri::PathAndQuery},
    server::{self, NamedService, UnaryService},
    transport::{Channel, Endpoint, Server},
};
use tonic_prost::ProstCodec;
use tower::{Service, ServiceExt};

use super::{
    Etcd,
    wire::{RangeRequest, RangeResponse, ResponseOp, TxnRequest, TxnResponse},
};

/// What it does not pass on as it is.
#[derive(Clone, Copy)]
pub(crate) enum Lie {
    /// Answers to reads are changed.
    Reads(fn(&mut RangeResponse)),
    /// Nothing is written, as if all of it were.
    Forgets,
    /// Nothing is written, as if somebody else had written first: kine's answer where its database
    /// fails.
    Writes,
    /// Every other write has no answer, and is carried out just before it is asked for again.
    Late,
}

/// A gRPC server with a thread of its own, both gone when it is dropped.
pub(crate) struct Liar {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Liar {
    pub(crate) fn start(etcd: &Etcd, lie: Lie) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let etcd = Endpoint::from_shared(etcd.endpoint()).unwrap();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let etcd = etcd.connect_lazy();
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let connections = stream::unfold(listener, async |listener| {
                    let accepted = listener.accept().await;
                    Some((accepted.map(|(connection, _)| connection), listener))
                });
                let serving = Server::builder()
                    .add_service(Kv(Liable {
                        etcd: etcd.clone(),
                        lie,
                        late: Arc::default(),
                    }))
                    .add_service(Maintenance(etcd.clone()))
                    .add_service(Lease(etcd))
                    .serve_with_incoming(connections);
                tokio::select! {
                    served = serving => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        drop(self.stop.take());
        // If it panicked, its panic is on stderr.
        let _ = self.thread.take().unwrap().join();
    }
}

type Answering<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Answer = Answering<Result<http::Response<Body>, Infallible>>;

/// The services of etcd by their names, and what each does with a request.
macro_rules! services {
    ($($service:ident($inner:ty) as $name:literal: $answer:expr),*) => {$(
        #[derive(Clone)]
        struct $service($inner);

        impl NamedService for $service {
            const NAME: &'static str = $name;
        }

        impl Service<http::Request<Body>> for $service {
            type Response = http::Response<Body>;
            type Error = Infallible;
            type Future = Answer;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: http::Request<Body>) -> Answer {
                let answer = $answer;
                Box::pin(answer(self.0.clone(), request))
            }
        }
    )*};
}

services! {
    Kv(Liable) as "etcdserverpb.KV": kv,
    Maintenance(Channel) as "etcdserverpb.Maintenance": pass_on,
    Lease(Channel) as "etcdserverpb.Lease": pass_on
}

/// As it is.
async fn pass_on(
    etcd: Channel,
    request: http::Request<Body>,
) -> Result<http::Response<Body>, Infallible> {
    let answer = etcd.oneshot(request).await;
    Ok(answer.unwrap_or_else(|error| Status::unavailable(error.to_string()).into_http()))
}

async fn kv(
    liable: Liable,
    request: http::Request<Body>,
) -> Result<http::Response<Body>, Infallible> {
    match (request.uri().path(), liable.lie) {
        ("/etcdserverpb.KV/Range", Lie::Reads(_)) => {
            let codec = ProstCodec::<RangeResponse, RangeRequest>::default();
            Ok(server::Grpc::new(codec).unary(liable, request).await)
        }
        ("/etcdserverpb.KV/Txn", Lie::Writes | Lie::Forgets) => {
            let codec = ProstCodec::<TxnResponse, TxnRequest>::default();
            Ok(server::Grpc::new(codec).unary(liable, request).await)
        }
        ("/etcdserverpb.KV/Txn", Lie::Late) => late(liable, request).await,
        _ => pass_on(liable.etcd, request).await,
    }
}

async fn late(
    liable: Liable,
    request: http::Request<Body>,
) -> Result<http::Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let request = http::Request::from_parts(head, Body::new(Full::new(body)));
    let Some(first) = liable.late.lock().unwrap().take() else {
        liable.late.lock().unwrap().replace(request);
        return Ok(Status::unavailable("nobody knows").into_http());
    };
    let answer = pass_on(liable.etcd.clone(), first).await?;
    answer.into_body().collect().await.unwrap();
    pass_on(liable.etcd, request).await
}

/// An etcd and what to do to it.
#[derive(Clone)]
struct Liable {
    etcd: Channel,
    lie: Lie,
    /// The write that is still to be carried out.
    late: Arc<Mutex<Option<http::Request<Body>>>>,
}

impl Liable {
    async fn range(self, request: RangeRequest) -> Result<RangeResponse, Status> {
        let mut etcd = client::Grpc::new(self.etcd);
        let ready = etcd.ready().await;
        ready.map_err(|error| Status::unavailable(error.to_string()))?;
        let answer = etcd
            .unary(
                Request::new(request),
                PathAndQuery::from_static("/etcdserverpb.KV/Range"),
                ProstCodec::default(),
            )
            .await?;
        Ok(answer.into_inner())
    }
}

impl UnaryService<RangeRequest> for Liable {
    type Response = RangeResponse;
    type Future = Answering<Result<Response<RangeResponse>, Status>>;

    fn call(&mut self, request: Request<RangeRequest>) -> Self::Future {
        let liable = self.clone();
        Box::pin(async move {
            let lie = liable.lie;
            let mut answer = liable.range(request.into_inner()).await?;
            if let Lie::Reads(change) = lie {
                change(&mut answer);
            }
            Ok(Response::new(answer))
        })
    }
}

impl UnaryService<TxnRequest> for Liable {
    type Response = TxnResponse;
    type Future = Answering<Result<Response<TxnResponse>, Status>>;

    fn call(&mut self, request: Request<TxnRequest>) -> Self::Future {
        let liable = self.clone();
        Box::pin(async move {
            let key = request.into_inner().compare.remove(0).key;
            let request = RangeRequest {
                key,
                ..RangeRequest::default()
            };
            let forgets = matches!(liable.lie, Lie::Forgets);
            let range = liable.range(request).await?;
            let mut header = range.header.clone();
            if let Some(header) = header.as_mut().filter(|_| forgets) {
                header.revision += 1;
            }
            Ok(Response::new(TxnResponse {
                header,
                succeeded: forgets,
                responses: vec![ResponseOp { range: Some(range) }],
            }))
        })
    }
}
