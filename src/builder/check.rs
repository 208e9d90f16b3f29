//! Checks for options that cannot work, or not as they read. They are logged when the server is built.

use std::time::Duration;

use crate::http::Hooks;
use crate::server::{EngineSettings, Settings};
use crate::socket::NamespaceHandlers;

/// Checks the options of the server.
pub(super) fn check(settings: &Settings, hooks: &Hooks) {
    check_timeouts(&settings.engine);
    check_limits(settings);
    if settings.engine.transports.is_empty() {
        tracing::warn!("transports is empty: every request will be refused");
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
    let listed = hooks.origins.listed.as_ref();
    if listed.is_some_and(|listed| listed.is_empty()) {
        tracing::warn!("origins is an empty list: only pages of the server's own host may connect");
    }
}

/// Reports times of zero.
fn check_timeouts(engine: &EngineSettings) {
    let report = |option, value: Option<Duration>, effect| {
        if value == Some(Duration::ZERO) {
            tracing::warn!("{option} is zero: {effect}");
        }
    };
    report(
        "ping_interval",
        Some(engine.session.ping_interval),
        "pings are sent without a pause",
    );
    report(
        "ping_timeout",
        Some(engine.session.ping_timeout),
        "no client can answer a ping in time",
    );
    report(
        "connect_timeout",
        Some(engine.connect_timeout),
        "no client can join a namespace in time",
    );
    report(
        "upgrade_timeout",
        Some(engine.session.upgrade_timeout),
        "no upgrade to WebSocket can succeed",
    );
    report(
        "body_timeout",
        Some(engine.body_timeout),
        "a POST whose body does not arrive at once is refused",
    );
    report(
        "message_timeout",
        engine.message_timeout,
        "a message that does not arrive at once closes its connection",
    );
    report(
        "stall_timeout",
        engine.stall_timeout,
        "a client that is not read from at once is disconnected",
    );
}

/// Reports limits of 0.
fn check_limits(settings: &Settings) {
    let report = |option, limit, effect| {
        if limit == 0 {
            tracing::warn!("{option} is 0: {effect}");
        }
    };
    let limits = &settings.limits;
    report(
        "max_payload",
        settings.engine.max_payload,
        "no client can send anything",
    );
    report(
        "max_namespace_len",
        limits.max_nsp_len,
        "no client can join a namespace other than /",
    );
    report(
        "max_event_len",
        limits.max_event_len,
        "no client can send an event",
    );
    let effect = "every client is refused";
    report("max_connections", settings.max_connections, effect);
    report(
        "max_connections_per_address",
        settings.max_connections_per_address,
        effect,
    );
}

/// Checks a namespace.
pub(super) fn check_namespace(name: &str, handlers: &NamespaceHandlers, settings: &Settings) {
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
