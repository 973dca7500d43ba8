//! What stands between a client and an HTTP server of the tests, and lets it through, or gives trouble.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// It is let through.
    Open,
    /// It is read, and nothing ever comes back.
    BlackHole,
    /// It is let through so much later.
    Slow(Duration),
    /// The server is not asked; this status comes back, with an error as Vault has them.
    Answers(u16),
    /// The server is not asked; this comes back instead of HTTP.
    Garbage,
    /// The server is not asked; a page of somebody else comes back, with status 200.
    Portal,
}

/// Listens on a free port of loopback.
pub(crate) struct Gatehouse {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    gate: Mutex<Gate>,
    connections: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
    target: u16,
}

impl Gatehouse {
    /// In front of a port of loopback.
    pub(crate) fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            gate: Mutex::new(Gate::Open),
            connections: Mutex::default(),
            ended: AtomicBool::new(false),
            target,
        });
        let host = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if host.ended.load(Ordering::Relaxed) {
                    return;
                }
                let kept = stream.try_clone().unwrap();
                host.connections.lock().unwrap().push(kept);
                let guest = Arc::clone(&host);
                // It ends with its connection, whose errors are those of its client.
                thread::spawn(move || drop(guest.receive(stream)));
            }
        });
        Self { address, shared }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What becomes of the requests from now on. Connections that are open are cut.
    pub(crate) fn set(&self, gate: Gate) {
        *self.shared.gate.lock().unwrap() = gate;
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            // It may be gone already.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Gatehouse {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.set(Gate::Open);
        // Wakes the one who listens.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn receive(&self, mut client: TcpStream) -> io::Result<()> {
        let gate = *self.gate.lock().unwrap();
        match gate {
            Gate::Open => self.let_through(client),
            Gate::Slow(delay) => {
                thread::sleep(delay);
                self.let_through(client)
            }
            Gate::BlackHole => io::copy(&mut client, &mut io::sink()).map(drop),
            Gate::Answers(status) => {
                let body = r#"{"errors":["told to fail by the test"]}"#;
                answer(&mut client, status, "application/json", body)
            }
            Gate::Portal => answer(&mut client, 200, "text/html", "<html>please log in</html>"),
            Gate::Garbage => {
                let mut request = [0; 4096];
                let _ = client.read(&mut request)?;
                client.write_all(&[0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x28])
            }
        }
    }

    fn let_through(&self, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(("127.0.0.1", self.target))?;
        let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
        let there = thread::spawn(move || {
            let copied = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
            copied
        });
        let (mut from, mut to) = (server, client);
        let copied = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
        let _ = there.join();
        copied.map(drop)
    }
}

/// Answers every request of a connection.
fn answer(client: &mut TcpStream, status: u16, kind: &str, body: &str) -> io::Result<()> {
    let mut request = [0; 16 * 1024];
    while client.read(&mut request)? > 0 {
        let length = body.len();
        write!(
            client,
            "HTTP/1.1 {status} Told\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
        )?;
    }
    Ok(())
}
