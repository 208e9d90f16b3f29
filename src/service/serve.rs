//! What each kind of request does.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum_core::body::Body;
use bytes::Bytes;
use bytestring::ByteString;
use futures_util::future::{BoxFuture, Either, select};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, LengthLimitError};
use tokio::sync::oneshot;
use tower::BoxError;

use super::admit::admit;
use super::client_file;
use super::open::{begin, open};
use super::refusal::{Refusal, refuse};
use super::request::{Asked, parse};
use super::response::{accepted, empty, payload};
use super::switch::switch_protocols;
use crate::driver::{Entry, Inbound, PollAnswer, PostAnswer, Refused, Sessions, turn_away};
use crate::engine::DisconnectReason;
use crate::hub::{Client, OverLimit, Server, SocketIo, log_no_server};
use crate::metrics::Counted;
use crate::panics::guarded_future;
use crate::protocol::engine_io::{self, Payload, Revision, v3};
use crate::transport::WebSocket;

/// The server, for the time of one request.
pub(super) struct Context {
    pub(super) io: SocketIo,
    pub(super) server: Arc<Server>,
    pub(super) sessions: Arc<Sessions>,
}

/// A refusal has the protocol's own words; a response may refuse too, in others.
pub(super) type Answer = Result<Response<Body>, Refusal>;

/// A response, and what is to be spawned once nothing refuses it any more. Dropped before, that undoes what it was for.
pub(super) type Opening = Result<(Response<Body>, BoxFuture<'static, ()>), Refusal>;

pub(super) async fn respond<B>(context: Option<Context>, request: Request<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send,
{
    let Some(context) = context else {
        log_no_server();
        return Refusal::Unavailable.response();
    };
    // Hooks are guarded one by one. Values of the request, and its body, are code of others too.
    let answer = guarded_future(|| answer(&context, request));
    answer.await.unwrap_or_else(|panicked| {
        context.server.panicked("request", &panicked);
        Refusal::Internal.response()
    })
}

async fn answer<B>(context: &Context, request: Request<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send,
{
    let (parts, body) = request.into_parts();
    let server = &*context.server;
    let hooks = &server.hooks;
    if let Some(files) = &hooks.client_files
        && let Some(file) = client_file::asked(files, &parts)
    {
        return client_file::answer(files, file, &parts);
    }
    let seen = hooks.see_requests().then(|| Box::new(parts.clone()));
    let mut opens = false;
    let mut then = None;
    let mut session = None;
    let answer = match ask(context, &parts) {
        Ok(Asked::Open(transport, revision)) => {
            opens = true;
            // Counted from here on: the application may take its time, and is not asked where there is no room.
            match (begin(context, &parts), &hooks.allow) {
                (Err(refusal), _) => Err(refusal),
                // In a box: this future is moved with every request, most of which open nothing.
                (Ok(guard), Some(allow)) => match Box::pin(admit(allow, context, parts)).await {
                    Ok(parts) => open(context, guard, transport, revision, parts),
                    Err(refused) => return refused,
                },
                (Ok(guard), None) => open(context, guard, transport, revision, parts),
            }
            .map(|(response, task)| {
                then = Some(task);
                response
            })
        }
        // Both let go of the parts first, which keep the server's read buffer, since they may have to wait for long.
        Ok(Asked::Poll(entry)) => {
            drop(parts);
            session = seen.is_some().then(|| Arc::clone(&entry));
            poll(&entry).await
        }
        Ok(Asked::Post(entry)) => {
            let kind = parts.headers.get(header::CONTENT_TYPE);
            let binary = kind.is_some_and(|kind| kind == "application/octet-stream");
            let http1 = parts.version < Version::HTTP_2;
            drop(parts);
            session = seen.is_some().then(|| Arc::clone(&entry));
            let answer = post(context, &entry, binary, body).await;
            answer.map(|answer| if http1 { close_if_late(answer) } else { answer })
        }
        Ok(Asked::Upgrade(entry)) => upgrade(context, entry, parts).map(|(response, task)| {
            then = Some(task);
            response
        }),
        Ok(Asked::OtherMethod) => Ok(empty(StatusCode::INTERNAL_SERVER_ERROR)),
        Err(refusal) => Err(refusal),
    };
    let seen = seen.as_deref();
    let mut response = match answer {
        Ok(response) => response,
        Err(refusal) => return refuse(refusal, server, seen),
    };
    if let Some(seen) = seen
        && let Err((hook, panicked)) = hooks.see_answer(&mut response, seen, opens)
    {
        server.panicked(hook, &panicked);
        if let Some(entry) = session {
            // What the response held is lost.
            entry.broken(DisconnectReason::TransportError);
        }
        return refuse(Refusal::Internal, server, Some(seen));
    }
    if let Some(task) = then {
        tokio::spawn(task);
    }
    response
}

/// What is asked, of whom it may be asked.
fn ask(context: &Context, parts: &Parts) -> Result<Asked, Refusal> {
    let find = |sid| context.sessions.get(sid);
    let asked = parse(parts, &context.server.settings.engine, find)?;
    if context.server.hooks.allows_origin(parts) {
        Ok(asked)
    } else {
        Err(Refusal::Origin)
    }
}

async fn poll(entry: &Entry) -> Answer {
    let (sender, receiver) = oneshot::channel();
    if let Err(refused) = entry.hand(Inbound::Poll(sender)) {
        return refused.answer();
    }
    match receiver.await {
        Ok(PollAnswer::Payload(body)) => Ok(payload(body)),
        Ok(PollAnswer::Overlap) => Ok(empty(StatusCode::BAD_REQUEST)),
        Ok(PollAnswer::Upgraded) => Err(Refusal::TransportMismatch),
        Err(_) => Err(Refusal::SessionUnknown),
    }
}

impl Refused {
    fn answer(self) -> Answer {
        match self {
            Self::Closed => Err(Refusal::SessionUnknown),
            Self::Full => Ok(empty(StatusCode::BAD_REQUEST)),
        }
    }
}

async fn post<B>(context: &Context, entry: &Arc<Entry>, binary: bool, body: B) -> Answer
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send,
{
    let Some(posting) = Posting::begin(entry) else {
        entry.broken(DisconnectReason::TransportError);
        return Ok(empty(StatusCode::BAD_REQUEST));
    };
    let revision = entry.client.revision;
    if binary && revision.is_four() {
        return posting.fail(DisconnectReason::TransportError, StatusCode::BAD_REQUEST);
    }
    let config = &context.server.settings.engine;
    let (limit, timeout) = (config.max_payload, config.body_timeout);
    let body = tokio::time::timeout(timeout, read(body, limit, entry));
    let body = match select(pin!(body), pin!(entry.closed())).await {
        Either::Left((body, _)) => body,
        // A body that never ends is not waited for longer than its session lives.
        Either::Right(_) => {
            posting.end();
            return Err(Refusal::SessionUnknown);
        }
    };
    let body = match body.unwrap_or(Err(BodyError::Late)) {
        Ok(body) => body,
        Err(BodyError::TooLarge(size)) => {
            OverLimit::payload(limit, size).report(&context.server, &entry.client);
            return posting.too_large();
        }
        Err(BodyError::Limited) => {
            log_limited(&entry.client, limit);
            return posting.too_large();
        }
        Err(BodyError::Late) => {
            tracing::debug!(?timeout, "request body is slower than `body_timeout`");
            let counters = &context.server.counters;
            counters.add_for(Counted::InputTimeouts, "body", 1);
            return posting.fail(
                DisconnectReason::TransportError,
                StatusCode::REQUEST_TIMEOUT,
            );
        }
        Err(BodyError::Lost(error)) => {
            tracing::debug!(error = error.to_string(), "request body cannot be taken");
            return posting.fail(DisconnectReason::TransportError, StatusCode::BAD_REQUEST);
        }
    };
    context
        .server
        .counters
        .add(Counted::ReceivedBytes, body.len());
    let Some(packets) = packets(body, binary, revision) else {
        return posting.fail(DisconnectReason::ParseError, StatusCode::BAD_REQUEST);
    };
    let (done, taken) = oneshot::channel();
    if let Err(refused) = entry.hand(Inbound::Post(packets, done)) {
        posting.end();
        return refused.answer();
    }
    let answer = taken.await;
    posting.end();
    match answer {
        Ok(PostAnswer::Taken) => Ok(accepted()),
        Ok(PostAnswer::Undecodable) => Ok(empty(StatusCode::BAD_REQUEST)),
        Err(_) => Err(Refusal::SessionUnknown),
    }
}

/// Nothing more is to come over a connection on which a body is late; HTTP/2 has no such header.
fn close_if_late(mut answer: Response<Body>) -> Response<Body> {
    if answer.status() == StatusCode::REQUEST_TIMEOUT {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
    }
    answer
}

/// The packets of a body, unless it should be text and is not.
fn packets(body: Vec<u8>, binary: bool, revision: Revision) -> Option<engine_io::Body> {
    if binary {
        return Some(engine_io::Body::Three(v3::Payload::binary(body.into())));
    }
    let text = ByteString::try_from(body).ok()?;
    Some(match revision {
        Revision::Three { .. } => engine_io::Body::Three(v3::Payload::text(text)),
        Revision::Four => engine_io::Body::Four(Payload::decode(text)),
    })
}

/// Why the body of a POST was not taken.
#[derive(Debug, thiserror::Error)]
enum BodyError {
    /// Larger than `max_payload`. Holds the length that the client has announced.
    #[error("larger than `max_payload`")]
    TooLarge(Option<u64>),
    /// Larger than a layer around this server allows.
    #[error("larger than a layer allows")]
    Limited,
    #[error("slower than `body_timeout`")]
    Late,
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

/// A client may cause it, and only the application can mend it.
fn log_limited(client: &Client, max_payload: usize) {
    if client.logs.allow() {
        tracing::warn!(
            sid = %client.sid, max_payload,
            "the body of a POST is refused: a layer around this server limits bodies to less than max_payload"
        );
    }
}

/// Reads a body into one buffer, however small its pieces are: each would keep the server's whole read buffer alive.
async fn read<B>(body: B, limit: usize, entry: &Entry) -> Result<Vec<u8>, BodyError>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>>,
{
    let mut body = pin!(body);
    let expected = body.size_hint().lower();
    if expected > limit as u64 {
        return Err(BodyError::TooLarge(Some(expected)));
    }
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| BodyError::new(error.into()))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if data.len() > limit - all.len() {
            return Err(BodyError::TooLarge(None));
        }
        all.extend_from_slice(&data);
        entry.progress(true);
    }
    entry.progress(false);
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

    /// The body is too large.
    fn too_large(self) -> Answer {
        // A full inbox has worse to tell.
        let _ = self.entry.hand(Inbound::TooLarge);
        self.end();
        Ok(empty(StatusCode::PAYLOAD_TOO_LARGE))
    }

    fn fail(self, reason: DisconnectReason, status: StatusCode) -> Answer {
        self.entry.broken(reason);
        self.end();
        Ok(empty(status))
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

/// An upgrade that has begun. Dropped before there is a WebSocket, the session may begin another one.
struct Upgrading(Option<Arc<Entry>>);

impl Drop for Upgrading {
    fn drop(&mut self) {
        if let Some(entry) = &self.0 {
            entry.upgrading.store(false, Ordering::Release);
        }
    }
}

fn upgrade(context: &Context, entry: Arc<Entry>, mut parts: Parts) -> Opening {
    let config = &context.server.settings.engine;
    let revision = entry.client.revision;
    let switch = switch_protocols(&mut parts, revision, config)?;
    let (response, socket) = switch.socket(revision, config);
    // One at a time, and only once.
    if entry.upgrading.swap(true, Ordering::AcqRel) {
        let task = refuse_another(context, &entry, socket);
        return Ok((response, Box::pin(task)));
    }
    let mut upgrading = Upgrading(Some(entry));
    let task = async move {
        let socket = socket.await;
        let Some(entry) = upgrading.0.take() else {
            return;
        };
        let inbound = match socket {
            Ok(socket) => Inbound::Probe(Box::new(socket)),
            Err(error) => {
                tracing::debug!(sid = %entry.client.sid, error = error.to_string(), "upgrade failed");
                Inbound::ProbeFailed
            }
        };
        // If its session is gone, so is it.
        let _ = entry.hand(inbound);
    };
    Ok((response, Box::pin(task)))
}

/// The session has a WebSocket already. The new one is accepted and closed, as Node's server does: an answer with another
/// status would be an error that applications which use the `ws` package directly do not catch.
fn refuse_another<F>(
    context: &Context,
    entry: &Entry,
    socket: F,
) -> impl Future<Output = ()> + Send + use<F>
where
    F: Future<Output = hyper::Result<WebSocket>> + Send + 'static,
{
    let counters = &context.server.counters;
    counters.add_for(Counted::RequestsRefused, "UPGRADED_ALREADY", 1);
    tracing::debug!(sid = %entry.client.sid, "second websocket of a session closed");
    async move {
        if let Ok(socket) = socket.await {
            turn_away(socket).await;
        }
    }
}
