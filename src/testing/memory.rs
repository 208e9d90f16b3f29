//! A client of Engine.IO that is connected in memory.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum_core::body::Body;
use futures_core::Stream;
use http::{Request, Response};
use tower::Service;
use tower::util::ServiceExt;

use crate::transport::{ClientEnd, MemoryLink, MemoryOffer, MemoryPacket, NotSent};

/// A client of Engine.IO in the same process, connected to a server without bytes on a wire.
///
/// It sends and receives whole packets, and does nothing by itself: it answers no ping and joins no namespace. A
/// connection needs less than a kilobyte in both halves, no descriptor and no task of the client, so that one process
/// can hold a million of them. To the server it is a WebSocket: limits, timeouts and ends are the same, and up to
/// 64 KiB are queued in each direction. A test of an application wants [`TestClient`](super::TestClient) instead,
/// whose bytes go through HTTP and WebSocket.
///
/// Dropping it ends the connection without a word, like a lost network connection.
///
/// ```
/// use axum::Router;
/// use axum::http::Request;
/// use axum_socketio::testing::MemoryClient;
/// use axum_socketio::{Namespace, SocketIo};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let io = SocketIo::builder().namespace("/", Namespace::new()).build();
/// let app: Router = Router::new().layer(io.layer());
///
/// let request = Request::get("/socket.io/?EIO=4&transport=websocket").body(())?;
/// let mut client = MemoryClient::open(app, request).await.map_err(|refused| format!("{refused:?}"))?;
/// let open = client.next().await.ok_or("closed")?;
/// assert!(open.text().is_some_and(|text| text.starts_with("0{")));
///
/// client.send("40").await?;
/// let joined = client.next().await.ok_or("closed")?;
/// assert!(joined.text().is_some_and(|text| text.starts_with("40{")));
///
/// io.emit("news", "all is well");
/// let news = client.next().await.ok_or("closed")?;
/// assert_eq!(news.text(), Some(r#"42["news","all is well"]"#));
/// # Ok(())
/// # }
/// ```
pub struct MemoryClient {
    link: Arc<MemoryLink>,
}

/// The error returned if the connection of a [`MemoryClient`] is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection is closed")]
#[non_exhaustive]
pub struct MemoryClosed;

/// The error returned if a packet cannot be sent at once; see [`MemoryClient::try_send`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrySendError {
    /// The server has not read enough of the packets that are queued for it. Contains the packet.
    #[error("the queue is full")]
    Full(MemoryPacket),
    /// The connection is closed.
    #[error("the connection is closed")]
    Closed,
}

impl MemoryClient {
    /// Opens a session at a service, such as an axum `Router` or
    /// [`SocketIo::service`](crate::SocketIo::service), by a request for the transport `websocket`. With the `sid` of
    /// a session over polling it probes instead, in order to upgrade that session.
    ///
    /// The request passes all layers of the service, and so does the response that refuses it. The connection's task
    /// is spawned on the runtime of the caller.
    ///
    /// # Errors
    ///
    /// Returns the response if it is not 101.
    pub async fn open<S, B>(service: S, request: Request<()>) -> Result<Self, Response<B>>
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    {
        let client = Self {
            link: Arc::default(),
        };
        let mut request = request.map(|()| Body::empty());
        let offer = MemoryOffer::new(Arc::clone(&client.link));
        request.extensions_mut().insert(offer);
        let Ok(response) = service.oneshot(request).await;
        if client.link.is_taken() && response.status() == http::StatusCode::SWITCHING_PROTOCOLS {
            Ok(client)
        } else {
            Err(response)
        }
    }

    /// Receives the next packet. Returns `None` if the server has closed the connection and all packets have been
    /// received.
    pub async fn next(&mut self) -> Option<MemoryPacket> {
        poll_fn(|cx| self.link.poll_next(cx)).await
    }

    /// Receives a packet if one is queued.
    pub fn try_next(&mut self) -> Option<MemoryPacket> {
        self.link.try_next()
    }

    /// Sends a packet once there is room for it.
    ///
    /// # Errors
    ///
    /// Returns an error if the connection is closed.
    pub async fn send(&mut self, packet: impl Into<MemoryPacket>) -> Result<(), MemoryClosed> {
        let mut packet = packet.into();
        loop {
            packet = match self.link.send(packet) {
                Ok(()) => return Ok(()),
                Err(NotSent::Closed) => return Err(MemoryClosed),
                Err(NotSent::Full(packet)) => packet,
            };
            poll_fn(|cx| self.link.poll_send(cx)).await;
        }
    }

    /// Sends a packet if there is room for it.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no room or the connection is closed.
    pub fn try_send(&mut self, packet: impl Into<MemoryPacket>) -> Result<(), TrySendError> {
        self.link.send(packet.into()).map_err(|error| match error {
            NotSent::Full(packet) => TrySendError::Full(packet),
            NotSent::Closed => TrySendError::Closed,
        })
    }

    /// Returns true if the server has closed the connection. There may be packets left to receive.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.link.is_closed()
    }

    /// Returns the code and the reason with which the server has closed the connection, if it gave any; see
    /// [`Socket::close`](crate::Socket::close).
    #[must_use]
    pub fn close_reason(&self) -> Option<(u16, String)> {
        let frame = self.link.farewell()?;
        Some((frame.code.get(), frame.reason.to_string()))
    }

    /// Closes the connection as a WebSocket is closed. Packets that have been sent still reach the server.
    pub fn close(self) {
        self.link.end_client(ClientEnd::Closed);
    }
}

impl Stream for MemoryClient {
    type Item = MemoryPacket;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<MemoryPacket>> {
        self.link.poll_next(cx)
    }
}

impl Drop for MemoryClient {
    fn drop(&mut self) {
        self.link.end_client(ClientEnd::Lost);
    }
}

impl fmt::Debug for MemoryClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryClient")
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
