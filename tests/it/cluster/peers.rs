//! Other servers that are slow, gone, wrong, or more than expected.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum_socketio::cluster::AdapterError;
use axum_socketio::emit::{AckError, EmitError};
use axum_socketio::testing::TestApp;
use axum_socketio::{Data, Namespace, Sid, SocketIo};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::connect;
use super::wire::{Engine, broadcast, joined, server};
use crate::support::Logs;

/// Creates a server with namespaces for rooms.
fn server_with_rooms(engine: &Engine) -> SocketIo {
    SocketIo::builder()
        .cluster(engine.clone())
        .namespace("/rooms-{id}", Namespace::new())
        .build()
}

/// Delivers a message of a server.
fn deliver(engine: &Engine, uid: &str, kind: u8, data: &Value) {
    let message = json!({ "type": kind, "data": data, "uid": uid, "nsp": "/" });
    engine.deliver("/", message.to_string());
}

#[tokio::test(start_paused = true)]
async fn no_server_stands_for_another_before_their_number_is_known() {
    let engine = Engine::with_servers(3);
    let delay = Arc::new(Notify::new());
    engine.0.lock().unwrap().delay = Some(Arc::clone(&delay));
    let io = server(&engine);
    let mut asking = io.emit_with_ack::<u8>("q", ());
    let id = engine.message().1["data"]["requestId"].clone();
    let nobody = json!({ "requestId": id, "clientCount": 0 });
    deliver(&engine, "quick", 11, &nobody);
    let waits = timeout(Duration::from_secs(1), asking.next()).await;
    assert!(waits.is_err(), "the number of servers is not known");
    assert_eq!(asking.summary().silent_servers, 1);
    delay.notify_one();
    deliver(&engine, "quick", 11, &nobody);
    let waits = timeout(Duration::from_secs(1), asking.next()).await;
    assert!(waits.is_err(), "a server counts once");
    assert_eq!(asking.summary().silent_servers, 1);
    let count = json!({ "requestId": id, "clientCount": 1 });
    deliver(&engine, "slow", 11, &count);
    deliver(
        &engine,
        "slow",
        12,
        &json!({ "requestId": id, "packet": 7 }),
    );
    let (answers, summary) = asking.all().await;
    assert_eq!(answers, [(Sid::UNNAMED, 7)]);
    assert_eq!((summary.asked, summary.silent_servers), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn clients_without_ids_leave_with_their_own_server() {
    let engine = Engine::with_heartbeats();
    let io = server(&engine);
    for uid in ["one", "two"] {
        engine.deliver_sign(uid, 2);
    }
    let asking = io.of("/").no_timeout().emit_with_ack::<u8>("q", ());
    let id = engine.message().1["data"]["requestId"].clone();
    let answer = json!({ "requestId": id, "packet": 7 });
    for (uid, count) in [("one", 3), ("one", 3), ("two", 2)] {
        deliver(
            &engine,
            uid,
            11,
            &json!({ "requestId": id, "clientCount": count }),
        );
    }
    deliver(&engine, "one", 12, &answer);
    engine.deliver_sign("one", 13);
    assert_eq!(asking.summary().missing.len(), 2);
    for _ in 0..2 {
        deliver(&engine, "two", 12, &answer);
    }
    let (answers, summary) = asking.all().await;
    assert_eq!((answers.len(), summary.asked), (3, 5));
    assert_eq!(summary.left.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_number_of_clients_that_lies_costs_nothing() {
    let engine = Engine::with_servers(2);
    let io = server(&engine);
    let asking = io
        .timeout(Duration::from_secs(1))
        .emit_with_ack::<u8>("q", ());
    let id = engine.message().1["data"]["requestId"].clone();
    for _ in 0..100 {
        let count = json!({ "requestId": id, "clientCount": u64::MAX });
        deliver(&engine, "", 11, &count);
    }
    let (_, summary) = asking.all().await;
    assert_eq!(summary.asked, usize::MAX);
    assert_eq!(summary.missing.len(), 1_000_000);
}

#[tokio::test(start_paused = true)]
async fn without_the_engine_nobody_takes_this_server_for_the_whole_cluster() {
    let engine = Engine::with_servers(2);
    let io = server(&engine);
    let ann = connect(&io).await;
    engine.0.lock().unwrap().is_gone = true;
    assert!(matches!(
        io.of("/").count().await,
        Err(AdapterError::Engine)
    ));
    assert!(matches!(
        io.of("/").rooms().await,
        Err(AdapterError::Engine)
    ));
    assert!(matches!(
        io.fetch_sockets().await,
        Err(AdapterError::Engine)
    ));
    assert_eq!(io.local().count().await.unwrap(), 1);
    let begun = Instant::now();
    let asking = io.emit_with_ack::<u8>("q", ());
    ann.next_with_ack::<()>("q").await.ack(1).await;
    let (answers, summary) = asking.all().await;
    assert_eq!(answers, [(ann.id(), 1)]);
    assert_eq!(summary.silent_servers, 1);
    let asked = io.server_side_emit_with_ack::<u8>("add", (1, 2));
    assert_eq!(asked.await.unwrap().missing, 1);
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_a_request_covers_the_wait_for_the_engine() {
    let engine = Engine::with_servers(2);
    engine.0.lock().unwrap().delay = Some(Arc::default());
    let io = server(&engine);
    let begun = Instant::now();
    let asked = io
        .of("/")
        .server_timeout(Duration::from_secs(1))
        .server_side_emit_with_ack::<u8>("add", (1, 2));
    assert_eq!(asked.await.unwrap().missing, 1);
    assert_eq!(begun.elapsed().as_secs(), 1);
    assert!(matches!(
        io.of("/").count().await,
        Err(AdapterError::Engine)
    ));
}

#[tokio::test(start_paused = true)]
async fn only_servers_that_were_there_when_a_request_was_sent_have_to_answer() {
    let engine = Engine::with_servers(1);
    let io = server(&engine);
    let asked = io.server_side_emit_with_ack::<u8>("add", (1, 2));
    engine.0.lock().unwrap().servers = 2;
    let answers = asked.await.unwrap();
    assert_eq!((answers.answers, answers.missing), (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn requests_about_a_namespace_of_other_servers_leave_no_subscription_behind() {
    let engine = Engine::with_servers(1);
    let io = server_with_rooms(&engine);
    let before = engine.0.lock().unwrap().subscribed.clone();
    let rooms = io.of("/rooms-1");
    let asking: Vec<_> = (0..3).map(|_| rooms.emit_with_ack::<u8>("q", ())).collect();
    // The server has no such namespace, so it has nothing to say about it.
    engine.published();
    let request = json!({ "opts": { "rooms": [] }, "requestId": "r" });
    let message = json!({ "type": 7, "data": request, "uid": "node", "nsp": "/rooms-1" });
    engine.deliver("/rooms-1", message.to_string());
    assert_eq!(engine.published(), []);
    drop(asking);
    assert_eq!(engine.0.lock().unwrap().subscribed, before);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_was_made_again_answers_once() {
    let engine = Engine::with_servers(2);
    let io = server_with_rooms(&engine);
    let app = TestApp::new(Router::new().layer(io.layer()));
    let before = engine.0.lock().unwrap().subscribed.clone();
    let ann = app.connect("/rooms-1").await.unwrap();
    let asking = io.of("/rooms-1").no_timeout().emit_with_ack::<u8>("q", ());
    ann.disconnect().await;
    sleep(Duration::from_millis(1)).await;
    let bob = app.connect("/rooms-1").await.unwrap();
    engine.published();
    let request = json!({ "opts": { "rooms": [] }, "requestId": "r" });
    let message = json!({ "type": 7, "data": request, "uid": "node", "nsp": "/rooms-1" });
    engine.deliver("/rooms-1", message.to_string());
    let sockets = engine.message().1["data"]["sockets"].clone();
    assert_eq!(sockets.as_array().unwrap().len(), 1);
    assert_eq!(sockets[0]["id"], json!(bob.id()));
    drop(asking);
    bob.disconnect().await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(engine.0.lock().unwrap().subscribed, before);
}

#[tokio::test(start_paused = true)]
async fn an_answered_request_leaves_no_task_behind() {
    let engine = Engine::with_servers(2);
    let io = server(&engine);
    let ann = joined(&io).await;
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for number in 0..100 {
        let mut request = broadcast(&json!(["q"]), &["x"]);
        request["requestId"] = json!(format!("r{number}"));
        request["opts"]["flags"]["timeout"] = json!(1e15);
        engine.deliver_json(3, &request);
        ann.next_with_ack::<()>("q").await.ack(1).await;
    }
    sleep(Duration::from_millis(1)).await;
    assert!(tasks() < before + 5, "{before} -> {}", tasks());
}

#[tokio::test(start_paused = true)]
async fn servers_that_are_gone_do_not_use_up_the_requests_of_others() {
    let engine = Engine::with_servers(2);
    let io = server(&engine);
    let ann = joined(&io).await;
    for number in 0..10_001 {
        let mut request = broadcast(&json!(["q"]), &["x"]);
        request["requestId"] = json!(format!("r{number}"));
        engine.deliver_json(3, &request);
        drop(ann.next_with_ack::<()>("q").await);
        assert_eq!(engine.published().len(), 1, "request {number}");
    }
    assert_eq!(io.metrics().cluster_messages_lost["requests"], 1);
}

#[tokio::test]
async fn handlers_of_server_events_start_in_order() {
    let engine = Engine::with_servers(2);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let namespace = Namespace::new().on_server("note", move |Data(number): Data<u64>| {
        noted.lock().unwrap().push(number);
        async { tokio::task::yield_now().await }
    });
    let io: SocketIo = SocketIo::builder()
        .cluster(engine.clone())
        .namespace("/", namespace)
        .build();
    for number in 0..100 {
        engine.deliver_json(9, &json!({ "packet": ["note", number] }));
    }
    assert_eq!(*seen.lock().unwrap(), Vec::from_iter(0..100));
    drop(io);
}

#[tokio::test(start_paused = true)]
async fn too_many_handlers_of_server_events_are_refused() {
    let engine = Engine::with_servers(2);
    let namespace = Namespace::new().on_server("wait", std::future::pending::<()>);
    let io: SocketIo = SocketIo::builder()
        .cluster(engine.clone())
        .namespace("/", namespace)
        .build();
    for _ in 0..10_000 {
        engine.deliver_json(9, &json!({ "packet": ["wait"] }));
    }
    assert_eq!(engine.published(), []);
    engine.deliver_json(
        9,
        &json!({ "packet": ["wait"], "requestId": "r", "ext": 1 }),
    );
    let (channel, answer) = engine.message();
    assert_eq!(
        (&*channel, &answer["data"]),
        ("/#node#", &json!({ "requestId": "r" }))
    );
    assert_eq!(io.metrics().cluster_messages_lost["requests"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_server_gets_no_answer_from_a_server_without_a_handler() {
    let engine = Engine::with_servers(2);
    let io = server(&engine);
    engine.deliver_json(
        9,
        &json!({ "requestId": "r1", "packet": ["nobody handles this"] }),
    );
    assert_eq!(engine.published(), []);
    let request = json!({ "requestId": "r2", "packet": ["nobody handles this"], "ext": 1 });
    engine.deliver_json(9, &request);
    assert_eq!(engine.message().1["data"], json!({ "requestId": "r2" }));
    drop(io);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_would_end_a_node_server_is_not_sent() {
    let engine = Engine::with_servers(2);
    let io = server(&engine);
    for event in ["connect", "connection", "new_namespace", "error"] {
        let sent = io.server_side_emit(event, ()).into_result();
        assert!(matches!(sent, Err(EmitError::Reserved(_))), "{event}");
        let asked = io.server_side_emit_with_ack::<u8>(event, ()).await;
        assert!(
            matches!(asked, Err(AckError::Emit(EmitError::Reserved(_)))),
            "{event}"
        );
    }
    assert_eq!(engine.published(), []);
}

#[tokio::test(start_paused = true)]
async fn a_long_text_of_another_server_is_cut_in_the_log() {
    let logs = Logs::collect("warn");
    let engine = Engine::with_servers(2);
    let _io = server(&engine);
    let long = "x".repeat(1_000_000);
    engine.deliver_json(12, &json!({ "requestId": "r", "outcome": long }));
    engine.deliver_json(6, &json!({ "opts": {}, "close": long }));
    let records = logs.with("message of another server dropped");
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|record| record.len() < 1000));
}

#[tokio::test(start_paused = true)]
async fn a_value_that_would_end_a_node_server_is_not_sent() {
    let engine = Engine::with_servers(2);
    let io = server(&engine);
    let ann = connect(&io).await;
    let deep = |depth| {
        let json = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        serde_json::value::RawValue::from_string(json).unwrap()
    };
    io.emit("news", deep(1001));
    ann.next::<axum_socketio::extract::RawArgs>("news").await;
    assert_eq!(engine.published(), []);
    assert_eq!(io.metrics().cluster_messages_lost["depth"], 1);
    io.emit("news", deep(900));
    assert_eq!(engine.published().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_socket_of_another_server_is_not_closed_because_the_engine_is_gone() {
    let engine = Engine::with_servers(2);
    let io = server(&engine);
    let root = io.of("/");
    let answering = async {
        let id = engine.message().1["data"]["requestId"].clone();
        let socket =
            json!({ "id": "AAAAAAAAAAAAAAAAAAAA", "handshake": {}, "rooms": [], "data": {} });
        engine.deliver_json(8, &json!({ "requestId": id, "sockets": [socket] }));
    };
    let (sockets, ()) = tokio::join!(root.fetch_sockets(), answering);
    let remote = sockets.unwrap().remove(0);
    engine.0.lock().unwrap().is_gone = true;
    let asked = remote.emit_with_ack::<u8>("q", ()).await;
    assert!(matches!(asked, Err(AckError::Timeout)), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hears_of_no_other_does_not_count_for_all() {
    let engine = Engine::with_heartbeats();
    let io = server_with_rooms(&engine);
    let rooms = io.of("/rooms-1");
    assert!(matches!(rooms.count().await, Err(AdapterError::Engine)));
    let (answers, summary) = rooms.emit_with_ack::<u8>("q", ()).all().await;
    assert_eq!((answers, summary.silent_servers), (vec![], 1));
    // A server with the pattern hears of the others.
    assert_eq!(io.of("/rooms-{id}").count().await.unwrap(), 0);
}
