//! What each kind of request does.
#![expect(clippy::result_large_err, reason = "a refusal is a response")]

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum_core::body::Body;
use bytes::Bytes;
use bytestring::ByteString;
use futures_util::future::{Either, select};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use http_body_util::BodyExt;
use hyper::upgrade::OnUpgrade;
use tokio::sync::oneshot;
use tower::BoxError;

use super::request::{Asked, parse};
use super::response::{Refusal, accepted, empty, payload, unavailable};
use crate::driver::{Connection, Entry, Guard, Inbound, PollAnswer, PostAnswer, Refused, Sessions};
use crate::engine::{DisconnectReason, Outbox, Transport};
use crate::hub::{Client, Handshake, Server, SocketIo, new_sid};
use crate::protocol::Sid;
use crate::protocol::websocket::{accept_key, is_key};
use crate::transport::WebSocket;

/// The server, for the time of one request.
pub(super) struct Context {
    pub(super) io: SocketIo,
    pub(super) server: Arc<Server>,
    pub(super) sessions: Arc<Sessions>,
}

pub(super) async fn respond<B>(context: Option<Context>, request: Request<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send,
{
    let Some(context) = context else {
        // A handle that was never given to `build_into`, or outlived its server.
        return unavailable();
    };
    let (parts, body) = request.into_parts();
    let asked = parse(&parts, &context.server.settings.engine, |sid| {
        context.sessions.get(sid)
    });
    match asked {
        Ok(Asked::Open) => open(&context, parts),
        Ok(Asked::OpenWebSocket) => open_websocket(context, parts),
        // Both let go of the parts first, which keep the server's read buffer, since they may have to wait for long.
        Ok(Asked::Poll(entry)) => {
            drop(parts);
            poll(&entry).await
        }
        Ok(Asked::Post(entry)) => {
            let kind = parts.headers.get(header::CONTENT_TYPE);
            let binary = kind.is_some_and(|kind| kind == "application/octet-stream");
            drop(parts);
            post(&context, &entry, binary, body).await
        }
        Ok(Asked::Upgrade(entry)) => upgrade(&context, entry, parts),
        Ok(Asked::OtherMethod) => empty(StatusCode::INTERNAL_SERVER_ERROR),
        Err(refusal) => {
            // Not the query: it may hold what only the client should know.
            let path = parts.uri.path();
            tracing::debug!(method = %parts.method, path, %refusal, "request refused");
            refusal.response()
        }
    }
}

fn open(context: &Context, parts: Parts) -> Response<Body> {
    let Some(Fresh {
        guard,
        client,
        packet,
    }) = fresh(context, parts, Transport::Polling)
    else {
        return unavailable();
    };
    let connection = Connection::open(&context.server, guard, client, None);
    tokio::spawn(connection.run());
    payload(packet.into())
}

fn open_websocket(context: Context, mut parts: Parts) -> Response<Body> {
    let (response, on_upgrade) = match switch_protocols(&mut parts) {
        Ok(switch) => switch,
        Err(refused) => return refused,
    };
    let Some(Fresh {
        guard,
        client,
        packet,
    }) = fresh(&context, parts, Transport::WebSocket)
    else {
        return unavailable();
    };
    tokio::spawn(async move {
        let max_payload = context.server.settings.engine.max_payload;
        let mut socket = match on_upgrade.await {
            Ok(upgraded) => WebSocket::new(upgraded, max_payload),
            Err(error) => return tracing::debug!(%error, "upgrade failed"),
        };
        socket.push_packet(packet.as_bytes());
        let connection = Connection::open(&context.server, guard, client, Some(socket));
        drop(context);
        connection.run().await;
    });
    response
}

/// A client whose session is about to open.
struct Fresh {
    guard: Guard,
    client: Arc<Client>,
    /// What opens its session.
    packet: String,
}

/// Nothing if the server is shutting down.
fn fresh(context: &Context, mut parts: Parts, transport: Transport) -> Option<Fresh> {
    let config = &context.server.settings.engine;
    let sid: Sid = new_sid()?;
    let guard = context.sessions.begin(sid)?;
    parts.extensions.insert(context.io.clone());
    let packet = crate::protocol::engine_io::Handshake {
        sid,
        upgrades: config.upgrades(transport),
        ping_interval: config.ping_interval,
        ping_timeout: config.ping_timeout,
        max_payload: config.max_payload,
    };
    let outbox = Arc::new(Outbox::new(
        config.max_outbox_packets,
        config.max_outbox_bytes,
    ));
    let client = Client::new(sid, outbox, Handshake::new(parts), transport);
    Some(Fresh {
        guard,
        client: Arc::new(client),
        packet: packet.encode(),
    })
}

async fn poll(entry: &Entry) -> Response<Body> {
    let (sender, receiver) = oneshot::channel();
    if let Err(refused) = entry.hand(Inbound::Poll(sender)) {
        return refused.response();
    }
    match receiver.await {
        Ok(PollAnswer::Payload(body)) => payload(body),
        Ok(PollAnswer::Overlap) => empty(StatusCode::BAD_REQUEST),
        Err(_) => Refusal::SessionUnknown.response(),
    }
}

impl Refused {
    fn response(self) -> Response<Body> {
        match self {
            Self::Closed => Refusal::SessionUnknown.response(),
            Self::Full => empty(StatusCode::BAD_REQUEST),
        }
    }
}

async fn post<B>(context: &Context, entry: &Arc<Entry>, binary: bool, body: B) -> Response<Body>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send,
{
    let Some(posting) = Posting::begin(entry) else {
        entry.broken(DisconnectReason::TransportError);
        return empty(StatusCode::BAD_REQUEST);
    };
    // Of revision 3.
    if binary {
        return posting.fail(DisconnectReason::TransportError, StatusCode::BAD_REQUEST);
    }
    let limit = context.server.settings.engine.max_payload;
    let body = match select(pin!(read(body, limit)), pin!(entry.closed())).await {
        Either::Left((body, _)) => body,
        // A body that never ends is not waited for longer than its session lives.
        Either::Right(_) => {
            posting.end();
            return Refusal::SessionUnknown.response();
        }
    };
    let body = match body {
        Ok(body) => body,
        Err(error) => {
            tracing::debug!(%error, limit, "request body cannot be taken");
            let status = match error {
                BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                BodyError::Lost(_) => StatusCode::BAD_REQUEST,
            };
            return posting.fail(DisconnectReason::TransportError, status);
        }
    };
    let Ok(text) = ByteString::try_from(body) else {
        return posting.fail(DisconnectReason::ParseError, StatusCode::BAD_REQUEST);
    };
    let (done, taken) = oneshot::channel();
    if let Err(refused) = entry.hand(Inbound::Post(text, done)) {
        posting.end();
        return refused.response();
    }
    let answer = taken.await;
    posting.end();
    match answer {
        Ok(PostAnswer::Taken) => accepted(),
        Ok(PostAnswer::Undecodable) | Err(_) => empty(StatusCode::BAD_REQUEST),
    }
}

/// Why the body of a POST was not taken.
#[derive(Debug, thiserror::Error)]
enum BodyError {
    #[error("larger than the limit")]
    TooLarge,
    #[error("{0}")]
    Lost(BoxError),
}

/// Reads a body into one buffer, however small its pieces are: each would keep the server's whole read buffer alive.
async fn read<B>(body: B, limit: usize) -> Result<Vec<u8>, BodyError>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>>,
{
    let mut body = pin!(body);
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(limit);
    if expected > limit {
        return Err(BodyError::TooLarge);
    }
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| BodyError::Lost(error.into()))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if data.len() > limit - all.len() {
            return Err(BodyError::TooLarge);
        }
        all.extend_from_slice(&data);
    }
    Ok(all)
}

impl Entry {
    /// Ends the session. If its task is gone there is none.
    fn broken(&self, reason: DisconnectReason) {
        // A full inbox has worse to tell.
        let _ = self.hand(Inbound::Broken(reason));
    }
}

/// A POST under way. Dropped in the middle, it was given up by its client.
struct Posting {
    entry: Arc<Entry>,
    ended: bool,
}

impl Posting {
    /// `None` if there is one already.
    fn begin(entry: &Arc<Entry>) -> Option<Self> {
        let free = !entry.posting.swap(true, Ordering::AcqRel);
        free.then(|| Self {
            entry: Arc::clone(entry),
            ended: false,
        })
    }

    fn end(mut self) {
        self.ended = true;
    }

    fn fail(self, reason: DisconnectReason, status: StatusCode) -> Response<Body> {
        self.entry.broken(reason);
        self.end();
        empty(status)
    }
}

impl Drop for Posting {
    fn drop(&mut self) {
        self.entry.posting.store(false, Ordering::Release);
        if !self.ended {
            self.entry.broken(DisconnectReason::TransportError);
        }
    }
}

fn upgrade(context: &Context, entry: Arc<Entry>, mut parts: Parts) -> Response<Body> {
    let (response, on_upgrade) = match switch_protocols(&mut parts) {
        Ok(switch) => switch,
        Err(refused) => return refused,
    };
    // One at a time, and only once.
    if entry.upgrading.swap(true, Ordering::AcqRel) {
        return Refusal::BadRequest.response();
    }
    let max_payload = context.server.settings.engine.max_payload;
    tokio::spawn(async move {
        let inbound = match on_upgrade.await {
            Ok(upgraded) => Inbound::Probe(Box::new(WebSocket::new(upgraded, max_payload))),
            Err(error) => {
                tracing::debug!(sid = %entry.client.sid, %error, "upgrade failed");
                Inbound::ProbeFailed
            }
        };
        // If its session is gone, so is it.
        let _ = entry.hand(inbound);
    });
    response
}

/// The answer that turns the connection into a WebSocket, and what becomes one once it is sent.
fn switch_protocols(parts: &mut Parts) -> Result<(Response<Body>, OnUpgrade), Response<Body>> {
    let http2 = parts.version == Version::HTTP_2;
    if parts
        .headers
        .get(header::SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != "13")
    {
        let mut response = empty(StatusCode::UPGRADE_REQUIRED);
        response.headers_mut().insert(
            header::SEC_WEBSOCKET_VERSION,
            HeaderValue::from_static("13"),
        );
        return Err(response);
    }
    let key = parts
        .headers
        .get(header::SEC_WEBSOCKET_KEY)
        .filter(|key| is_key(key.as_bytes()))
        .map(|key| accept_key(key.as_bytes()));
    if key.is_none() && !http2 {
        return Err(Refusal::BadRequest.response());
    }
    let Some(on_upgrade) = parts.extensions.remove::<OnUpgrade>() else {
        tracing::warn!("this server, or a layer outside, does not let connections be upgraded");
        return Err(Refusal::BadRequest.response());
    };
    let mut response = empty(if http2 {
        StatusCode::OK
    } else {
        StatusCode::SWITCHING_PROTOCOLS
    });
    let headers = response.headers_mut();
    if !http2 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        if let Some(Ok(key)) = key.map(HeaderValue::try_from) {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
        }
    }
    let protocols = parts
        .headers
        .get(header::SEC_WEBSOCKET_PROTOCOL)
        .and_then(|value| value.to_str().ok());
    let first = protocols
        .and_then(|value| value.split(',').next())
        .map(str::trim)
        .filter(|name| !name.is_empty());
    if let Some(Ok(first)) = first.map(HeaderValue::from_str) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, first);
    }
    Ok((response, on_upgrade))
}
