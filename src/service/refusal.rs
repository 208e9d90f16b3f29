//! The rules that a request can break, and the refusal of a request that breaks one.

use axum_core::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};

use super::response::{answer, empty};
use crate::http::ConnectionError;
use crate::metrics::{Counted, Hook, RequestRule};
use crate::server::Server;

macro_rules! refusals {
    ($($(#[doc = $doc:literal])* $rule:ident: $status:ident, $code:expr, $message:literal;)+) => {
        /// A rule that a request breaks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Refusal { $($(#[doc = $doc])* $rule),+ }

        impl Refusal {
            /// Returns the label of the rule in the counters.
            const fn label(self) -> RequestRule {
                match self { $(Self::$rule => RequestRule::$rule),+ }
            }

            pub(super) const fn status(self) -> StatusCode {
                match self { $(Self::$rule => StatusCode::$status),+ }
            }

            /// Returns the error code of the protocol.
            const fn code(self) -> u8 {
                match self { $(Self::$rule => $code),+ }
            }

            /// Returns the error message of the protocol.
            const fn message(self) -> &'static str {
                match self { $(Self::$rule => $message),+ }
            }
        }
    };
}

/// The error code of a request that the application does not allow.
pub(super) const FORBIDDEN: u8 = 4;

refusals! {
    TransportUnknown: BAD_REQUEST, 0, "Transport unknown";
    SessionUnknown: BAD_REQUEST, 1, "Session ID unknown";
    BadHandshakeMethod: BAD_REQUEST, 2, "Bad handshake method";
    TransportHandshakeError: BAD_REQUEST, 3, "Bad request";
    ProtocolMismatch: BAD_REQUEST, 3, "Bad request";
    TransportMismatch: BAD_REQUEST, 3, "Bad request";
    UpgradeRefused: BAD_REQUEST, 3, "Bad request";
    /// A version of WebSocket other than that of RFC 6455.
    WebSocketVersion: BAD_REQUEST, 3, "Bad request";
    BadWebSocketKey: BAD_REQUEST, 3, "Bad request";
    BadWebSocketProtocol: BAD_REQUEST, 3, "Bad request";
    /// A connection that the HTTP server, or a layer, does not let be upgraded.
    NoUpgrade: BAD_REQUEST, 3, "Bad request";
    /// A page of another origin.
    InvalidOrigin: FORBIDDEN, FORBIDDEN, "Forbidden";
    UnsupportedProtocolVersion: BAD_REQUEST, 5, "Unsupported protocol version";
    /// A server that is shutting down or was dropped. A client that tries again may reach another one.
    Unavailable: SERVICE_UNAVAILABLE, FORBIDDEN, "Server unavailable";
    TooManyConnections: SERVICE_UNAVAILABLE, FORBIDDEN, "Too many connections";
    TooManyConnectionsOfAddress: TOO_MANY_REQUESTS, FORBIDDEN, "Too many connections";
    /// A poll or a POST that arrives while the session has another one, or while too many requests of it wait.
    Overlap: BAD_REQUEST, 3, "Bad request";
    /// A method of a session over polling other than GET and POST.
    BadMethod: INTERNAL_SERVER_ERROR, 3, "Bad request";
    /// The body of a POST that holds something other than packets, or that cannot be read.
    BadBody: BAD_REQUEST, 3, "Bad request";
    /// The body of a POST that is larger than a layer around the server allows.
    BodyLimit: PAYLOAD_TOO_LARGE, 3, "Bad request";
    /// The body of a POST that is given up, because all connections together hold too much input.
    InboundLimit: SERVICE_UNAVAILABLE, 3, "Bad request";
    /// A panic in a hook of the application.
    InternalError: INTERNAL_SERVER_ERROR, FORBIDDEN, "Internal server error";
}

impl Refusal {
    /// Returns the name of the rule, which is that of Node if Node has the rule.
    pub(super) const fn context(self) -> &'static str {
        self.label().as_str()
    }

    /// Returns the response, such as `400 {"code":1,"message":"Session ID unknown"}`.
    pub(super) fn response(self) -> Response<Body> {
        let (code, message) = (self.code(), self.message());
        let mut response = match self {
            Self::Unavailable
            | Self::Overlap
            | Self::BadMethod
            | Self::BadBody
            | Self::BodyLimit
            | Self::InboundLimit => empty(self.status()),
            _ => {
                let body = format!(r#"{{"code":{code},"message":"{message}"}}"#);
                answer(self.status(), "application/json", Bytes::from(body))
            }
        };
        let more = match self {
            Self::WebSocketVersion => Some((header::SEC_WEBSOCKET_VERSION, "13")),
            Self::Unavailable
            | Self::TooManyConnections
            | Self::TooManyConnectionsOfAddress
            | Self::InboundLimit => Some((header::RETRY_AFTER, "1")),
            _ => None,
        };
        if let Some((name, value)) = more {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }

    /// Logs the refusal, at `warn` as well if the operator can change its cause.
    fn log(self, server: &Server) {
        let (message, context) = (self.message(), self.context());
        tracing::debug!(refusal = message, context, "request refused");
        let settings = &server.settings;
        let (limit, cause) = match self {
            Self::TooManyConnections => (
                Some(settings.max_connections),
                "a client is refused: too many connections; see max_connections",
            ),
            Self::TooManyConnectionsOfAddress => (
                Some(settings.max_connections_per_address),
                "a client is refused: too many connections of its address; see max_connections_per_address",
            ),
            Self::NoUpgrade => (
                None,
                "this server, or a layer outside, does not let connections be upgraded",
            ),
            _ => return,
        };
        if server.logs.allow_refusal() {
            tracing::warn!(limit, "{cause}");
        }
    }
}

/// Refuses a request: counts and logs it, and shows it to the application if `request` is known. Returns the response.
pub(super) fn refuse(refusal: Refusal, server: &Server, request: Option<&Parts>) -> Response<Body> {
    refusal.log(server);
    let error = request.map(|request| ConnectionError {
        code: refusal.code(),
        message: refusal.message(),
        status: refusal.status(),
        context: refusal.context(),
        request,
    });
    let response = refusal.response();
    finish(refusal.label(), error.as_ref(), response, server)
}

/// Counts a request that is refused, and shows it to the application. Returns `response`, unless the hook panics.
pub(super) fn finish(
    rule: RequestRule,
    error: Option<&ConnectionError<'_>>,
    response: Response<Body>,
    server: &Server,
) -> Response<Body> {
    server.counters.add(Counted::RequestsRefused(rule), 1);
    let seen = error.map_or(Ok(()), |error| server.hooks.call_error_hook(error));
    seen.map_or_else(
        |panicked| {
            server.report_panic(Hook::OnConnectionError, &panicked);
            Refusal::InternalError.response()
        },
        |()| response,
    )
}

#[cfg(test)]
mod tests {
    use crate::metrics::Family;

    #[test]
    fn the_documents_explain_each_label() {
        let table = include_str!("../../docs/operations.md");
        for label in Family::RequestsRefused.declaration().values {
            assert!(table.contains(&format!("`{label}`")), "{label}");
        }
    }
}
