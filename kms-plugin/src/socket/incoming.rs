use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UnixStream,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::sleep,
};
use tokio_stream::Stream;
use tonic::transport::server::Connected;
use tracing::{error, warn};

use super::{Bound, Peer, Peers, Socket, authority::Front};
use crate::metrics::Metrics;

/// More than all apiservers of a machine ever open: one per configured provider.
const MAX_CONNECTIONS: usize = 64;
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The connections of peers who may talk to us. The socket is removed when this is dropped.
#[derive(Debug)]
pub struct Incoming {
    accepted: mpsc::Receiver<Connection>,
    _bound: Bound,
}

impl Socket {
    /// Begins to accept. Who may not talk to us is turned away before a byte of it is read.
    pub fn incoming(self, peers: Peers, metrics: Arc<Metrics>) -> Incoming {
        let Self { listener, bound } = self;
        let (sender, accepted) = mpsc::channel(1);
        tokio::spawn(async move {
            let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
            tokio::select! {
                () = accept(listener, slots, peers, metrics, &sender) => {}
                () = sender.closed() => {}
            }
        });
        Incoming {
            accepted,
            _bound: bound,
        }
    }
}

async fn accept(
    listener: tokio::net::UnixListener,
    slots: Arc<Semaphore>,
    peers: Peers,
    metrics: Arc<Metrics>,
    sender: &mpsc::Sender<Connection>,
) {
    let mut pause = SHORTEST_PAUSE;
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: trying again at once would only burn the
                // processor.
                error!(%error, "cannot accept a connection; pausing {pause:?}");
                metrics.accept_errors.inc();
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
        };
        pause = SHORTEST_PAUSE;
        let peer = match stream.peer_cred() {
            Ok(credentials) => Peer::from(credentials),
            Err(error) => {
                warn!(%error, "refused a peer whose credentials are unknown");
                continue;
            }
        };
        if !peers.allow(peer) {
            let Peer { uid, gid, pid } = peer;
            warn!(uid, gid, pid, "refused a peer; see socket.allowedUids");
            metrics.refused_peer(uid);
            continue;
        }
        metrics.connections.inc();
        let connection = Connection {
            stream,
            metrics: Arc::clone(&metrics),
            _slot: slot,
        };
        if sender.send(connection).await.is_err() {
            return;
        }
    }
}

impl Stream for Incoming {
    type Item = io::Result<Front<Connection>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.accepted.poll_recv(cx);
        next.map(|next| next.map(|connection| Ok(Front::new(connection))))
    }
}

/// A connection of a peer who may talk to us; counts as one of the possible ones while it lives.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    metrics: Arc<Metrics>,
    _slot: OwnedSemaphorePermit,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
