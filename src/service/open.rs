//! The opening of sessions.

use std::sync::Arc;

use http::header;
use http::request::Parts;
use tracing::Instrument;

use super::refusal::Refusal;
use super::request_context::{Opening, RequestContext};
use super::response::payload;
use super::switch::switch_protocols;
use crate::driver::{ConnectionTask, Guard, SidInUse, TurnedAway, span};
use crate::http::OpeningRequest;
use crate::ids::new_sid;
use crate::metrics::Hook;
use crate::outbox::Outbox;
use crate::panics::guarded;
use crate::socket::Client;
use crate::transport::Body;
use proto::Sid;
use proto::engine_io::{Revision, Transport};

/// Begins a handshake, which has the session's id and counts as a connection from now on.
pub(super) fn begin(context: &RequestContext, parts: &Parts) -> Result<Guard, Refusal> {
    let sid = new_sid().ok_or(Refusal::Unavailable)?;
    let address = context.server.hooks.address(parts).map_err(|panicked| {
        let hook = Hook::MaxConnectionsPerAddress;
        context.server.report_panic(hook, &panicked);
        Refusal::InternalError
    })?;
    Ok(context.sessions.begin(sid, address)?)
}

/// Gives the connection the id that the application generates for it, if it generates ids.
pub(super) fn identify(
    context: &RequestContext,
    guard: &mut Guard,
    parts: &Parts,
) -> Result<(), Refusal> {
    let server = &context.server;
    let Some(generate) = &server.hooks.generate_id else {
        return Ok(());
    };
    let generated = guarded(|| generate(parts)).map_err(|panicked| {
        server.report_panic(Hook::GenerateId, &panicked);
        Refusal::InternalError
    })?;
    let fault = match generated {
        None => "it returned none",
        // No socket may have the id that stands for unknown sockets, and those of revision 3 have that of the session.
        Some(Sid::UNNAMED) => "the id is reserved",
        Some(sid) => match guard.set_sid(sid) {
            Ok(()) => return Ok(()),
            Err(SidInUse) => "another connection has the id",
        },
    };
    if server.logs.allow_refusal() {
        tracing::error!(fault, "a client is refused: no id from generate_id");
    }
    Err(Refusal::InternalError)
}

pub(super) fn open(
    context: &RequestContext,
    guard: Guard,
    transport: Transport,
    revision: Revision,
    parts: Parts,
) -> Opening {
    if transport == Transport::Polling {
        open_polling(context, guard, revision, parts)
    } else {
        open_duplex(context, guard, revision, parts)
    }
}

fn open_polling(
    context: &RequestContext,
    guard: Guard,
    revision: Revision,
    parts: Parts,
) -> Opening {
    let (client, packet) = fresh(context, &guard, parts, Transport::Polling, revision);
    let hooks = &context.server.hooks;
    let body = match &hooks.initial_packet {
        None if revision.is_four() => Body::text(packet.into()),
        initial => {
            let initial = initial.as_ref().map(|initial| initial.as_bytes());
            let packets = [packet.as_bytes()].into_iter().chain(initial);
            Body::of(packets, revision)
        }
    };
    let mut response = payload(body);
    if let Some(cookie) = hooks.cookie(client.sid) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    let span = span(client.sid);
    let connection = ConnectionTask::open(&context.server, guard, client, None);
    Ok((response, Box::pin(connection.run().instrument(span))))
}

fn open_duplex(
    context: &RequestContext,
    guard: Guard,
    revision: Revision,
    mut parts: Parts,
) -> Opening {
    let config = &context.server.settings.engine;
    let switch = switch_protocols(&mut parts, revision, config)?;
    let (client, packet) = fresh(context, &guard, parts, Transport::WebSocket, revision);
    let server = Arc::clone(&context.server);
    let (response, socket) = switch.transport(revision, config);
    // The span is created before the request is answered, since the span that it follows may be closed afterwards.
    let span = span(client.sid);
    let opening = async move {
        let mut socket = socket
            .await
            .inspect_err(|error| tracing::debug!(error = error.to_string(), "upgrade failed"))
            .ok()?;
        // There is room for the first packets.
        let _ = socket.push_packet(packet.as_bytes());
        if let Some(initial) = &server.hooks.initial_packet {
            let _ = socket.push_packet(initial.as_bytes());
        }
        // A parser may panic when it makes a decoder.
        let connection = guarded(|| ConnectionTask::open(&server, guard, client, Some(socket)));
        connection
            .inspect_err(|panicked| server.report_panic(Hook::Connection, panicked))
            .ok()
    };
    // The opening has a box of its own, since the task would hold the space for its values until the client leaves.
    let opening = Box::pin(opening);
    let task = async move {
        if let Some(connection) = opening.await {
            connection.run().await;
        }
    };
    Ok((response, Box::pin(task.instrument(span))))
}

impl From<TurnedAway> for Refusal {
    fn from(why: TurnedAway) -> Self {
        match why {
            TurnedAway::ShuttingDown => Self::Unavailable,
            TurnedAway::TooMany => Self::TooManyConnections,
            TurnedAway::TooManyOfAddress => Self::TooManyConnectionsOfAddress,
        }
    }
}

/// Creates a client, and the packet that opens its session.
fn fresh(
    context: &RequestContext,
    guard: &Guard,
    mut parts: Parts,
    transport: Transport,
    revision: Revision,
) -> (Arc<Client>, String) {
    let (config, sid) = (&context.server.settings.engine, guard.sid());
    parts.extensions.insert(context.io.clone());
    let packet = proto::engine_io::OpenPacket {
        sid,
        upgrade: config.upgrade(transport),
        ping_interval: config.session.ping_interval,
        ping_timeout: config.session.ping_timeout,
        max_payload: config.max_payload,
    };
    let outbox = Arc::new(Outbox::new(
        config.max_outbox_packets,
        config.max_outbox_bytes,
    ));
    let logs = Arc::clone(&context.server.logs);
    let client = Client::new(
        sid,
        revision,
        outbox,
        OpeningRequest::new(parts),
        transport,
        logs,
    );
    (Arc::new(client), packet.encode())
}
