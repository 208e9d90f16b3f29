//! Handlers for all events of one socket: their order, and their removal.

use std::sync::{Arc, Mutex};

use axum::Json;
use axum_socketio::handler::Listener;
use axum_socketio::{Namespace, Socket};
use tokio::sync::mpsc;

use super::with;
use crate::support::{Ws, next};

#[tokio::test]
async fn a_prepended_handler_runs_before_the_others_of_its_socket() {
    let (told, mut order) = mpsc::unbounded_channel();
    let tell = |name: &'static str| {
        let told = told.clone();
        async move || told.send(name).unwrap()
    };
    let (any, second, first) = (tell("namespace"), tell("second"), tell("first"));
    let namespace = Namespace::new()
        .on_any(any)
        .on_connect(async move |socket: Socket| {
            socket.on_any(second.clone());
            socket.prepend_any(first.clone());
        })
        .on("event", tell("event"));
    let (server, _io) = with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    client.send(r#"42["event"]"#).await;
    for expected in ["namespace", "first", "second", "event"] {
        assert_eq!(next(&mut order).await, expected);
    }
}

#[tokio::test]
async fn a_listener_removes_its_handler_alone() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let listeners = Arc::new(Mutex::new(Vec::<Listener>::new()));
    let note = |name: &'static str| {
        let seen = Arc::clone(&seen);
        async move || seen.lock().unwrap().push(name)
    };
    let added = Arc::clone(&listeners);
    let (a, b, c) = (note("a"), note("b"), note("c"));
    let namespace = Namespace::new()
        .on_connect(async move |socket: Socket| {
            let refuse = socket.before(async || Err::<(), _>("refused"));
            let all = [socket.on_any(a.clone()), socket.on_any(b.clone()), refuse];
            added.lock().unwrap().extend(all);
            socket.prepend_any(c.clone());
        })
        .on("event", async || Json("handled"));
    let (server, _io) = with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    let refused = r#"[{"error":"refused"}]"#;
    assert_eq!(client.ask(r#"["event"]"#).await, refused);
    let [a, _, refuse] = { listeners.lock().unwrap() }.clone().try_into().unwrap();
    assert!(refuse.remove() && !refuse.remove());
    assert_eq!(client.ask(r#"["event"]"#).await, r#"["handled"]"#);
    assert!(a.remove() && !a.remove());
    client.ask(r#"["event"]"#).await;
    let calls = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!(calls, ["c", "a", "b", "c", "a", "b", "c", "b"]);
}

#[tokio::test]
async fn a_listener_keeps_no_socket_and_removes_nothing_after_its_end() {
    let (send, mut listeners) = mpsc::unbounded_channel();
    let namespace = Namespace::new().on_connect(async move |socket: Socket| {
        send.send(socket.on_any(async || {})).unwrap();
    });
    let (server, io) = with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    let listener = next(&mut listeners).await;
    client.close().await;
    client.ended().await;
    crate::support::until("the socket is gone", || io.client_count() == 0).await;
    assert!(!listener.remove());
}
