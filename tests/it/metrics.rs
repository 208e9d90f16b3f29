//! The metrics: each number changes with the event that it counts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum_socketio::emit::{AckError, EmitError};
use axum_socketio::handler::Failed;
use axum_socketio::handler::{Handler, RateLimit};
use axum_socketio::metrics::ByLabel;
use axum_socketio::{Data, Limits, Namespace, Refused, Socket, SocketIo};
use http_body_util::BodyExt;
use serde::ser::{Error as _, Serialize, Serializer};
use tokio::sync::{Notify, mpsc};
use tower::ServiceExt;
use tower::timeout::TimeoutLayer;

use crate::support::{Clock, Http, Polling, Server, Ws, serve, sid_in, start, within};

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

async fn with(namespace: Namespace) -> (Server, SocketIo) {
    let io = SocketIo::builder().namespace("/", namespace).build();
    (serve(Router::new().layer(io.layer())).await, io)
}

/// Returns the numbers that are not zero.
fn moved(numbers: &ByLabel) -> Vec<(&'static str, u64)> {
    let all = numbers.iter().map(|(label, number)| (*label, *number));
    all.filter(|(_, number)| *number > 0).collect()
}

/// Connects a new client. Returns its socket and the client.
async fn socket(server: &Server, sockets: &mut mpsc::UnboundedReceiver<Socket>) -> (Socket, Ws) {
    let client = Ws::joined(server.addr).await;
    (within("a socket", sockets.recv()).await.unwrap(), client)
}

fn sockets() -> (Namespace, mpsc::UnboundedReceiver<Socket>) {
    let (sender, sockets) = mpsc::unbounded_channel();
    let namespace = Namespace::new().on_connect(move |socket: Socket| {
        let _ = sender.send(socket);
        std::future::ready(())
    });
    (namespace, sockets)
}

#[tokio::test]
async fn connections_are_counted_by_transport_and_by_how_they_end() {
    let (server, io, mut reasons) = start(|io| io).await;
    let polling = Polling::joined(server.addr).await;
    let mut websocket = Ws::joined(server.addr).await;
    let metrics = io.metrics();
    let each = [("polling", 1), ("websocket", 1)];
    assert_eq!(moved(&metrics.connections), each);
    assert_eq!(moved(&metrics.connections_opened), each);
    assert_eq!(metrics.sockets_connected, 2);
    assert_eq!(metrics.sockets["/"], 2);

    websocket.close().await;
    assert_eq!(reasons.next().await, "transport close");
    // Two polls at once are an error.
    let target = polling.target();
    let poll = || Http::once(server.addr, "GET", &target);
    tokio::join!(poll(), poll());
    assert_eq!(reasons.next().await, "transport error");
    let metrics = io.metrics();
    let each = [("transport close", 1), ("transport error", 1)];
    assert_eq!(moved(&metrics.connections_closed), each);
    assert_eq!(moved(&metrics.sockets_disconnected), each);
    assert_eq!(moved(&metrics.connections), []);
    assert_eq!(metrics.sockets["/"], 0);
}

#[test]
fn connections_of_a_runtime_that_ends_are_over() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (io, _clients) = runtime.block_on(async {
        let (server, io, _reasons) = start(|io| io).await;
        let polling = Polling::joined(server.addr).await;
        let websocket = Ws::joined(server.addr).await;
        assert_eq!(moved(&io.metrics().connections).len(), 2);
        (io, (polling, websocket))
    });
    drop(runtime);
    let metrics = io.metrics();
    assert_eq!(moved(&metrics.connections), []);
    assert_eq!(moved(&metrics.connections_closed), [("transport close", 2)]);
    assert_eq!(metrics.sockets["/"], 0);
}

#[tokio::test]
async fn an_emit_to_a_pattern_is_one_however_many_namespaces_it_has() {
    let io = SocketIo::builder()
        .namespace("/orders-{id}", Namespace::new())
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let emitted = || moved(&io.metrics().emits);
    io.of("/orders-{id}").emit("x", 1);
    assert_eq!(emitted(), [("broadcast", 1)]);
    let mut client = Ws::open(server.addr).await;
    client.join("/orders-1").await;
    client.join("/orders-2").await;
    io.of("/orders-{id}").emit("x", 1);
    assert_eq!(emitted(), [("broadcast", 2)]);
    assert_eq!(io.metrics().deliveries, 2);
    drop(io.of("/orders-{id}").emit_with_ack::<()>("x", 1));
    assert_eq!(emitted(), [("broadcast", 3)]);
}

#[tokio::test]
async fn an_upgrade_moves_a_connection_and_one_that_fails_does_not() {
    let (server, io, _reasons) = start(|io| io).await;
    let client = Polling::joined(server.addr).await;
    let mut wrong = Ws::upgrade(client.addr, &client.sid).await.unwrap();
    wrong.send("4hello").await;
    wrong.ended().await;
    assert_eq!(moved(&io.metrics().upgrades), [("failed", 1)]);
    assert_eq!(moved(&io.metrics().connections), [("polling", 1)]);

    let mut ws = Ws::upgrade(client.addr, &client.sid).await.unwrap();
    ws.send_all(&["2probe", "5"]).await;
    assert_eq!(ws.text().await, "3probe");
    ws.alive().await;
    let metrics = io.metrics();
    assert_eq!(moved(&metrics.upgrades), [("done", 1), ("failed", 1)]);
    assert_eq!(moved(&metrics.connections), [("websocket", 1)]);
    assert_eq!(moved(&metrics.connections_opened), [("polling", 1)]);
}

#[tokio::test]
async fn requests_that_are_refused_are_counted_by_their_reason() {
    let (server, io, _reasons) =
        start(|io| io.allow_request(async || StatusCode::UNAUTHORIZED)).await;
    for query in [
        "EIO=4&transport=polling&sid=unknown",
        "EIO=4&transport=pigeon",
        "EIO=1&transport=polling",
        "EIO=4&transport=websocket",
        "EIO=4&transport=polling",
    ] {
        let target = format!("/socket.io/?{query}");
        assert!(Http::once(server.addr, "GET", &target).await.status >= 400);
    }
    let refused = [
        ("FORBIDDEN", 1),
        ("SESSION_UNKNOWN", 1),
        ("TRANSPORT_HANDSHAKE_ERROR", 1),
        ("TRANSPORT_UNKNOWN", 1),
        ("UNSUPPORTED_PROTOCOL_VERSION", 1),
    ];
    assert_eq!(moved(&io.metrics().requests_refused), refused);
}

#[tokio::test]
async fn violations_of_polling_are_counted_and_passed_to_the_hook() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    let (server, io, _reasons) = start(|io| {
        io.on_connection_error(move |error| {
            let refusal = (error.context, error.status.as_u16(), error.code);
            sees.lock().unwrap().push(refusal);
        })
    })
    .await;
    let mut client = Polling::joined(server.addr).await;
    client.begin_poll(&server).await;
    assert_eq!(
        Http::once(server.addr, "GET", &client.target())
            .await
            .brief(),
        (400, "")
    );

    let mut client = Polling::joined(server.addr).await;
    client.begin_post(&server, 100, b"42[").await;
    let mut other = Http::open(server.addr).await;
    let second = other.ask("POST", &client.target(), &[], b"40").await;
    assert_eq!(second.brief(), (400, ""));
    assert_eq!(client.end_post().await.status, 400);

    let client = Polling::joined(server.addr).await;
    let put = Http::once(server.addr, "PUT", &client.target()).await;
    assert_eq!(put.brief(), (500, ""));

    for body in [&b"\xff"[..], b"not a packet"] {
        let mut client = Polling::joined(server.addr).await;
        assert_eq!(client.post(body).await.brief(), (400, ""));
    }
    let mut client = Polling::joined(server.addr).await;
    let binary = [("Content-Type", "application/octet-stream")];
    assert_eq!(client.post_with(&binary, "40").await.brief(), (400, ""));

    let expected = [
        ("BAD_BODY", 3),
        ("BAD_METHOD", 1),
        ("OVERLAP", 2),
        ("SESSION_UNKNOWN", 1),
    ];
    assert_eq!(moved(&io.metrics().requests_refused), expected);
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.sort_unstable();
    seen.dedup();
    let expected = [
        ("BAD_BODY", 400, 3),
        ("BAD_METHOD", 500, 3),
        ("OVERLAP", 400, 3),
        ("SESSION_UNKNOWN", 400, 1),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_counted() {
    let (_, io, _reasons) = start(|io| io).await;
    let service = io.service();
    let opened = service
        .clone()
        .oneshot(Request::get(POLLING).body(Body::empty()).unwrap())
        .await
        .unwrap();
    let body = opened.into_body().collect().await.unwrap().to_bytes();
    let target = format!(
        "{POLLING}&sid={}",
        sid_in(std::str::from_utf8(&body[1..]).unwrap())
    );
    let parts = [Ok("42["), Err(std::io::Error::other("reset"))];
    let body = Body::from_stream(futures_util::stream::iter(parts));
    let request = Request::post(target).body(body).unwrap();
    let answer = service.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(moved(&io.metrics().requests_refused), [("BAD_BODY", 1)]);
}

#[tokio::test]
async fn sockets_are_counted_by_namespace_and_those_of_a_pattern_together() {
    let io = SocketIo::builder()
        .namespace("/order-{id}", Namespace::new())
        .namespace(
            "/closed",
            Namespace::new().middleware(async || Err::<(), _>(Refused::new("no"))),
        )
        .namespace(
            "/broken",
            Namespace::new().middleware(async || {
                if true {
                    panic!("on purpose")
                }
            }),
        )
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Ws::open(server.addr).await;
    for nsp in ["/order-1", "/order-2"] {
        client.join(nsp).await;
    }
    for nsp in ["/closed", "/broken", "/nowhere"] {
        client.send(&format!("40{nsp},")).await;
        assert!(client.text().await.starts_with("44"));
    }
    let metrics = io.metrics();
    let sockets = metrics.sockets.iter();
    let sockets: Vec<_> = sockets.map(|(nsp, count)| (nsp.as_str(), *count)).collect();
    assert_eq!(
        sockets,
        [("/", 0), ("/broken", 0), ("/closed", 0), ("/order-{id}", 2)]
    );
    let refused = [("middleware", 2), ("no namespace", 1)];
    assert_eq!(moved(&metrics.sockets_refused), refused);
    assert_eq!((metrics.sockets_connected, metrics.handler_panics), (2, 1));
}

#[tokio::test]
async fn traffic_is_counted_in_events_packets_and_bytes() {
    let (server, io, _reasons) = start(|io| io).await;
    let mut ws = Ws::joined(server.addr).await;
    let before = io.metrics();
    ws.ask(r#"["echo",12345]"#).await;
    ws.send_all(&[r#"451-["bytes",{"_placeholder":true,"num":0}]"#])
        .await;
    ws.send_binary(&[0; 1000]).await;
    ws.alive().await;
    let after = io.metrics();
    assert_eq!(after.events_received - before.events_received, 3);
    assert_eq!(after.received_packets - before.received_packets, 4);
    assert!(after.received_bytes - before.received_bytes > 1000);
    assert_eq!(after.sent_packets - before.sent_packets, 2);

    let mut polling = Polling::joined(server.addr).await;
    let before = io.metrics();
    let body = "421[\"echo\",12345]\u{1e}421[\"echo\",6]";
    polling.send(body).await;
    polling.expect(&["431[12345]", "431[6]"]).await;
    let after = io.metrics();
    assert_eq!(after.events_received - before.events_received, 2);
    assert_eq!(after.received_packets - before.received_packets, 2);
    let bytes = after.received_bytes - before.received_bytes;
    assert_eq!(bytes, body.len() as u64);
    assert_eq!(after.sent_packets - before.sent_packets, 2);
    assert!(after.sent_bytes - before.sent_bytes >= 16);
}

fn failing() -> Namespace {
    Namespace::new()
        .on("err", async || {
            Err::<(), _>((StatusCode::BAD_GATEWAY, "no database"))
        })
        .on("panic", async || {
            if true {
                panic!("on purpose")
            }
        })
        .on("typed", async |Data(_): Data<u8>| {})
        .on(
            "limited",
            (async || {}).layer(RateLimit::new(0, Duration::from_secs(1))),
        )
        .on(
            "slow",
            std::future::pending::<()>.layer(TimeoutLayer::new(Duration::ZERO)),
        )
        .on_connect(async || Err::<(), _>("not today"))
        .on_disconnect(async || {
            if true {
                panic!("on purpose")
            }
        })
}

#[tokio::test]
async fn each_way_to_fail_has_its_number() {
    let (server, io) = with(failing().on_connect(async || {})).await;
    let mut client = Ws::joined(server.addr).await;
    for (event, answer) in [
        (r#"["err"]"#, r#"[{"error":"no database"}]"#),
        (r#"["panic"]"#, r#"[{"error":"internal error"}]"#),
        (
            r#"["typed","x"]"#,
            r#"[{"error":"typed: invalid type: string \"x\", expected u8 at argument 1"}]"#,
        ),
        (r#"["limited"]"#, r#"[{"error":"too many events"}]"#),
        (r#"["slow"]"#, r#"[{"error":"timed out"}]"#),
        (r#"["what"]"#, r#"[{"error":"no handler for \"what\""}]"#),
    ] {
        assert_eq!(client.ask(event).await, answer);
    }
    // This event requests no acknowledgement.
    client.send(r#"42["err"]"#).await;
    client.ask(r#"["err"]"#).await;
    let metrics = io.metrics();
    assert_eq!(metrics.events_received, 8);
    assert_eq!(metrics.handler_errors, 3);
    assert_eq!(metrics.handler_panics, 1);
    assert_eq!(metrics.events_rejected, 1);
    assert_eq!(metrics.events_unhandled, 1);
    let stopped = [("rate limit", 1), ("timeout", 1)];
    assert_eq!(moved(&metrics.events_stopped), stopped);
}

#[tokio::test]
async fn on_error_sees_errors_and_panics_and_may_panic_itself() {
    let (sender, mut failures) = mpsc::unbounded_channel();
    let namespace = failing().on_error(move |failed: &Failed<'_>| {
        let (event, message) = (failed.event.to_owned(), failed.message.to_owned());
        let _ = sender.send((event, failed.status.as_u16(), message, failed.panicked));
        panic!("on purpose");
    });
    let (server, io) = with(namespace).await;
    let mut client = Ws::open(server.addr).await;
    client.send_all(&["40", r#"421["err"]"#]).await;
    assert!(client.text().await.starts_with("40"));
    assert_eq!(client.text().await, "41");
    let mut next = async || {
        let failed = within("a failure", failures.recv()).await.unwrap();
        (failed.0, failed.1, failed.2, failed.3)
    };
    let failed = |event: &str, status, message: &str, panicked| {
        (event.to_owned(), status, message.to_owned(), panicked)
    };
    assert_eq!(next().await, failed("connect", 500, "not today", false));
    assert_eq!(
        next().await,
        failed("disconnect", 500, "internal error", true)
    );
    let metrics = io.metrics();
    assert_eq!((metrics.handler_errors, metrics.handler_panics), (1, 1));
}

#[tokio::test]
async fn on_error_gets_the_event_and_its_error() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (sender, waits) = (Arc::clone(&seen), Arc::new(Notify::new()));
    let goes_on = Arc::clone(&waits);
    let namespace = failing()
        .on_connect(async || {})
        .on("later", move || {
            let waits = Arc::clone(&waits);
            async move {
                waits.notified().await;
                Err::<(), _>(axum::Json(["gone"]))
            }
        })
        .on_error(move |failed: &Failed<'_>| {
            let (event, message) = (failed.event.to_owned(), failed.message.to_owned());
            let mut seen = sender.lock().unwrap();
            seen.push((event, failed.status.as_u16(), message, failed.panicked));
        });
    let (server, io) = with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    client.send(r#"427["later"]"#).await;
    assert_eq!(
        client.ask(r#"["err"]"#).await,
        r#"[{"error":"no database"}]"#
    );
    assert_eq!(io.metrics().handlers_waiting, 1);
    client.ask(r#"["panic"]"#).await;
    client.ask(r#"["typed","x"]"#).await;
    goes_on.notify_one();
    assert_eq!(client.text().await, r#"437[["gone"]]"#);
    assert_eq!(io.metrics().handlers_waiting, 0);
    let seen = seen.lock().unwrap();
    let seen: Vec<_> = seen
        .iter()
        .map(|(event, status, message, panicked)| (&**event, *status, &**message, *panicked))
        .collect();
    assert_eq!(
        seen,
        [
            ("err", 502, "no database", false),
            ("panic", 500, "internal error", true),
            ("later", 200, r#"["gone"]"#, false),
        ]
    );
}

struct Unserializable;

impl Serialize for Unserializable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("never"))
    }
}

#[tokio::test]
async fn emits_deliveries_and_what_was_not_delivered_are_counted() {
    let (namespace, mut sockets_of) = sockets();
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .limits(Limits::new().max_outbox_packets(2))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let (one, mut client) = socket(&server, &mut sockets_of).await;
    let (_two, _other) = socket(&server, &mut sockets_of).await;

    one.emit("a", 1);
    io.emit("b", 2);
    let metrics = io.metrics();
    assert_eq!(moved(&metrics.emits), [("broadcast", 1), ("socket", 1)]);
    assert_eq!(metrics.deliveries, 3);

    // The outbox is full with two events, and a volatile event requires an empty one.
    assert!(matches!(
        one.emit("c", 3).into_result(),
        Err(EmitError::Full(_))
    ));
    one.volatile().emit("d", 4);
    io.to(one.id()).volatile().emit("d", 4);
    io.to(one.id()).emit("e", 5);
    one.emit("f", Unserializable);
    io.emit("f", Unserializable);
    one.emit("connect", ());
    let full = one.emit_with_ack::<()>("g", 7).await;
    assert!(matches!(full, Err(AckError::Emit(EmitError::Full(_)))));
    client.close().await;
    within("the end", one.closed()).await;
    one.emit("h", 8);
    let metrics = io.metrics();
    let undelivered = [
        ("closed", 1),
        ("full", 3),
        ("reserved", 1),
        ("serialize", 2),
        ("volatile", 2),
    ];
    assert_eq!(moved(&metrics.undelivered), undelivered);
    assert_eq!(metrics.deliveries, 3);
}

#[tokio::test]
async fn an_event_that_waits_for_room_is_counted_when_it_has_some() {
    let (namespace, mut sockets_of) = sockets();
    let (server, io) = with(namespace).await;
    let (one, _client) = socket(&server, &mut sockets_of).await;
    one.emit_when_writable("a", 1).await.unwrap();
    let metrics = io.metrics();
    assert_eq!(moved(&metrics.emits), [("socket", 1)]);
    assert_eq!(metrics.deliveries, 1);
}

#[tokio::test]
async fn acknowledgements_are_counted_and_so_are_those_that_do_not_come() {
    let (namespace, mut sockets_of) = sockets();
    let (server, io) = with(namespace).await;
    let (one, mut client) = socket(&server, &mut sockets_of).await;
    let answer = one.emit_with_ack::<u8>("ask", ());
    assert_eq!(client.text().await, r#"420["ask"]"#);
    client.send("430[5]").await;
    assert_eq!(answer.await.unwrap(), 5);
    assert_eq!(io.metrics().acks_received, 1);
    assert_eq!(io.metrics().acks_timed_out, 0);

    let clock = Clock::stop();
    let answer = one.emit_with_ack::<u8>("ask", ());
    let mut answers = io.emit_with_ack::<u8>("ask", ());
    clock.advance(Duration::from_secs(5)).await;
    assert!(matches!(answer.await, Err(AckError::Timeout)));
    assert_eq!(io.metrics().acks_timed_out, 1);
    for _ in 0..2 {
        assert!(answers.next().await.is_none());
    }
    let metrics = io.metrics();
    assert_eq!(metrics.acks_timed_out, 2);
    assert_eq!(moved(&metrics.emits), [("broadcast", 1), ("socket", 2)]);
    assert_eq!(metrics.deliveries, 3);
}

#[cfg(feature = "testing")]
#[tokio::test(start_paused = true)]
async fn recoveries_are_counted_by_outcome() {
    use axum_socketio::config::Recovery;
    use axum_socketio::testing::TestApp;

    let recovery = Recovery::new().max_duration(Duration::from_secs(10));
    let io = SocketIo::builder().recovery(recovery).build();
    let app = TestApp::new(Router::new().layer(io.layer()));
    let first = app.connect("/").await.unwrap();
    io.emit("n", 0);
    first.next::<u32>("n").await;
    assert_eq!(moved(&io.metrics().recoveries), []);
    first.cut().await;
    let second = app.connect("/").coming_back_as(&first).await.unwrap();
    assert_eq!(moved(&io.metrics().recoveries), [("recovered", 1)]);
    second.cut().await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    let third = app.connect("/").coming_back_as(&second).await.unwrap();
    assert!(!third.recovered());
    let expected = [("failed", 1), ("recovered", 1)];
    assert_eq!(moved(&io.metrics().recoveries), expected);
}

#[test]
fn a_handle_without_a_server_has_counted_nothing() {
    let metrics = SocketIo::handle().metrics();
    assert_eq!(metrics.events_received, 0);
    assert!(metrics.sockets.is_empty());
}

#[cfg(feature = "metrics")]
mod facade {
    use axum_socketio::cluster::LocalCluster;
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    fn published(io: &SocketIo) -> String {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            io.publish_metrics();
            // The second call sets the counters, and adds nothing.
            io.publish_metrics();
        });
        recorder.handle().render()
    }

    #[tokio::test]
    async fn counters_are_published_with_labels_and_descriptions() {
        let (server, io) = with(Namespace::new().on("x", async || {})).await;
        let mut client = Ws::joined(server.addr).await;
        client.ask(r#"["x"]"#).await;
        client.ask(r#"["y"]"#).await;
        let text = published(&io);
        for line in [
            "# HELP socketio_events_received_total Events that were received from clients.",
            "# TYPE socketio_events_received_total counter",
            "socketio_events_received_total 2",
            "socketio_events_unhandled_total 1",
            "# TYPE socketio_connections gauge",
            r#"socketio_connections{transport="websocket"} 1"#,
            r#"socketio_connections{transport="polling"} 0"#,
            r#"socketio_connections_closed_total{reason="ping timeout"} 0"#,
            r#"socketio_sockets{namespace="/"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[tokio::test]
    async fn the_duration_of_handlers_is_recorded_by_registered_names() {
        use axum_socketio::handler::HandlerTime;

        let recorder = PrometheusBuilder::new().build_recorder();
        // The recorder is that of this thread, on which the server runs too.
        let _recorder = metrics::set_default_local_recorder(&recorder);
        let namespace = Namespace::new()
            .on("work", async || {
                tokio::time::sleep(Duration::from_secs(2)).await
            })
            .fallback(async || {})
            .layer(HandlerTime::new());
        let (server, _io) = with(namespace).await;
        let mut client = Ws::joined(server.addr).await;
        client.ask(r#"["one"]"#).await;
        client.ask(r#"["two"]"#).await;
        let clock = Clock::stop();
        client.send(r#"427["work"]"#).await;
        // The handler has started when the next event has been answered.
        client.ask(r#"["three"]"#).await;
        clock.advance(Duration::from_secs(2)).await;
        assert_eq!(client.text().await, "437[]");
        let text = recorder.handle().render();
        let count = |event| format!(r#"socketio_handler_seconds_count{{event="{event}"}}"#);
        assert!(text.contains(&format!("{} 1", count("work"))), "{text}");
        assert!(text.contains(&format!("{} 3", count("other"))), "{text}");
        let sum = r#"socketio_handler_seconds_sum{event="work"} "#;
        let sum = text
            .lines()
            .find_map(|line| line.strip_prefix(sum))
            .unwrap();
        assert!((2.0..3.0).contains(&sum.parse().unwrap()), "{sum}");
    }

    /// Returns the rows of the document's table: name, kind, label, meaning.
    fn rows() -> Vec<String> {
        let table = include_str!("../../docs/metrics.md");
        let rows = table
            .lines()
            .filter(|line| line.starts_with("| `socketio_"));
        rows.map(str::to_owned).collect()
    }

    #[test]
    fn the_documents_have_a_row_for_each() {
        let text = published(&SocketIo::builder().cluster(LocalCluster::new()).build());
        let connected = "socketio_cluster_connected 1";
        assert!(text.lines().any(|line| line == connected), "{text}");
        let mut expected = Vec::new();
        for help in text.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
            let (name, meaning) = help.split_once(' ').unwrap();
            let kind = text
                .lines()
                .find_map(|line| line.strip_prefix(&format!("# TYPE {name} ")));
            let label = text.lines().find_map(|line| {
                let (label, _) = line.strip_prefix(&format!("{name}{{"))?.split_once('=')?;
                Some(format!("`{label}`"))
            });
            let (kind, label) = (kind.unwrap(), label.unwrap_or_default());
            expected
                .push(format!("| `{name}` | {kind} | {label} | {meaning} |").replace("  ", " "));
        }
        assert!(expected.len() > 20, "{text}");
        let mut rows = rows();
        rows.sort();
        expected.sort();
        assert_eq!(rows, expected, "{}", expected.join("\n"));
    }
}
