//! A TCP proxy that makes answers late, and counts the requests that wait for theirs.

use std::{
    collections::BTreeSet,
    io,
    net::TcpListener,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, tcp},
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

/// The proxy, on a thread of its own; both are gone when it is dropped.
pub(crate) struct Slow {
    port: u16,
    shared: Arc<Mutex<Shared>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    delay: Duration,
    /// Connections there were.
    connections: usize,
    /// Requests without an answer: connection and HTTP/2 stream.
    open: BTreeSet<(usize, u32)>,
    /// For each request so far, how many were open with it.
    crowds: Vec<usize>,
}

impl Slow {
    /// Passes connections on to a port of loopback, with answers that come so much later.
    pub(crate) fn start(target: u16, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Mutex::new(Shared {
            delay,
            ..Shared::default()
        }));
        let (stop, stopped) = oneshot::channel();
        let for_connections = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let accepting = accept(listener, target, for_connections);
                tokio::select! {
                    ended = accepting => ended.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self {
            port,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on answers come so much later.
    pub(crate) fn delay(&self, delay: Duration) {
        self.shared.lock().unwrap().delay = delay;
    }

    /// For each request since the last call, how many waited for their answers when it was sent, it
    /// among them.
    pub(crate) fn crowds(&self) -> Vec<usize> {
        std::mem::take(&mut self.shared.lock().unwrap().crowds)
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        drop(self.stop.take());
        // If it panicked, its panic is on stderr.
        let _ = self.thread.take().unwrap().join();
    }
}

async fn accept(listener: TcpListener, target: u16, shared: Arc<Mutex<Shared>>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        let server = TcpStream::connect(("127.0.0.1", target)).await?;
        tokio::spawn(connection(client, server, Arc::clone(&shared)));
    }
}

async fn connection(client: TcpStream, server: TcpStream, shared: Arc<Mutex<Shared>>) {
    for end in [&client, &server] {
        end.set_nodelay(true).unwrap();
    }
    let number = {
        let mut shared = shared.lock().unwrap();
        shared.connections += 1;
        shared.connections
    };
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    // One end that is gone takes the other with it.
    tokio::select! {
        () = requests(client_in, server_out, number, &shared) => {}
        () = answers(server_in, client_out, number, &shared) => {}
    }
    let mut shared = shared.lock().unwrap();
    shared.open.retain(|(connection, _)| *connection != number);
}

async fn requests(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    number: usize,
    shared: &Mutex<Shared>,
) {
    let mut frames = Frames::after(PREFACE);
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..count];
        frames.read(bytes, |frame| {
            let mut shared = shared.lock().unwrap();
            match frame.kind {
                HEADERS => {
                    shared.open.insert((number, frame.stream));
                    let crowd = shared.open.len();
                    shared.crowds.push(crowd);
                }
                RST_STREAM => drop(shared.open.remove(&(number, frame.stream))),
                _ => {}
            }
        });
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

async fn answers(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    number: usize,
    shared: &Mutex<Shared>,
) {
    let (late, mut due) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let due = Instant::now() + shared.lock().unwrap().delay;
            if late.send((due, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
    };
    let write = async {
        let mut frames = Frames::after(0);
        while let Some((due, bytes)) = due.recv().await {
            sleep_until(due).await;
            frames.read(&bytes, |frame| {
                let ends = matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM > 0;
                if ends || frame.kind == RST_STREAM {
                    shared.lock().unwrap().open.remove(&(number, frame.stream));
                }
            });
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(read, write);
}

/// The bytes with which a client opens an HTTP/2 connection, before its first frame (RFC 9113, 3.4).
const PREFACE: usize = 24;

/// Types and a flag of frames (RFC 9113, 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const END_STREAM: u8 = 1;

/// The head of a frame (RFC 9113, 4.1).
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
}

/// Finds the heads of frames in one direction of a connection.
struct Frames {
    /// Bytes to pass over before the next head.
    rest: usize,
    head: Vec<u8>,
}

impl Frames {
    fn after(rest: usize) -> Self {
        Self {
            rest,
            head: Vec::new(),
        }
    }

    fn read(&mut self, mut bytes: &[u8], mut found: impl FnMut(&Frame)) {
        while !bytes.is_empty() {
            let passed = self.rest.min(bytes.len());
            self.rest -= passed;
            bytes = &bytes[passed..];
            let taken = (9 - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if let [a, b, c, kind, flags, stream @ ..] = &self.head[..]
                && let Ok(stream) = <[u8; 4]>::try_from(stream)
            {
                self.rest = u32::from_be_bytes([0, *a, *b, *c]) as usize;
                found(&Frame {
                    kind: *kind,
                    flags: *flags,
                    stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
                });
                self.head.clear();
            }
        }
    }
}
