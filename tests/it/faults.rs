//! Faults of the application or its set-up are logged and counted, and clients do not receive the names of its types.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{ConnectInfo, MatchedPath, Query};
use axum::http::StatusCode;
use axum::{Extension, Json, Router};
use axum_socketio::handler::AckBody;
use axum_socketio::{Ack, Data, Limits, Namespace, Refused, Socket, SocketIo, Timeouts};
use serde::ser::{Error as _, Serialize, Serializer};
use tokio::sync::mpsc;
use tower::BoxError;
use tower::ServiceBuilder;

use crate::support::{Http, Logs, POLLING, Server, Ws, serve, within};

#[derive(Clone)]
struct Db;

async fn needs_db(_: Extension<Db>) {}

async fn needs_address(_: ConnectInfo<SocketAddr>) {}

async fn needs_route(_: MatchedPath) {}

async fn needs_session(_: tower_sessions::Session) {}

async fn needs_number(_: Data<u8>) {}

async fn needs_query(_: Query<Vec<(u8, u8)>>) {}

async fn start(namespace: Namespace) -> (Server, SocketIo) {
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .limits(Limits::new().max_log_records_per_connection(100))
        .build();
    (serve(Router::new().layer(io.layer())).await, io)
}

fn faults(io: &SocketIo, cause: &str) -> u64 {
    io.metrics().server_errors[cause]
}

/// Asserts that there is exactly one record that contains all of these texts.
#[track_caller]
fn is_logged(logs: &Logs, texts: &[&str]) {
    let mut records = logs.records();
    records.retain(|record| texts.iter().all(|text| record.contains(text)));
    assert_eq!(records.len(), 1, "{texts:?} in {:?}", logs.records());
    assert!(records[0].contains("WARN"), "{records:?}");
}

const INTERNAL: &str = r#"[{"error":"internal error"}]"#;

#[tokio::test]
async fn extractors_of_events_that_lack_something_are_logged_and_counted() {
    let logs = Logs::collect("warn");
    let (server, io) = start(
        Namespace::new()
            .on("db", needs_db)
            .on("address", needs_address)
            .on("route", needs_route)
            .on("session", needs_session)
            .fallback(needs_db),
    )
    .await;
    let mut client = Ws::joined(server.addr).await;
    for (event, handler, extractor) in [
        ("db", "faults::needs_db", "Extension<it::faults::Db>"),
        (
            "address",
            "faults::needs_address",
            "ConnectInfo<core::net::socket_addr::SocketAddr>",
        ),
        ("route", "faults::needs_route", "MatchedPath"),
        ("session", "faults::needs_session", "Session"),
        ("other", "faults::needs_db", "Extension<it::faults::Db>"),
    ] {
        assert_eq!(
            client.ask(&format!("[\"{event}\"]")).await,
            INTERNAL,
            "{event}"
        );
        let event = format!("event=\"{event}\"");
        is_logged(&logs, &[&event, "nsp=\"/\"", handler, extractor, "500"]);
    }
    is_logged(&logs, &["Missing request extension", "event=\"db\""]);
    assert_eq!(faults(&io, "extractor"), 5);
}

#[tokio::test]
async fn nobody_waits_for_the_event_and_it_is_logged_all_the_same() {
    let logs = Logs::collect("warn");
    let (server, io) = start(Namespace::new().on("db", needs_db)).await;
    let mut client = Ws::joined(server.addr).await;
    client.send(r#"42["db"]"#).await;
    client.ask(r#"["other"]"#).await;
    is_logged(&logs, &["event=\"db\"", "needs_db"]);
    assert_eq!(faults(&io, "extractor"), 1);
}

#[tokio::test]
async fn errors_of_clients_are_not_faults() {
    let logs = Logs::collect("warn");
    let (server, io) = start(
        Namespace::new()
            .on("number", needs_number)
            .on("query", needs_query)
            .on("refused", async || {
                Err::<(), _>((StatusCode::FORBIDDEN, "no"))
            }),
    )
    .await;
    let mut client = Ws::joined(server.addr).await;
    for event in ["[\"number\",\"x\"]", "[\"query\"]", "[\"refused\"]"] {
        let answer = client.ask(event).await;
        assert!(answer.contains("error") && answer != INTERNAL, "{answer}");
    }
    assert_eq!(logs.records(), [""; 0]);
    assert_eq!(io.metrics().server_errors.values().sum::<u64>(), 0);
}

#[tokio::test]
async fn extractors_ahead_of_events_and_around_them_are_logged() {
    let logs = Logs::collect("warn");
    let (server, io) = start(
        Namespace::new()
            .before(needs_db)
            .on_any(needs_address)
            .on("x", async || {}),
    )
    .await;
    let mut client = Ws::joined(server.addr).await;
    assert_eq!(client.ask("[\"x\"]").await, INTERNAL);
    is_logged(&logs, &["event=\"x\"", "needs_db"]);
    is_logged(&logs, &["event=\"x\"", "needs_address"]);
    assert_eq!(faults(&io, "extractor"), 2);
}

#[tokio::test]
async fn extractors_of_handlers_of_one_socket_are_logged() {
    let logs = Logs::collect("warn");
    let (server, io) = start(Namespace::new().on_connect(async |socket: Socket| {
        socket.on("own", needs_db);
        socket.once("once", needs_db);
    }))
    .await;
    let mut client = Ws::joined(server.addr).await;
    for event in ["own", "once"] {
        assert_eq!(client.ask(&format!("[\"{event}\"]")).await, INTERNAL);
        let event = format!("event=\"{event}\"");
        is_logged(&logs, &[&event, "needs_db"]);
    }
    assert_eq!(faults(&io, "extractor"), 2);
}

#[tokio::test]
async fn extractors_of_middleware_are_logged() {
    let logs = Logs::collect("warn");
    let (server, io) = start(Namespace::new().middleware(needs_db)).await;
    let mut client = Ws::open(server.addr).await;
    client.send("40").await;
    assert_eq!(client.text().await, r#"44{"message":"internal error"}"#);
    is_logged(&logs, &["event=\"middleware\"", "needs_db", "Extension<"]);
    assert_eq!(faults(&io, "extractor"), 1);
    assert_eq!(io.metrics().sockets_refused["middleware"], 1);
}

#[tokio::test]
async fn extractors_of_connect_and_disconnect_handlers_are_logged() {
    let logs = Logs::collect("warn");
    let (sender, mut failures) = mpsc::unbounded_channel();
    let (server, io) = start(
        Namespace::new()
            .on_connect(needs_db)
            .on_disconnect(needs_address)
            .on_error(move |failed: &axum_socketio::handler::Failed<'_>| {
                let _ = sender.send((failed.event.to_owned(), failed.status.as_u16()));
            }),
    )
    .await;
    let mut client = Ws::open(server.addr).await;
    client.send("40").await;
    assert!(client.text().await.starts_with("40"));
    assert_eq!(client.text().await, "41");
    for event in ["connect", "disconnect"] {
        let failed = within("a failure", failures.recv()).await.unwrap();
        assert_eq!(failed, (event.to_owned(), 500));
    }
    is_logged(&logs, &["event=\"connect\"", "needs_db", "Extension<"]);
    is_logged(
        &logs,
        &["event=\"disconnect\"", "needs_address", "ConnectInfo<"],
    );
    assert_eq!(faults(&io, "extractor"), 2);
    assert_eq!(io.metrics().handler_errors, 2);
}

async fn broken() -> Result<(), (StatusCode, &'static str)> {
    Err((StatusCode::BAD_GATEWAY, "no database"))
}

async fn broken_later() -> (StatusCode, Json<u8>) {
    tokio::task::yield_now().await;
    (StatusCode::INTERNAL_SERVER_ERROR, Json(7))
}

#[tokio::test]
async fn handlers_that_answer_5xx_are_logged_and_their_words_reach_the_client() {
    let logs = Logs::collect("warn");
    let (server, io) = start(
        Namespace::new()
            .on("now", broken)
            .on("later", broken_later)
            .fallback(broken),
    )
    .await;
    let mut client = Ws::joined(server.addr).await;
    let no_database = r#"[{"error":"no database"}]"#;
    assert_eq!(client.ask("[\"now\"]").await, no_database);
    is_logged(
        &logs,
        &["event=\"now\"", "faults::broken", "502", "no database"],
    );
    assert_eq!(client.ask("[\"later\"]").await, "[7]");
    is_logged(&logs, &["event=\"later\"", "faults::broken_later", "500"]);
    assert_eq!(client.ask("[\"what\"]").await, no_database);
    is_logged(&logs, &["event=\"what\"", "faults::broken", "502"]);
    assert_eq!(faults(&io, "handler"), 3);
}

#[tokio::test]
async fn middleware_that_answers_5xx_is_logged() {
    let logs = Logs::collect("warn");
    let (server, io) = start(Namespace::new().middleware(broken)).await;
    let mut client = Ws::open(server.addr).await;
    client.send("40").await;
    assert_eq!(client.text().await, r#"44{"message":"no database"}"#);
    is_logged(&logs, &["event=\"middleware\"", "faults::broken", "502"]);
    assert_eq!(faults(&io, "handler"), 1);
    let (server, io) =
        start(Namespace::new().middleware(async || Err::<(), _>(Refused::new("no")))).await;
    let mut client = Ws::open(server.addr).await;
    client.send("40").await;
    assert!(client.text().await.starts_with("44"));
    assert_eq!(faults(&io, "handler"), 0);
}

/// A value that cannot be serialized.
struct Unspeakable;

impl Serialize for Unspeakable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("on purpose"))
    }
}

#[tokio::test]
async fn answers_that_cannot_be_serialized_are_logged() {
    let logs = Logs::collect("warn");
    let (server, io) = start(
        Namespace::new()
            .on("returned", async || Json(Unspeakable))
            .on("sent", async |ack: Ack<Unspeakable>| ack.send(Unspeakable)),
    )
    .await;
    let mut client = Ws::joined(server.addr).await;
    assert_eq!(client.ask("[\"returned\"]").await, INTERNAL);
    is_logged(&logs, &["event=\"returned\"", "on purpose"]);
    assert_eq!(client.ask("[\"sent\"]").await, INTERNAL);
    is_logged(&logs, &["event=\"sent\"", "on purpose"]);
    assert_eq!(logs.with("on purpose").len(), 2);
    assert_eq!(faults(&io, "serialize"), 2);
}

#[tokio::test]
async fn errors_of_layers_are_logged() {
    let logs = Logs::collect("warn");
    let layer =
        ServiceBuilder::new().map_result(|_: Result<AckBody, _>| -> Result<AckBody, BoxError> {
            Err("layer is broken".into())
        });
    let (server, io) = start(Namespace::new().on("x", async || {}).layer(layer)).await;
    let mut client = Ws::joined(server.addr).await;
    assert_eq!(
        client.ask("[\"x\"]").await,
        r#"[{"error":"layer is broken"}]"#
    );
    is_logged(&logs, &["event=\"x\"", "layer is broken"]);
    assert_eq!(faults(&io, "layer"), 1);
}

async fn handshake(io: &SocketIo) -> (u16, String) {
    let server = serve(Router::new().layer(io.layer())).await;
    let answer = Http::once(server.addr, "GET", POLLING).await;
    (answer.status, answer.text().to_owned())
}

#[tokio::test]
async fn allow_request_that_lacks_something_is_logged() {
    let logs = Logs::collect("warn");
    let io = SocketIo::builder::<()>().allow_request(needs_db).build();
    let internal = r#"{"code":4,"message":"internal error"}"#;
    assert_eq!(handshake(&io).await, (500, internal.to_owned()));
    is_logged(
        &logs,
        &["needs_db", "Missing request extension", "allow_request"],
    );
    assert_eq!(faults(&io, "allow_request"), 1);
}

#[tokio::test]
async fn allow_request_may_answer_5xx_in_its_own_words() {
    let io = SocketIo::builder::<()>()
        .allow_request(async || (StatusCode::SERVICE_UNAVAILABLE, "closed for repairs"))
        .build();
    let closed = r#"{"code":4,"message":"closed for repairs"}"#;
    assert_eq!(handshake(&io).await, (503, closed.to_owned()));
    assert_eq!(faults(&io, "allow_request"), 1);
}

#[tokio::test]
async fn faults_are_logged_up_to_a_limit_and_all_are_counted() {
    let logs = Logs::collect("warn");
    let io = SocketIo::builder()
        .namespace("/", Namespace::new().on("db", needs_db))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Ws::joined(server.addr).await;
    for _ in 0..200 {
        client.send(r#"42["db"]"#).await;
    }
    client.ask(r#"["other"]"#).await;
    assert_eq!(logs.with("needs_db").len(), 10);
    assert_eq!(faults(&io, "extractor"), 200);
}

#[tokio::test]
async fn a_handle_that_was_never_built_is_reported() {
    let logs = Logs::collect("warn");
    let io = SocketIo::handle();
    assert_eq!(handshake(&io).await.0, 503);
    is_logged(&logs, &["build_into"]);
}

#[tokio::test]
async fn options_that_cannot_work_are_reported_when_the_server_is_built() {
    let logs = Logs::collect("warn");
    let _io = SocketIo::builder::<()>()
        .timeouts(
            Timeouts::new()
                .ping_interval(Duration::ZERO)
                .ping_timeout(Duration::ZERO)
                .body_timeout(Duration::ZERO)
                .message_timeout(Duration::ZERO)
                .stall_timeout(Duration::ZERO),
        )
        .transports([])
        .build();
    for option in [
        "ping_interval",
        "ping_timeout",
        "body_timeout",
        "message_timeout",
        "stall_timeout",
        "transports",
    ] {
        assert_eq!(logs.with(option).len(), 1, "{option}: {:?}", logs.records());
    }
    let logs = Logs::collect("warn");
    let _io = SocketIo::builder::<()>().build();
    assert_eq!(logs.records(), [""; 0]);
}
