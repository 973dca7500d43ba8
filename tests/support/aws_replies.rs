//! An HTTP server that replies as AWS documents it, and passes on to moto what a test does not answer itself.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use serde_json::{Value, json};
use ureq::Agent;

/// Listens on a free port of loopback until it is dropped.
pub(crate) struct AwsReplies {
    port: u16,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

/// What a client sent.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// By their names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// What it gets.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) header: Option<(&'static str, &'static str)>,
    pub(crate) body: String,
}

/// Decides on a request: `None` passes it on.
type Answer = dyn FnMut(&Request) -> Option<Reply> + Send;

struct Shared {
    behind: Option<String>,
    answer: Mutex<Box<Answer>>,
    seen: Mutex<Vec<Request>>,
    stopped: AtomicBool,
}

impl Request {
    /// The action: of KMS by its header, of STS by its form; else the path.
    pub(crate) fn action(&self) -> &str {
        let target = self.headers.get("x-amz-target");
        let form = || {
            self.body
                .split('&')
                .find_map(|pair| pair.strip_prefix("Action="))
        };
        target
            .and_then(|target| target.strip_prefix("TrentService."))
            .or_else(form)
            .unwrap_or(&self.path)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The access key that signed it.
    pub(crate) fn access_key(&self) -> Option<&str> {
        let (_, rest) = self
            .headers
            .get("authorization")?
            .split_once("Credential=")?;
        rest.split('/').next()
    }
}

impl Reply {
    pub(crate) fn text(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            header: None,
            body: body.into(),
        }
    }

    pub(crate) fn json(body: &Value) -> Self {
        Self::text(200, body.to_string())
    }

    /// An error of the JSON protocol.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::text(
            status,
            json!({"__type": code, "message": message}).to_string(),
        )
    }

    /// An error of the query protocol, which STS speaks.
    pub(crate) fn sts_error(status: u16, code: &str, message: &str) -> Self {
        Self::text(
            status,
            format!(
                r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>"#
            ),
        )
    }
}

impl AwsReplies {
    /// Before the server at `behind`; without one, what no test answers gets status 404.
    pub(crate) fn start(behind: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            behind,
            answer: Mutex::new(Box::new(|_| None)),
            seen: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let for_each = shared.clone();
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                if for_each.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let shared = for_each.clone();
                thread::spawn(move || serve(stream.unwrap(), &shared));
            }
        });
        Self {
            port,
            shared,
            accepting: Some(accepting),
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on it decides so.
    pub(crate) fn answer(&self, answer: impl FnMut(&Request) -> Option<Reply> + Send + 'static) {
        *self.shared.answer.lock().unwrap() = Box::new(answer);
    }

    /// From now on every request gets this.
    pub(crate) fn always(&self, reply: Reply) {
        self.answer(move |_| Some(reply.clone()));
    }

    /// What came since this was asked last.
    pub(crate) fn take_seen(&self) -> Vec<Request> {
        std::mem::take(&mut *self.shared.seen.lock().unwrap())
    }
}

impl Drop for AwsReplies {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// One request, one reply. A client that goes away half-way is none of the test's business.
fn serve(stream: TcpStream, shared: &Shared) {
    let Some(request) = read(&stream) else { return };
    shared.seen.lock().unwrap().push(request.clone());
    let own = (shared.answer.lock().unwrap())(&request);
    let reply = own.unwrap_or_else(|| match &shared.behind {
        Some(behind) => pass_on(behind, &request),
        None => Reply::text(404, ""),
    });
    let Reply {
        status,
        header,
        body,
    } = reply;
    let (name, value) = header.unwrap_or(("server", "test"));
    let _ = write!(
        &stream,
        "HTTP/1.1 {status} -\r\n{name}: {value}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        Some(line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    while let Some((name, value)) = line()?.split_once(':') {
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(Ok(0), |len| len.parse());
    let mut body = vec![0; length.ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        method,
        path,
        headers,
        body: String::from_utf8(body).ok()?,
    })
}

/// What the server behind replies to the same request.
pub(crate) fn pass_on(behind: &str, request: &Request) -> Reply {
    const CARRIED: [&str; 4] = [
        "x-amz-target",
        "content-type",
        "authorization",
        "x-amz-date",
    ];
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let mut passed = agent.post(format!("{behind}{}", request.path));
    for name in CARRIED {
        if let Some(value) = request.headers.get(name) {
            passed = passed.header(name, value);
        }
    }
    let mut answer = passed.send(&request.body).unwrap();
    let body = answer.body_mut().read_to_string().unwrap();
    Reply::text(answer.status().as_u16(), body)
}
