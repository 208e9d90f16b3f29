//! Checks for options that cannot work, or not as they read. They are logged when the server is built.

use std::time::Duration;

use crate::hub::{Handlers, Hooks, Settings};

/// Checks the options of the server.
pub(super) fn check(settings: &Settings, hooks: &Hooks) {
    let engine = &settings.engine;
    if engine.transports.is_empty() {
        tracing::warn!("transports is empty: every request will be refused");
    }
    for (option, value, effect) in [
        (
            "ping_interval",
            engine.session.ping_interval,
            "pings are sent without a pause",
        ),
        (
            "ping_timeout",
            engine.session.ping_timeout,
            "no client can answer a ping in time",
        ),
        (
            "connect_timeout",
            engine.connect_timeout,
            "no client can join a namespace in time",
        ),
        (
            "upgrade_timeout",
            engine.session.upgrade_timeout,
            "no upgrade to WebSocket can succeed",
        ),
        (
            "body_timeout",
            engine.body_timeout,
            "a POST whose body does not arrive at once is refused",
        ),
        (
            "message_timeout",
            engine.message_timeout.unwrap_or(Duration::MAX),
            "a message that does not arrive at once closes its connection",
        ),
        (
            "stall_timeout",
            engine.stall_timeout.unwrap_or(Duration::MAX),
            "a client that is not read from at once is disconnected",
        ),
    ] {
        if value == Duration::ZERO {
            tracing::warn!("{option} is zero: {effect}");
        }
    }
    for (option, value, effect) in [
        (
            "max_payload",
            engine.max_payload,
            "no client can send anything",
        ),
        (
            "max_namespace_len",
            settings.limits.max_nsp_len,
            "no client can join a namespace other than /",
        ),
        (
            "max_event_len",
            settings.limits.max_event_len,
            "no client can send an event",
        ),
        (
            "max_connections",
            settings.max_connections,
            "every client is refused",
        ),
        (
            "max_connections_per_address",
            settings.max_connections_per_address,
            "every client is refused",
        ),
    ] {
        if value == 0 {
            tracing::warn!("{option} is 0: {effect}");
        }
    }
    if settings.drain_window > settings.drain_limit {
        let (window, limit) = (settings.drain_window, settings.drain_limit);
        tracing::warn!(
            ?window,
            ?limit,
            "drain_window is longer than drain_limit, which ends it"
        );
    }
    if settings.path.contains(['?', '#', ' ']) {
        tracing::warn!(path = settings.path, "no request can have this path");
    }
    if hooks
        .origins
        .as_ref()
        .is_some_and(|origins| origins.is_empty())
    {
        tracing::warn!("origins is an empty list: only pages of the server's own host may connect");
    }
}

/// Checks a namespace.
pub(super) fn check_namespace(name: &str, handlers: &Handlers, settings: &Settings) {
    let limits = &settings.limits;
    if name.contains([',', '?']) {
        tracing::warn!(
            nsp = name,
            "no client can join a namespace with a comma or a question mark in its name"
        );
    }
    if name.len() > limits.max_nsp_len {
        let limit = limits.max_nsp_len;
        tracing::warn!(
            nsp = name,
            limit,
            "no client can join a namespace whose name is longer than max_namespace_len"
        );
    }
    for event in handlers.events.keys() {
        if event.len() > limits.max_event_len {
            let limit = limits.max_event_len;
            tracing::warn!(
                nsp = name,
                event = &**event,
                limit,
                "no client can send an event whose name is longer than max_event_len"
            );
        }
    }
}
