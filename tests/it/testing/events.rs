//! Events and acknowledgements in both directions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Json;
use axum_socketio::emit::AckError;
use axum_socketio::extract::Rest;
use axum_socketio::{Data, Namespace, Reply, Sid, Socket};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;

use super::{clients, serve};

#[tokio::test(start_paused = true)]
async fn an_event_has_been_handled_when_emit_returns() {
    let handled = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&handled);
    let namespace = Namespace::new().on("add", async move |Data(number): Data<usize>| {
        count.fetch_add(number, Ordering::Relaxed);
    });
    let (app, _io) = serve(namespace);
    for (client, sum) in clients(&app).await.iter().zip([3, 6]) {
        client.emit("add", 1).await;
        client.emit("add", 2).await;
        assert_eq!(handled.load(Ordering::Relaxed), sum);
    }
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_is_typed() {
    let namespace = Namespace::new()
        .on("sum", async |Data((a, b)): Data<(u32, u32)>| Json(a + b))
        .on("both", async |Data(args): Data<Rest<Value>>| Reply(args));
    let (app, _io) = serve(namespace);
    for client in clients(&app).await {
        assert_eq!(client.emit_with_ack::<u32>("sum", (1, 2)).await, 3);
        let both: (u8, String) = client.emit_with_ack("both", (7, "x")).await;
        assert_eq!(both, (7, "x".to_owned()));
        let error: Value = client.emit_with_ack("sum", 1).await;
        assert_eq!(
            error,
            json!({ "error": "sum: expected 2 arguments, got 1" })
        );
    }
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_may_come_in_another_order() {
    let namespace = Namespace::new().on("after", async |Data(seconds): Data<u64>| {
        tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
        Json(seconds)
    });
    let (app, _io) = serve(namespace);
    for client in clients(&app).await {
        let slow = client.emit_with_ack::<u64>("after", 3);
        let quick = client.emit_with_ack::<u64>("after", 1);
        assert_eq!((quick.await, slow.await), (1, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn binary_travels_both_ways() {
    let namespace = Namespace::new().on(
        "swap",
        async |socket: Socket, Data((first, second)): Data<(Bytes, Bytes)>| {
            socket.emit("swapped", (&second, "and", &first));
            Reply((second, first))
        },
    );
    let (app, _io) = serve(namespace);
    let (first, second) = (Bytes::from_static(b"\0one"), Bytes::from(vec![2; 200_000]));
    for client in clients(&app).await {
        let swapped: (Bytes, Bytes) = client.emit_with_ack("swap", (&first, &second)).await;
        assert_eq!(swapped, (second.clone(), first.clone()));
        let swapped: (Bytes, String, Bytes) = client.next("swapped").await;
        assert_eq!(swapped, (second.clone(), "and".to_owned(), first.clone()));
    }
}

#[tokio::test(start_paused = true)]
async fn events_wait_until_they_are_asked_for_by_name() {
    let namespace = Namespace::new().on_connect(async |socket: Socket| {
        socket.emit("welcome", 1);
        socket.emit("news", "first");
        socket.emit("news", "second");
        socket.emit("bye", ());
    });
    let (app, _io) = serve(namespace);
    for client in clients(&app).await {
        client.next::<()>("bye").await;
        assert_eq!(client.next::<String>("news").await, "first");
        assert_eq!(client.next::<u8>("welcome").await, 1);
        assert_eq!(client.next::<String>("news").await, "second");
        client.expect_no("news").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_reaches_whom_it_should() {
    let namespace = Namespace::new()
        .on("join", async |socket: Socket, Data(room): Data<String>| {
            socket.join(room);
        })
        .on("say", async |socket: Socket, Data(text): Data<String>| {
            socket.to("rust").emit("said", (socket.id(), text));
        });
    let (app, _io) = serve(namespace);
    let [ann, bob] = clients(&app).await;
    let stranger = app.connect("/").await.unwrap();
    bob.emit("join", "rust").await;
    ann.emit("join", "rust").await;
    ann.emit("say", "hi").await;
    let said: (Sid, String) = bob.next("said").await;
    assert_eq!(said, (ann.id(), "hi".to_owned()));
    bob.emit("say", "hello").await;
    let said: (Sid, String) = ann.next("said").await;
    assert_eq!(said, (bob.id(), "hello".to_owned()));
    ann.expect_no("said").await;
    bob.expect_no("said").await;
    stranger.expect_no("said").await;
}

#[tokio::test(start_paused = true)]
async fn a_client_answers_the_server() {
    let (sender, mut answers) = unbounded_channel();
    let namespace = Namespace::new().on("delete", async move |socket: Socket| {
        let sure = socket.emit_with_ack::<(bool, Bytes)>("confirm", ("Delete?", 2));
        let _ = sender.send(sure.await);
    });
    let (app, _io) = serve(namespace);
    for client in clients(&app).await {
        client.emit("delete", ()).await;
        let question = client.next_with_ack::<(String, u8)>("confirm").await;
        assert_eq!(question.data, ("Delete?".to_owned(), 2));
        question.ack((true, Bytes::from_static(b"sure"))).await;
        let (sure, how) = answers.recv().await.unwrap().unwrap();
        assert!(sure);
        assert_eq!(how, "sure");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_ends_the_wait_at_the_ack_timeout() {
    let (sender, mut answers) = unbounded_channel();
    let namespace = Namespace::new().on("delete", async move |socket: Socket| {
        let _ = sender.send(socket.emit_with_ack::<bool>("confirm", ()).await);
    });
    let (app, _io) = serve(namespace);
    for client in clients(&app).await {
        client.emit("delete", ()).await;
        let _unanswered = client.next_with_ack::<()>("confirm").await;
        let answer = answers.recv().await.unwrap();
        assert!(matches!(answer, Err(AckError::Timeout)), "{answer:?}");
    }
}
