//! `/livez`, `/readyz` and `/metrics`, on loopback.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::CONTENT_TYPE,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore, time::sleep};
use tracing::{debug, warn};

use crate::{
    keyring::{Keyring, SharedKeyring},
    metrics::Metrics,
    state::State,
};

const MAX_CONNECTIONS: usize = 16;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);
const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers probes and scrapes; never returns.
pub async fn serve(
    listener: TcpListener,
    keyring: Arc<SharedKeyring>,
    state: Arc<State>,
    metrics: Arc<Metrics>,
) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "cannot accept an HTTP connection");
                sleep(PAUSE).await;
                continue;
            }
        };
        let (state, metrics) = (Arc::clone(&state), Arc::clone(&metrics));
        let keyring = Arc::clone(&keyring);
        tokio::spawn(async move {
            let _slot = slot;
            let service = service_fn(|request: Request<Incoming>| {
                let path = request.uri().path();
                let answer = answer(request.method(), path, &keyring.load(), &state, &metrics);
                async { Ok::<_, Infallible>(answer) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                debug!(%error, "an HTTP connection failed");
            }
        });
    }
}

fn answer(
    method: &Method,
    path: &str,
    keyring: &Keyring,
    state: &State,
    metrics: &Metrics,
) -> Response<Full<Bytes>> {
    if ![Method::GET, Method::HEAD].contains(method) {
        return response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n");
    }
    match path {
        "/livez" => response(StatusCode::OK, TEXT, "ok\n"),
        "/readyz" if !state.is_ready() => {
            response(StatusCode::SERVICE_UNAVAILABLE, TEXT, "stopping\n")
        }
        "/readyz" => match keyring.primary().kek.key_id() {
            Ok(_) => response(StatusCode::OK, TEXT, "ok\n"),
            Err(why) => response(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
        },
        "/metrics" => match metrics.encode(keyring) {
            Ok(text) => response(StatusCode::OK, OPEN_METRICS, text),
            Err(_) => response(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "no metrics\n"),
        },
        _ => response(StatusCode::NOT_FOUND, TEXT, "/livez, /readyz or /metrics\n"),
    }
}

fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static(content_type),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        keyring::Member,
        root::local::{KeyMaterial, Local},
    };

    fn keyring() -> Keyring {
        let kek = Local::new(&KeyMaterial::new(Box::new([1; 32])), "test", 1);
        Keyring::new(vec![Member::local("one".to_owned(), 1, Box::new(kek))]).unwrap()
    }

    #[test]
    fn readiness_ends_where_draining_begins_and_liveness_does_not() {
        let (state, metrics) = (State::new(), Metrics::new());
        let status = |path| answer(&Method::GET, path, &keyring(), &state, &metrics).status();
        assert_eq!(status("/readyz"), StatusCode::OK);
        state.drain();
        assert_eq!(status("/readyz"), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status("/livez"), StatusCode::OK);
        assert_eq!(status("/"), StatusCode::NOT_FOUND);
        assert_eq!(
            answer(&Method::POST, "/livez", &keyring(), &state, &metrics).status(),
            StatusCode::METHOD_NOT_ALLOWED
        );
    }
}
