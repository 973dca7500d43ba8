//! A small client of the Kubernetes API: objects are JSON, names are paths.

use std::{fmt, sync::Arc, time::Duration};

use serde_json::{Value, json};
use ureq::{
    Agent,
    http::{Method, Request},
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};

use super::eventually;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 << 20;

/// A client of one apiserver.
#[derive(Clone)]
pub(crate) struct Kube {
    url: String,
    authorization: String,
    agent: Agent,
}

impl Kube {
    /// A client that trusts the certificates in `ca` and shows `token`.
    pub(crate) fn new(url: &str, token: &str, ca: &[u8]) -> Self {
        Self {
            url: url.to_owned(),
            authorization: format!("Bearer {token}"),
            agent: agent(ca),
        }
    }

    /// POST to a collection. Answers with the object as stored.
    pub(crate) fn create(&self, collection: &str, object: &Value) -> Result<Value, KubeError> {
        self.json(Method::POST, collection, Some(object))
    }

    /// The object at `path`.
    pub(crate) fn get(&self, path: &str) -> Result<Value, KubeError> {
        self.json(Method::GET, path, None)
    }

    /// PUT to the object at `path`. Answers with the object as stored.
    pub(crate) fn update(&self, path: &str, object: &Value) -> Result<Value, KubeError> {
        self.json(Method::PUT, path, Some(object))
    }

    /// DELETE of the object at `path`.
    pub(crate) fn delete(&self, path: &str) -> Result<Value, KubeError> {
        self.json(Method::DELETE, path, None)
    }

    /// The same of an object that has this `uid`.
    pub(crate) fn delete_only(&self, path: &str, uid: &str) -> Result<Value, KubeError> {
        let options = json!({"preconditions": {"uid": uid}});
        self.json(Method::DELETE, path, Some(&options))
    }

    /// All objects of a collection.
    pub(crate) fn list(&self, collection: &str) -> Result<Vec<Value>, KubeError> {
        let mut list = self.get(collection)?;
        match list["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Err(KubeError {
                status: None,
                message: format!("{collection} is no list"),
            }),
        }
    }

    /// The answer to a GET, as text: health and metrics.
    pub(crate) fn text(&self, path: &str) -> Result<String, KubeError> {
        self.request(Method::GET, path, None)
    }

    fn json(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, KubeError> {
        Ok(serde_json::from_str(&self.request(method, path, body)?)?)
    }

    /// Sends a request again while the apiserver asks for patience, as it does for a moment after
    /// a start.
    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<String, KubeError> {
        eventually(&format!("{method} {path} is not put off"), || {
            match self.request_once(method.clone(), path, body) {
                Err(error) if error.status == Some(429) => None,
                answer => Some(answer),
            }
        })
    }

    fn request_once(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<String, KubeError> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", &self.authorization)
            .header("content-type", "application/json")
            .body(body.map(Value::to_string).unwrap_or_default())
            .unwrap();
        let mut answer = self.agent.run(request)?;
        let status = answer.status();
        let text = answer
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER)
            .read_to_string()?;
        if status.is_success() {
            Ok(text)
        } else {
            Err(KubeError {
                status: Some(status.as_u16()),
                message: text,
            })
        }
    }
}

/// Of HTTP, trusting the certificates in `ca`. A status is an answer like any other.
pub(crate) fn agent(ca: &[u8]) -> Agent {
    let roots = parse_pem(ca).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let roots: Vec<Certificate<'static>> = roots.collect();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build();
    config.into()
}

/// The apiserver's refusal, or why there was no answer.
#[derive(Debug)]
pub(crate) struct KubeError {
    /// The HTTP status; nothing if there was no answer.
    pub(crate) status: Option<u16>,
    message: String,
}

impl fmt::Display for KubeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status}: {}", self.message),
            None => write!(f, "no answer: {}", self.message),
        }
    }
}

impl From<ureq::Error> for KubeError {
    fn from(error: ureq::Error) -> Self {
        Self {
            status: None,
            message: error.to_string(),
        }
    }
}

impl From<serde_json::Error> for KubeError {
    fn from(error: serde_json::Error) -> Self {
        Self {
            status: None,
            message: error.to_string(),
        }
    }
}
