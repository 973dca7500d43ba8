//! A TCP proxy that loses what it is told to lose: the cut connections of the tests.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::watch,
    task::JoinHandle,
};

/// What becomes of the bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They pass.
    Pass,
    /// What the client sends is lost.
    LoseRequests,
    /// What the server sends is lost.
    LoseAnswers,
}

/// Passes connections to a port of loopback on. Must live in a runtime.
pub(crate) struct Proxy {
    port: u16,
    accepting: JoinHandle<()>,
    shared: Arc<Shared>,
}

struct Shared {
    mode: watch::Sender<Mode>,
    cut: watch::Sender<()>,
    lost: AtomicUsize,
}

impl Proxy {
    pub(crate) async fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            mode: watch::Sender::new(Mode::Pass),
            cut: watch::Sender::new(()),
            lost: AtomicUsize::new(0),
        });
        let for_each = shared.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                tokio::spawn(connection(client, server, for_each.clone()));
            }
        });
        Self {
            port,
            accepting,
            shared,
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
    }

    /// Waits until something was lost.
    pub(crate) async fn has_lost(&self) {
        while self.shared.lost.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Closes all connections; new ones pass.
    pub(crate) fn cut(&self) {
        self.set(Mode::Pass);
        self.shared.cut.send_replace(());
    }

    /// Closes all connections and takes no more.
    pub(crate) fn stop(self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn connection(client: TcpStream, server: TcpStream, shared: Arc<Shared>) {
    let mut cut = shared.cut.subscribe();
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    tokio::select! {
        () = pass(client_in, server_out, Mode::LoseRequests, &shared) => {}
        () = pass(server_in, client_out, Mode::LoseAnswers, &shared) => {}
        _ = cut.changed() => {}
    }
}

async fn pass(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    losing: Mode,
    shared: &Shared,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        if *shared.mode.borrow() == losing {
            shared.lost.fetch_add(count, Ordering::Relaxed);
        } else if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
