//! Transports that take over a session from polling.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::request::Parts;

use super::request_context::{Opening, RequestContext};
use super::switch::switch_protocols;
use crate::driver::{InboundRequest, SessionEntry, turn_away};
use crate::metrics::{Counted, RequestRule};
use crate::transport::Duplex;

/// Answers the upgrade of a session. A session is taken over once, by one transport at a time.
pub(super) fn upgrade(
    context: &RequestContext,
    entry: Arc<SessionEntry>,
    mut parts: Parts,
) -> Opening {
    let config = &context.server.settings.engine;
    let revision = entry.client.revision;
    let switch = switch_protocols(&mut parts, revision, config)?;
    let (response, socket) = switch.transport(revision, config);
    let Some(upgrading) = Upgrading::begin(&entry) else {
        let task = refuse_another(context, &entry, socket);
        return Ok((response, Box::pin(task)));
    };
    let task = async move {
        let inbound = match socket.await {
            Ok(socket) => InboundRequest::Probe(socket),
            Err(error) => {
                tracing::debug!(sid = %entry.client.sid, error = error.to_string(), "upgrade failed");
                InboundRequest::ProbeFailed
            }
        };
        // A transport that the session does not take is dropped.
        if entry.send(inbound).is_ok() {
            upgrading.hand_over();
        }
    };
    Ok((response, Box::pin(task)))
}

/// An upgrade that has begun. If it is dropped before the connection's task has it, the session may begin another one.
struct Upgrading {
    entry: Arc<SessionEntry>,
    handed_over: bool,
}

impl Upgrading {
    /// Returns `None` if a transport is taking over the session, or has.
    fn begin(entry: &Arc<SessionEntry>) -> Option<Self> {
        let free = !entry.upgrading.swap(true, Ordering::AcqRel);
        free.then(|| Self {
            entry: Arc::clone(entry),
            handed_over: false,
        })
    }

    /// The connection's task has the transport, and decides whether there may be another one.
    fn hand_over(mut self) {
        self.handed_over = true;
    }
}

impl Drop for Upgrading {
    fn drop(&mut self) {
        if !self.handed_over {
            self.entry.upgrading.store(false, Ordering::Release);
        }
    }
}

/// Closes the second transport of a session after it was accepted, as Node's server does. Applications that use the
/// `ws` package directly do not catch the error that a response with another status causes.
fn refuse_another<F>(
    context: &RequestContext,
    entry: &SessionEntry,
    socket: F,
) -> impl Future<Output = ()> + Send + use<F>
where
    F: Future<Output = hyper::Result<Duplex>> + Send + 'static,
{
    let counters = &context.server.counters;
    counters.add(Counted::RequestsRefused(RequestRule::UpgradedAlready), 1);
    tracing::debug!(sid = %entry.client.sid, "second websocket of a session closed");
    async move {
        if let Ok(socket) = socket.await {
            turn_away(socket).await;
        }
    }
}
