//! The front of an accepted connection: makes the `:authority` of older apiservers acceptable.
//!
//! kube-apiserver before 1.32 names the path of the socket as the HTTP/2 `:authority`, as it is until
//! 1.28 and percent-encoded from 1.29 on (kubernetes/kubernetes#126929). Neither is an authority of a URI, so
//! h2 resets every such call before a handler could see it. Nobody here looks at the authority.
//!
//! [`Front`] reads along. Where `:authority` is a literal that is no valid authority, it puts a valid one
//! *of the same length* in its place: an entry of HPACK's dynamic table counts by the lengths of its name and
//! value, so the tables of the peer and of h2 stay in step, and what the peer later calls by its index
//! is in h2's table the replacement. All else passes byte for byte, and h2 judges it as ever. An empty
//! authority passes too: nothing of that length is valid.

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

mod frames;
mod hpack;
mod huffman;
mod rewriter;
mod table;

pub use rewriter::Rewriter;

/// Bytes are not, or not certainly, what they should be.
#[derive(Debug)]
struct Unclear;

/// A connection whose peer is heard through a [`Rewriter`].
pub struct Front<S> {
    stream: S,
    rewriter: Rewriter,
    /// What was rewritten and is still to be read, from `given` on.
    rewritten: Vec<u8>,
    given: usize,
}

impl<S> Front<S> {
    /// A front for a connection of which nothing was read yet.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            rewriter: Rewriter::default(),
            rewritten: Vec::new(),
            given: 0,
        }
    }

    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let rest = &self.rewritten[self.given..];
        let len = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..len]);
        self.given += len;
        if self.given == self.rewritten.len() {
            // Freed, and so wiped: what followed the header block may hold a seed.
            self.rewritten = Vec::new();
            self.given = 0;
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Front<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Front<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // Without room nothing is read, and nothing means the end.
        while buf.remaining() > 0 {
            if !this.rewritten.is_empty() {
                this.give(buf);
                break;
            }
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            let read = &buf.filled()[before..];
            if read.is_empty() {
                this.rewriter.finish(&mut this.rewritten);
                if this.rewritten.is_empty() {
                    break;
                }
                continue;
            }
            let kept = this.rewriter.filter(read, &mut this.rewritten);
            buf.set_filled(before + kept);
            if kept > 0 {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Front<S> {
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

impl<S: Connected> Connected for Front<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

#[cfg(test)]
mod tests;
