//! The service of each kind of request.

use std::sync::Arc;

use axum_core::body::Body;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{Request, Response};
use tokio::sync::oneshot;
use tower::BoxError;

use super::admit::admit;
use super::client_file;
use super::open::{begin, identify, open};
use super::post::{BodyKind, post};
use super::refusal::{Refusal, refuse};
use super::request::{Asked, parse};
use super::request_context::{RequestContext, Served};
use super::response::payload;
use super::upgrade::upgrade;
use crate::driver::{InboundRequest, NotQueued, PollAnswer, SessionEntry};
use crate::http::RequestFor;
use crate::logs::log_no_server;
use crate::metrics::Hook;
use crate::panics::{Panicked, guarded_polls};
use proto::DisconnectReason;
use proto::engine_io::{Revision, Transport};

/// A request that is not served.
enum Declined {
    /// The request breaks a rule.
    Rule(Refusal),
    /// `allow_request` has refused it with this response, which is counted and was shown to the hook.
    Answered(Response<Body>),
}

impl From<Refusal> for Declined {
    fn from(refusal: Refusal) -> Self {
        Self::Rule(refusal)
    }
}

pub(super) async fn respond<B>(
    context: Option<RequestContext>,
    request: Request<B>,
) -> Response<Body>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send,
{
    let Some(context) = context else {
        log_no_server();
        return Refusal::Unavailable.response();
    };
    // Hooks are guarded one by one. The values of the request, and its body, can run foreign code that panics too.
    let answer = guarded_polls(answer(&context, request)).await;
    answer.unwrap_or_else(|panicked| {
        context.server.report_panic(Hook::Request, &panicked);
        refuse(Refusal::InternalError, &context.server, None)
    })
}

async fn answer<B>(context: &RequestContext, request: Request<B>) -> Response<Body>
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
    let asked = match ask(context, &parts) {
        Ok(asked) => asked,
        Err(refusal) => return refuse(refusal, server, Some(&parts)),
    };
    let session_of = match asked {
        Asked::Open(..) => RequestFor::NewSession,
        Asked::Poll(_) | Asked::Post(_) | Asked::Upgrade(_) => RequestFor::OpenSession,
    };
    let seen = hooks
        .needs_request(session_of)
        .then(|| (Box::new(parts.clone()), asked.session()));
    let (seen, session) = seen.unzip();
    // The task of a session or an upgrade, which begins if no hook refuses the request.
    let mut task = None;
    let begin = |(response, begun)| {
        task = Some(begun);
        response
    };
    let served = match asked {
        Asked::Poll(entry) => {
            // The parts keep the server's read buffer alive, and a poll may wait for long.
            drop(parts);
            poll(&entry).await.map_err(Declined::Rule)
        }
        Asked::Post(entry) => {
            let kind = BodyKind::of(&parts);
            // The parts keep the server's read buffer alive, and the body may take long.
            drop(parts);
            let answer = post(context, &entry, kind, body).await;
            answer.map_err(Declined::Rule)
        }
        Asked::Upgrade(entry) => {
            let answer = upgrade(context, entry, parts).map(begin);
            answer.map_err(Declined::Rule)
        }
        Asked::Open(transport, revision) => admit_and_open(context, transport, revision, parts)
            .await
            .map(begin),
    };
    let mut response = match served {
        Ok(response) => response,
        Err(Declined::Rule(refusal)) => return refuse(refusal, server, seen.as_deref()),
        Err(Declined::Answered(response)) => return response,
    };
    if let Some(seen) = seen.as_deref()
        && let Err((hook, panicked)) = hooks.call_header_hooks(&mut response, seen, session_of)
    {
        return hook_panicked(context, session.flatten(), (hook, &panicked), seen);
    }
    if let Some(task) = task {
        tokio::spawn(task);
    }
    response
}

/// Reports that a hook has panicked at the sight of a response, and refuses the request instead.
fn hook_panicked(
    context: &RequestContext,
    session: Option<Arc<SessionEntry>>,
    (hook, panicked): (Hook, &Panicked),
    request: &Parts,
) -> Response<Body> {
    context.server.report_panic(hook, panicked);
    if let Some(entry) = session {
        // The packets in the response are lost.
        entry.broken(DisconnectReason::TransportError);
    }
    refuse(Refusal::InternalError, &context.server, Some(request))
}

/// Returns the meaning of a request, if its page may make it.
fn ask(context: &RequestContext, parts: &Parts) -> Result<Asked, Refusal> {
    let find = |sid| context.sessions.get(sid);
    let asked = parse(parts, &context.server.settings.engine, find)?;
    if context.server.hooks.origins.allow(parts) {
        Ok(asked)
    } else {
        Err(Refusal::InvalidOrigin)
    }
}

/// Opens a session if `allow_request` admits it. The connection is counted before the application is asked, which may
/// take long; the application is not asked if there are too many connections.
async fn admit_and_open(
    context: &RequestContext,
    transport: Transport,
    revision: Revision,
    mut parts: Parts,
) -> Result<(Response<Body>, BoxFuture<'static, ()>), Declined> {
    let mut guard = begin(context, &parts)?;
    if let Some(allow) = &context.server.hooks.allow {
        // A future in a box, since the outer one is moved with every request, and few requests open a session.
        let admitted = Box::pin(admit(allow, context, parts)).await;
        parts = admitted.map_err(Declined::Answered)?;
    }
    identify(context, &mut guard, &parts)?;
    Ok(open(context, guard, transport, revision, parts)?)
}

async fn poll(entry: &SessionEntry) -> Served {
    let (sender, receiver) = oneshot::channel();
    entry.send(InboundRequest::Poll(sender))?;
    match receiver.await {
        Ok(PollAnswer::Payload(body)) => Ok(payload(body)),
        Ok(PollAnswer::Overlap) => Err(Refusal::Overlap),
        Ok(PollAnswer::Upgraded) => Err(Refusal::TransportMismatch),
        Err(_) => Err(Refusal::SessionUnknown),
    }
}

impl From<NotQueued> for Refusal {
    fn from(reason: NotQueued) -> Self {
        match reason {
            NotQueued::Closed => Self::SessionUnknown,
            NotQueued::Full => Self::Overlap,
        }
    }
}

impl SessionEntry {
    /// Closes the session, unless its task has ended.
    pub(super) fn broken(&self, reason: DisconnectReason) {
        // A full inbox closes the session too.
        let _ = self.send(InboundRequest::Broken(reason));
    }
}
