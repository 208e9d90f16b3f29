//! POST requests of a session over polling: the body is read, and its packets are handed to the connection's task.

use std::error::Error;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum_core::body::Body;
use bytes::Bytes;
use bytestring::ByteString;
use futures_util::future::{Either, select};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, LengthLimitError};
use tokio::sync::oneshot;
use tower::BoxError;

use super::refusal::Refusal;
use super::request_context::{RequestContext, Served};
use super::response::{accepted, empty};
use crate::driver::{BodyShare, Crowded, InboundRequest, PostAnswer, SessionEntry, within_limit};
use crate::metrics::{Counted, LateInput};
use crate::server::OverLimit;
use crate::socket::Client;
use proto::DisconnectReason;
use proto::engine_io::{self, Payload, Revision, v3};

/// The properties of a POST that its answer depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyKind {
    /// The body is binary, as clients of revision 3 send it.
    binary: bool,
    http1: bool,
}

impl BodyKind {
    pub(super) fn of(parts: &Parts) -> Self {
        let kind = parts.headers.get(header::CONTENT_TYPE);
        Self {
            binary: kind.is_some_and(|kind| kind == "application/octet-stream"),
            http1: parts.version < Version::HTTP_2,
        }
    }
}

/// Answers a POST.
pub(super) async fn post<B>(
    context: &RequestContext,
    entry: &Arc<SessionEntry>,
    kind: BodyKind,
    body: B,
) -> Served
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send,
{
    let Some(posting) = Posting::begin(entry) else {
        entry.broken(DisconnectReason::TransportError);
        return Err(Refusal::Overlap);
    };
    let revision = entry.client.revision;
    if kind.binary && revision.is_four() {
        return posting.fail(DisconnectReason::TransportError, Err(Refusal::BadBody));
    }
    let config = &context.server.settings.engine;
    let mut share = BodyShare::new(&context.sessions, &context.server);
    let body = read(body, config.max_payload, entry, &mut share);
    let body = within_limit(config.body_timeout, body);
    let body = match select(pin!(body), pin!(entry.closed())).await {
        Either::Left((body, _)) => body.unwrap_or(Err(BodyError::Late)),
        // A body that never ends is not waited for longer than its session lives.
        Either::Right(_) => {
            posting.end();
            return Err(Refusal::SessionUnknown);
        }
    };
    let body = match body {
        Ok(body) => body,
        Err(error) => return posting.without_body(error, context, kind),
    };
    let counters = &context.server.counters;
    counters.add(Counted::ReceivedBytes, body.len());
    match packets(body, kind, revision) {
        Some(packets) => posting.deliver(packets, share).await,
        None => posting.fail(DisconnectReason::ParseError, Err(Refusal::BadBody)),
    }
}

/// Returns the packets of a body, or `None` if it should be text and is not.
fn packets(body: Vec<u8>, kind: BodyKind, revision: Revision) -> Option<engine_io::PostBody> {
    if kind.binary {
        return Some(engine_io::PostBody::Three(v3::Payload::binary(body.into())));
    }
    let text = ByteString::try_from(body).ok()?;
    Some(match revision {
        Revision::Three { .. } => engine_io::PostBody::Three(v3::Payload::text(text)),
        Revision::Four => engine_io::PostBody::Four(Payload::decode(text)),
    })
}

/// The reason why the body of a POST was not taken.
#[derive(Debug, thiserror::Error)]
enum BodyError {
    /// The body is larger than `max_payload`. Holds the length that the client has announced.
    #[error("larger than `max_payload`")]
    TooLarge(Option<u64>),
    /// The body is larger than a layer around this server allows.
    #[error("larger than a layer allows")]
    Limited,
    /// The body was not read for long, since all connections together hold too much.
    #[error("all connections hold `max_inbound_bytes`")]
    Crowded,
    /// The body has not arrived within `body_timeout`.
    #[error("slower than `body_timeout`")]
    Late,
    /// The body cannot be read, since the client has closed the connection, for example.
    #[error("{0}")]
    Lost(BoxError),
}

impl BodyError {
    fn new(error: BoxError) -> Self {
        let first: &dyn Error = &*error;
        let mut sources = std::iter::successors(Some(first), |&error| error.source());
        if sources.any(|error| error.is::<LengthLimitError>()) {
            Self::Limited
        } else {
            Self::Lost(error)
        }
    }
}

/// Logs that a layer limits bodies. A client can cause it, and only the application can change it.
fn log_limited(client: &Client, max_payload: usize) {
    if client.logs.allow() {
        tracing::warn!(
            sid = %client.sid, max_payload,
            "the body of a POST is refused: a layer around this server limits bodies to less than max_payload"
        );
    }
}

/// Logs that a body has been given up for the input that other connections hold.
fn log_crowded(client: &Client, max_inbound_bytes: usize) {
    if client.logs.allow() {
        tracing::warn!(
            sid = %client.sid, max_inbound_bytes,
            "the body of a POST is refused: all connections together hold too much input"
        );
    }
}

/// Reads a body into one buffer. Its pieces are not kept: each of them would keep the server's whole read buffer alive.
async fn read<B>(
    body: B,
    limit: usize,
    entry: &SessionEntry,
    share: &mut BodyShare,
) -> Result<Vec<u8>, BodyError>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>>,
{
    let mut body = pin!(body);
    let expected = body.size_hint().lower();
    if expected > limit as u64 {
        return Err(BodyError::TooLarge(Some(expected)));
    }
    let mut all = Vec::new();
    while let Some(data) = next(body.as_mut()).await.transpose()? {
        if data.len() > limit - all.len() {
            return Err(BodyError::TooLarge(None));
        }
        all.extend_from_slice(&data);
        entry.body_progressed();
        let room = share.set(all.len(), entry).await;
        room.map_err(|Crowded| BodyError::Crowded)?;
    }
    entry.body_completed();
    Ok(all)
}

/// Returns the next part of a body.
async fn next<B>(mut body: Pin<&mut B>) -> Option<Result<Bytes, BodyError>>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>>,
{
    loop {
        match body.frame().await? {
            Ok(frame) => {
                if let Ok(data) = frame.into_data() {
                    return Some(Ok(data));
                }
            }
            Err(error) => return Some(Err(BodyError::new(error.into()))),
        }
    }
}

/// A POST that is being taken. If it is dropped before its end, the client has given it up, and the session closes.
struct Posting {
    entry: Arc<SessionEntry>,
    ended: bool,
}

impl Posting {
    /// Returns `None` if the session has another one.
    fn begin(entry: &Arc<SessionEntry>) -> Option<Self> {
        let free = !entry.posting.swap(true, Ordering::AcqRel);
        free.then(|| Self {
            entry: Arc::clone(entry),
            ended: false,
        })
    }

    fn end(mut self) {
        self.ended = true;
    }

    /// Hands the packets to the connection's task, which counts them from then on, and waits until it has taken them.
    async fn deliver(self, packets: engine_io::PostBody, share: BodyShare) -> Served {
        let (done, taken) = oneshot::channel();
        let handed = self.entry.send(InboundRequest::Post(packets, done));
        drop(share);
        let taken = match handed {
            Ok(()) => taken.await.map_err(|_| Refusal::SessionUnknown),
            Err(refused) => Err(refused.into()),
        };
        self.end();
        match taken? {
            PostAnswer::Taken => Ok(accepted()),
            PostAnswer::Undecodable => Err(Refusal::BadBody),
        }
    }

    /// Closes the session of a POST whose body was not taken.
    fn without_body(self, error: BodyError, context: &RequestContext, kind: BodyKind) -> Served {
        let (server, client) = (&context.server, &self.entry.client);
        let config = &server.settings.engine;
        let limit = config.max_payload;
        match error {
            BodyError::TooLarge(size) => {
                OverLimit::payload(limit, size).report(server, client);
                self.too_large(Ok(empty(StatusCode::PAYLOAD_TOO_LARGE)))
            }
            BodyError::Limited => {
                log_limited(client, limit);
                self.too_large(Err(Refusal::BodyLimit))
            }
            BodyError::Crowded => {
                log_crowded(client, server.settings.max_inbound_bytes);
                self.fail(DisconnectReason::QueueFull, Err(Refusal::InboundLimit))
            }
            BodyError::Late => {
                let timeout = config.body_timeout;
                tracing::debug!(?timeout, "request body is slower than `body_timeout`");
                server
                    .counters
                    .add(Counted::InputTimeouts(LateInput::Body), 1);
                self.fail(DisconnectReason::TransportError, Ok(late(kind)))
            }
            BodyError::Lost(error) => {
                tracing::debug!(error = error.to_string(), "request body cannot be taken");
                self.fail(DisconnectReason::TransportError, Err(Refusal::BadBody))
            }
        }
    }

    /// Closes the session since the body is too large.
    fn too_large(self, answer: Served) -> Served {
        // A full inbox closes the session too.
        let _ = self.entry.send(InboundRequest::TooLarge);
        self.end();
        answer
    }

    fn fail(self, reason: DisconnectReason, answer: Served) -> Served {
        self.entry.broken(reason);
        self.end();
        answer
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

/// Returns the answer to a body that is late. The rest of it may follow on the connection, which is closed therefore;
/// HTTP/2 has no such header.
fn late(kind: BodyKind) -> Response<Body> {
    let mut response = empty(StatusCode::REQUEST_TIMEOUT);
    if kind.http1 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}
