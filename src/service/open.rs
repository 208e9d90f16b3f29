//! New sessions.

use std::sync::Arc;

use http::header;
use http::request::Parts;

use super::response::{Refusal, payload};
use super::serve::{Answer, Context};
use super::switch::switch_protocols;
use crate::driver::{Connection, Guard, TurnedAway};
use crate::engine::{Outbox, Transport};
use crate::hub::{Client, Handshake, new_sid};
use crate::protocol::Sid;
use crate::protocol::engine_io::Revision;
use crate::transport::Body;

pub(super) fn open(
    context: &Context,
    transport: Transport,
    revision: Revision,
    parts: Parts,
) -> Answer {
    match transport {
        Transport::Polling => open_polling(context, revision, parts),
        Transport::WebSocket => open_websocket(context, revision, parts),
    }
}

fn open_polling(context: &Context, revision: Revision, parts: Parts) -> Answer {
    let Fresh {
        guard,
        client,
        packet,
    } = fresh(context, parts, Transport::Polling, revision)?;
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
    let connection = Connection::open(&context.server, guard, client, None);
    tokio::spawn(connection.run());
    Ok(response)
}

fn open_websocket(context: &Context, revision: Revision, mut parts: Parts) -> Answer {
    let config = &context.server.settings.engine;
    let switch = switch_protocols(&mut parts, revision, config)?;
    let Fresh {
        guard,
        client,
        packet,
    } = fresh(context, parts, Transport::WebSocket, revision)?;
    let server = Arc::clone(&context.server);
    let (response, socket) = switch.socket(revision, config);
    tokio::spawn(async move {
        let mut socket = match socket.await {
            Ok(socket) => socket,
            Err(error) => return tracing::debug!(%error, "upgrade failed"),
        };
        socket.push_packet(packet.as_bytes());
        if let Some(initial) = &server.hooks.initial_packet {
            socket.push_packet(initial.as_bytes());
        }
        let connection = Connection::open(&server, guard, client, Some(socket));
        drop(server);
        connection.run().await;
    });
    Ok(response)
}

impl From<TurnedAway> for Refusal {
    fn from(why: TurnedAway) -> Self {
        match why {
            TurnedAway::ShuttingDown => Self::Unavailable,
            TurnedAway::TooMany => Self::TooMany,
            TurnedAway::TooManyOfAddress => Self::TooManyOfAddress,
        }
    }
}

/// A client whose session is about to open.
struct Fresh {
    guard: Guard,
    client: Arc<Client>,
    /// What opens its session.
    packet: String,
}

fn fresh(
    context: &Context,
    mut parts: Parts,
    transport: Transport,
    revision: Revision,
) -> Result<Fresh, Refusal> {
    let config = &context.server.settings.engine;
    let sid: Sid = new_sid().ok_or(Refusal::Unavailable)?;
    let address = context.server.hooks.address(&parts);
    let guard = context.sessions.begin(sid, address)?;
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
    let client = Client::new(sid, revision, outbox, Handshake::new(parts), transport);
    Ok(Fresh {
        guard,
        client: Arc::new(client),
        packet: packet.encode(),
    })
}
