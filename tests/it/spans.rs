//! The spans of the library, and the code that runs in them.

use axum::Router;
use axum::extract::Request;
use axum_socketio::{Namespace, SocketIo};
use tower_http::trace::TraceLayer;
use tracing::Level;

use crate::support::{Polling, Server, Spans, Ws, echo, serve, serve_http2};

/// Creates an application whose requests have spans, as in most applications.
fn traced(namespace: Namespace) -> Router {
    let io = SocketIo::builder().namespace("/", namespace).build();
    let requests = TraceLayer::new_for_http().make_span_with(|request: &Request| {
        tracing::info_span!("request", method = %request.method(), path = request.uri().path())
    });
    Router::new().layer(io.layer()).layer(requests)
}

fn handlers() -> Namespace {
    echo()
        .0
        .middleware(async || {
            tokio::task::yield_now().await;
            tracing::info!("middleware body");
        })
        .on_connect(async || tracing::info!("connect body"))
        .on("quick", async || tracing::info!("event body"))
        .on("slow", async || {
            tokio::task::yield_now().await;
            tracing::info!("event body");
        })
        .on_disconnect(async || {
            tokio::task::yield_now().await;
            tracing::info!("disconnect body");
        })
}

/// Asserts that the span of the only connection is a root that follows from its request, and that the request's span is
/// closed.
async fn is_a_root(spans: &Spans) {
    let closed = spans.find("the end of a request", |spans| {
        let found = spans.named("request");
        found.first().is_some_and(|span| span.closed).then_some(())
    });
    closed.await;
    let connections = spans.named("connection");
    assert_eq!(connections.len(), 1);
    assert_eq!(connections[0].parents, [""; 0]);
    assert_eq!(connections[0].follows, ["request"]);
    assert!(!connections[0].closed);
}

#[tokio::test]
async fn the_span_of_a_connection_outlives_that_of_its_request_over_polling() {
    let spans = Spans::record(Level::DEBUG);
    let server = serve(traced(handlers())).await;
    let _client = Polling::joined(server.addr).await;
    is_a_root(&spans).await;
}

#[tokio::test]
async fn the_span_of_a_connection_outlives_that_of_its_request_over_websocket() {
    let spans = Spans::record(Level::DEBUG);
    let server = serve(traced(handlers())).await;
    let _client = Ws::joined(server.addr).await;
    is_a_root(&spans).await;
}

#[tokio::test]
async fn the_span_of_a_connection_outlives_that_of_its_request_over_http2() {
    let spans = Spans::record(Level::DEBUG);
    let server = serve_http2(traced(handlers())).await;
    crate::http2::joined(&server).await;
    is_a_root(&spans).await;
}

#[tokio::test]
async fn an_upgrade_leaves_no_request_open_and_the_connection_its_span() {
    let spans = Spans::record(Level::DEBUG);
    let server = serve(traced(handlers())).await;
    let client = Polling::joined(server.addr).await;
    let mut ws = Ws::upgrade(client.addr, &client.sid).await.unwrap();
    ws.send_all(&["2probe", "5"]).await;
    assert_eq!(ws.text().await, "3probe");
    ws.alive().await;
    is_a_root(&spans).await;
    let requests = spans.named("request");
    assert!(requests.iter().all(|span| span.closed), "{requests:?}");
}

async fn bodies_are_in_spans(server: &Server, spans: &Spans) {
    let mut client = Ws::joined(server.addr).await;
    for event in [r#"["quick"]"#, r#"["slow"]"#] {
        client.ask(event).await;
    }
    client.close().await;
    drop(client);
    for (body, times) in [
        ("middleware body", 1),
        ("connect body", 1),
        ("event body", 2),
        ("disconnect body", 1),
    ] {
        let bodies = spans.find(body, |spans| {
            let bodies = spans.events(|event| event.message == body);
            (bodies.len() == times).then_some(bodies)
        });
        for logged in bodies.await {
            assert_eq!(logged.spans, ["event", "connection"], "{body}");
        }
    }
    let closed = spans.find("the end of the connection", |spans| {
        let found = spans.named("connection");
        found.iter().all(|span| span.closed).then_some(())
    });
    closed.await;
}

#[tokio::test]
async fn handlers_run_in_a_span_within_that_of_their_connection() {
    let spans = Spans::record(Level::DEBUG);
    let server = serve(traced(handlers())).await;
    bodies_are_in_spans(&server, &spans).await;
}

/// A test at `info`, where the connection and the events have no spans. Handlers must not run in the spans of requests
/// instead.
#[tokio::test]
async fn handlers_are_never_in_the_span_of_a_request() {
    let spans = Spans::record(Level::INFO);
    let server = serve(traced(handlers())).await;
    let mut client = Polling::joined(server.addr).await;
    client.send(r#"421["slow"]"#).await;
    client.expect(&["431[]"]).await;
    let bodies = spans.events(|event| event.message.ends_with("body"));
    assert_eq!(bodies.len(), 3);
    for logged in bodies {
        assert_eq!(logged.spans, [""; 0], "{logged:?}");
    }
}
