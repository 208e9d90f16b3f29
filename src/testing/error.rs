//! The errors and the ends of connections, as the JavaScript client reports them.

use std::fmt;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::Value;

/// The error returned if a client could not connect.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The namespace was refused, by a middleware or because no namespace has this name. The JavaScript client emits
    /// `connect_error` for this.
    #[error("{message}")]
    Refused {
        /// The JavaScript client's `error.message`.
        message: String,
        /// The JavaScript client's `error.data`.
        data: Option<Value>,
    },
    /// The HTTP handshake received an unexpected response, perhaps from a layer around Socket.IO.
    #[error("the handshake was answered with {status}: {body}")]
    Handshake {
        /// The status of the response.
        status: StatusCode,
        /// The body of the response.
        body: String,
    },
    /// The connection was closed before a response arrived.
    #[error("the connection ended: {0}")]
    Closed(Disconnected),
}

impl ConnectError {
    pub(super) fn answer(response: &Response<Bytes>) -> Self {
        Self::Handshake {
            status: response.status(),
            body: String::from_utf8_lossy(response.body()).into_owned(),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    pub(super) fn lost(error: hyper::Error) -> Self {
        tracing::debug!(error = error.to_string(), "handshake failed");
        Self::Closed(Disconnected::TransportError)
    }
}

/// The reason for which a client was disconnected. Its text is that of the JavaScript client's `disconnect` event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Disconnected {
    /// The server disconnected the socket.
    ByServer,
    /// The test disconnected the client: [`TestClient::disconnect`](super::TestClient::disconnect).
    ByClient,
    /// The connection was closed by the server, or [cut](super::TestClient::cut).
    TransportClose,
    /// The server refused a request of the transport.
    TransportError,
    /// The server sent data that is not valid Engine.IO or Socket.IO.
    ParseError,
}

impl Disconnected {
    /// The reason as the JavaScript client reports it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ByServer => "io server disconnect",
            Self::ByClient => "io client disconnect",
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::ParseError => "parse error",
        }
    }
}

impl fmt::Display for Disconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
