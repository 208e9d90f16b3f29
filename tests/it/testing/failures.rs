//! The messages of failing tests.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use axum_socketio::testing::TestApp;
use axum_socketio::{Auth, Data, Namespace, Socket};
use futures_util::FutureExt;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{clients, serve};

/// Returns the message of a failure, without the location at the start of it. A future's message has the location of
/// its creation, because that of the panic is elsewhere.
async fn failure(fails: impl Future) -> String {
    let panic = AssertUnwindSafe(fails).catch_unwind().await.err();
    let words = *panic.expect("a panic").downcast::<String>().unwrap();
    match words.split_once(": ") {
        Some((place, words)) if place.starts_with(file!()) => words.to_owned(),
        _ => words,
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_does_not_come_fails_with_what_came() {
    let namespace = Namespace::new().on_connect(async |socket: Socket| {
        socket.emit("other", (1, "x"));
        socket.emit("more", ());
    });
    let (app, _io) = serve(namespace);
    for client in clients(&app).await {
        let start = Instant::now();
        assert_eq!(
            failure(client.next::<()>("message")).await,
            r#"expected an event "message" within 5s; what came instead: ["other",1,"x"], ["more"]"#
        );
        assert_eq!(start.elapsed().as_secs(), 5);
    }
}

#[tokio::test(start_paused = true)]
async fn the_limit_may_be_another() {
    let (app, _io) = serve(Namespace::new());
    let app = app.limit(Duration::from_secs(60));
    let client = app.connect("/").await.unwrap();
    assert_eq!(
        failure(client.next::<()>("message")).await,
        r#"expected an event "message" within 60s; nothing came"#
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_of_another_type_fails_with_its_json() {
    let namespace = Namespace::new().on_connect(async |socket: Socket| {
        socket.emit("message", "five");
        socket.emit("message", 5);
    });
    let (app, _io) = serve(namespace);
    for client in clients(&app).await {
        assert_eq!(
            failure(client.next::<u8>("message")).await,
            r#"expected an event "message" that is a u8: invalid type: string "five", expected u8 at argument 1; it is ["message","five"]"#
        );
        assert_eq!(
            failure(client.next_with_ack::<u8>("message")).await,
            r#"an event "message" wants no acknowledgement"#
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_should_not_come_fails() {
    let namespace = Namespace::new().on("later", async |socket: Socket| {
        sleep(Duration::from_millis(50)).await;
        socket.emit("message", 1);
    });
    let (app, _io) = serve(namespace);
    for client in clients(&app).await {
        client.emit("later", ()).await;
        assert_eq!(
            failure(client.expect_no("message")).await,
            r#"expected no event "message", but ["message",1] came"#
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_that_does_not_come_or_does_not_fit_fails() {
    let namespace = Namespace::new()
        .on("never", async || std::future::pending::<()>().await)
        .on("text", async |Data(text): Data<String>| drop(text));
    let (app, _io) = serve(namespace);
    for client in clients(&app).await {
        assert_eq!(
            failure(client.emit_with_ack::<()>("never", ())).await,
            r#"expected an acknowledgement of "never" within 5s; nothing came"#
        );
        assert_eq!(
            failure(client.emit_with_ack::<()>("text", 5)).await,
            "expected an acknowledgement of \"text\" that is a (): expected 0 arguments, got 1; it is \
             [{\"error\":\"text: invalid type: integer `5`, expected a string at argument 1\"}]"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_disconnected_fails_at_once() {
    let namespace = Namespace::new().on("kick", async |socket: Socket| socket.disconnect());
    let (app, _io) = serve(namespace);
    for client in clients(&app).await {
        let start = Instant::now();
        client.emit("kick", ()).await;
        assert_eq!(
            failure(client.next::<()>("message")).await,
            r#"expected an event "message"; nothing came; then the client was disconnected: io server disconnect"#
        );
        assert!(start.elapsed() < Duration::from_secs(1));
        let words = failure(async { client.emit("kick", ()).await }).await;
        assert_eq!(
            words,
            "cannot send, the client was disconnected: io server disconnect"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stays_connected_fails() {
    let (app, _io) = serve(Namespace::new());
    let client = app.connect("/").await.unwrap();
    assert_eq!(
        failure(client.disconnected()).await,
        "expected the client to be disconnected within 5s; nothing came"
    );
}

#[tokio::test(start_paused = true)]
async fn a_middleware_that_hangs_fails_the_connect() {
    let middleware = async |_: Option<Auth<Value>>| std::future::pending::<()>().await;
    let (app, _io) = serve(Namespace::new().middleware(middleware));
    assert_eq!(
        failure(app.connect("/").into_future()).await,
        "expected an answer to CONNECT for / within 5s; nothing came"
    );
}

#[tokio::test(start_paused = true)]
async fn an_http_answer_that_is_another_fails() {
    let hangs = async || std::future::pending::<()>().await;
    let router = Router::new()
        .route("/text", get(async || "text"))
        .route("/hangs", get(hangs));
    let app = TestApp::new(router);
    let answer = app.get("/text").await;
    assert_eq!(
        failure(async { answer.clone().assert_status(201) }).await,
        "expected an answer to GET /text with 201, got 200 OK: text"
    );
    assert_eq!(
        failure(async { answer.json::<u8>() }).await,
        "an answer to GET /text is not a u8: expected ident at line 1 column 2; it was text"
    );
    assert_eq!(
        failure(app.get("/hangs").into_future()).await,
        "expected an answer to GET /hangs within 5s; nothing came"
    );
}
