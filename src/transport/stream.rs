//! The byte stream under a WebSocket. If hyper's connection is plain TCP, other tasks can write to it directly.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::io::{self, IoSlice};
#[cfg(unix)]
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use rustc_hash::FxHasher;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::outbox::{Direct, RuntimeId};

pub(super) enum Stream {
    Tcp {
        read: OwnedReadHalf,
        write: Arc<TcpWriter>,
    },
    /// Any other connection, such as TLS, HTTP/2 or an in-memory pipe, which has a single owner.
    Other(TokioIo<Upgraded>),
}

/// The write half. Dropping it does not close the connection before the read half is dropped.
pub(super) struct TcpWriter {
    half: Option<OwnedWriteHalf>,
    /// The runtime that serves the connection.
    runtime: Handle,
}

impl Stream {
    /// Takes a connection over from hyper, together with the bytes that hyper has already read.
    pub(super) fn new(upgraded: Upgraded) -> (Self, Bytes) {
        let Ok(runtime) = Handle::try_current() else {
            return (Self::Other(TokioIo::new(upgraded)), Bytes::new());
        };
        // `axum::serve` uses the first type; a server for HTTP/1 only uses the second.
        let found = match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(parts) => Ok((parts.io, parts.read_buf)),
            Err(upgraded) => upgraded
                .downcast::<TokioIo<TcpStream>>()
                .map(|parts| (parts.io, parts.read_buf)),
        };
        match found {
            Ok((io, read_already)) => (Self::tcp(io.into_inner(), runtime), read_already),
            Err(upgraded) => (Self::Other(TokioIo::new(upgraded)), Bytes::new()),
        }
    }

    fn tcp(stream: TcpStream, runtime: Handle) -> Self {
        // Nagle's algorithm would delay consecutive small messages until the client has acknowledged the first. An
        // error is ignored, because the next read of a closed stream reports it.
        let _ = stream.set_nodelay(true);
        let (read, write) = stream.into_split();
        let write = Arc::new(TcpWriter {
            half: Some(write),
            runtime,
        });
        Self::Tcp { read, write }
    }

    /// Returns the writer through which other tasks may write while the owner does not.
    pub(super) fn direct(&self) -> Option<Arc<dyn Direct>> {
        match self {
            Self::Tcp { write, .. } => Some(Arc::clone(write) as Arc<dyn Direct>),
            Self::Other(_) => None,
        }
    }
}

/// A TCP stream that can be written to even if the system has not reported it as ready. It does that only once a third
/// of its buffer is free, which may be a megabyte and take a slow client minutes.
#[cfg(unix)]
pub(super) struct Unready(std::net::TcpStream);

#[cfg(unix)]
impl Stream {
    pub(super) fn unready(&self) -> Option<Unready> {
        let Self::Tcp { write, .. } = self else {
            return None;
        };
        // The duplicated descriptor refers to the same socket and is non-blocking as well.
        let socket = write.half().ok()?.as_ref().as_fd().try_clone_to_owned();
        Some(Unready(socket.ok()?.into()))
    }
}

#[cfg(unix)]
impl AsyncWrite for Unready {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match io::Write::write(&mut &self.0, buf) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            result => Poll::Ready(result),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(not(unix))]
impl Stream {
    #[expect(clippy::unused_self, reason = "only unix has a way")]
    pub(super) fn unready(&self) -> Option<tokio::io::Sink> {
        None
    }
}

impl TcpWriter {
    fn half(&self) -> io::Result<&OwnedWriteHalf> {
        self.half
            .as_ref()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Retries until bytes have been written or the socket is not ready.
    fn poll(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&OwnedWriteHalf) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let half = self.half()?;
        loop {
            match write(half) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(half.as_ref().poll_write_ready(cx))?;
                }
                result => return Poll::Ready(result),
            }
        }
    }
}

impl Direct for TcpWriter {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.half()?.try_write(bytes)
    }

    fn runtime(&self) -> RuntimeId {
        let mut hasher = FxHasher::default();
        self.runtime.id().hash(&mut hasher);
        RuntimeId(hasher.finish())
    }

    fn run(&self, work: Box<dyn FnOnce() + Send>) {
        self.runtime.spawn(async move { work() });
        if self.runtime.runtime_flavor() == RuntimeFlavor::MultiThread {
            // The task woken last on a thread waits for that thread and is not stolen by others; the empty task takes
            // that position.
            self.runtime.spawn(async {});
        }
    }
}

impl Drop for TcpWriter {
    fn drop(&mut self) {
        if let Some(half) = self.half.take() {
            // Otherwise dropping the half would shut the connection down with an extra system call just before it is
            // closed.
            half.forget();
        }
    }
}

impl fmt::Debug for TcpWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpWriter").finish_non_exhaustive()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp { read, .. } => Pin::new(read).poll_read(cx, buf),
            Self::Other(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp { write, .. } => write.poll(cx, |half| half.try_write(buf)),
            Self::Other(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp { write, .. } => write.poll(cx, |half| half.try_write_vectored(bufs)),
            Self::Other(io) => Pin::new(io).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp { .. } => true,
            Self::Other(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp { .. } => Poll::Ready(Ok(())),
            Self::Other(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // There is no other reference at this point, because the outbox has been closed before.
            Self::Tcp { write, .. } => {
                match Arc::get_mut(write).and_then(|write| write.half.as_mut()) {
                    Some(half) => Pin::new(half).poll_shutdown(cx),
                    None => Poll::Ready(Ok(())),
                }
            }
            Self::Other(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn small_messages_do_not_wait_for_each_other() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let (accepted, _) = accepted.unwrap();
        assert!(!accepted.nodelay().unwrap());
        let Stream::Tcp { read, .. } = Stream::tcp(accepted, Handle::current()) else {
            panic!("it is TCP");
        };
        assert!(read.as_ref().nodelay().unwrap());
        drop(client);
    }
}
