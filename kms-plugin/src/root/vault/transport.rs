//! The way to the servers: HTTP, TLS, and which one is asked.

use std::{
    error::Error as StdError,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request,
    body::Bytes,
    header::{CONTENT_TYPE, HeaderValue},
};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    answer::Answer,
    config::{Address, ApiPath, Config},
};
use crate::root::remote::RootError;

mod tls;

use tls::Files;

/// The longest answer that is read, in bytes: more than the properties of a key of 10,000 versions.
const MAX_ANSWER: usize = 1024 * 1024;
/// Longer than any question: a buffer that grew would leave copies behind.
const BODY_LEN: usize = 24 * 1024;

/// A body of JSON. Wiped when dropped.
pub(super) type Body = Bytes;
type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Body>>;

/// Writes a body.
pub(super) fn body(value: &impl Serialize) -> Body {
    let mut text = Zeroizing::new(Vec::with_capacity(BODY_LEN));
    serde_json::to_writer(&mut *text, value).expect("texts and numbers are JSON");
    Bytes::from_owner(text)
}

/// What one server after the other is asked.
pub(super) struct Question<'a> {
    pub(super) method: Method,
    /// Below `/v1/`.
    pub(super) path: &'a str,
    pub(super) namespace: Option<&'a ApiPath>,
    pub(super) token: Option<&'a HeaderValue>,
    pub(super) body: Option<Body>,
}

/// The servers of one cluster.
pub(super) struct Transport {
    addresses: Vec<Address>,
    /// Which of them to ask first.
    first: AtomicUsize,
    files: Files,
    /// How long one of them may take.
    limit: Duration,
    /// The client, and a digest of the files that it was made from.
    client: Mutex<Option<([u8; 32], HttpClient)>>,
}

impl Transport {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            addresses: config.addresses.clone(),
            first: AtomicUsize::new(0),
            files: Files::new(config),
            limit: config.time_limit,
            client: Mutex::new(None),
        }
    }

    /// Asks until a server answers, each of them once.
    ///
    /// # Errors
    /// None can, and why each cannot.
    pub(super) async fn ask(&self, question: &Question<'_>) -> Result<Answer, RootError> {
        let client = self.client()?;
        let count = self.addresses.len();
        let first = self.first.load(Ordering::Relaxed) % count;
        let mut reasons = Vec::new();
        for index in (first..first + count).map(|index| index % count) {
            // Before the answer, for the caller may lose patience: its next question goes to another server.
            self.first.store(index + 1, Ordering::Relaxed);
            let address = &self.addresses[index];
            let answer = tokio::time::timeout(self.limit, ask(&client, address, question)).await;
            match answer.unwrap_or_else(|_| Err(format!("no answer within {:?}", self.limit))) {
                Ok(answer) => {
                    self.first.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(reason) => reasons.push(format!("{address}: {reason}")),
            }
        }
        Err(RootError::unreachable(reasons.join("; ")))
    }

    /// A client for the files as they are now.
    fn client(&self) -> Result<HttpClient, RootError> {
        let pem = self.files.read()?;
        let digest = pem.digest();
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, client)) = &*client
            && *of == digest
        {
            return Ok(client.clone());
        }
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(self.files.config(&pem)?)
            .https_or_http()
            .enable_http1()
            .build();
        let made = Client::builder(TokioExecutor::new())
            // Minutes pass between calls: a kept connection is one that a server, or something on the way, may
            // have dropped without a word.
            .pool_max_idle_per_host(0)
            .build(connector);
        *client = Some((digest, HttpClient::clone(&made)));
        Ok(made)
    }
}

async fn ask(
    client: &HttpClient,
    address: &Address,
    question: &Question<'_>,
) -> Result<Answer, String> {
    let Question {
        method,
        path,
        namespace,
        token,
        body,
    } = question;
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{address}/v1/{path}"))
        .header(CONTENT_TYPE, "application/json")
        // A server that is set to wants it, against forged requests.
        .header("x-vault-request", "true");
    if let Some(namespace) = namespace {
        request = request.header("x-vault-namespace", namespace.as_str());
    }
    if let Some(token) = token {
        request = request.header("x-vault-token", HeaderValue::clone(token));
    }
    let request = request
        .body(Full::new(body.clone().unwrap_or_default()))
        .map_err(|error| error.to_string())?;
    let response = client
        .request(request)
        .await
        .map_err(|error| root_cause(&error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER)
        .collect()
        .await
        .map_err(|error| format!("the answer breaks off: {}", root_cause(&*error)))?;
    Answer::of(status, Zeroizing::new(body.to_bytes().into()))
}

/// The innermost cause: the outer ones only say that a request failed.
fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests;
