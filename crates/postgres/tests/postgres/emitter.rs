//! Events of programs without a server, and in transactions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum_socketio::testing::TestClient;
use axum_socketio::{Data, Namespace, SocketIo};
use axum_socketio_postgres::{EmitError, Emitter, Statement};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::engine::Engine;
use crate::server;
use crate::two_servers::{self, SOON, connect, connect_to, reaches};

/// Sends an event after which nothing of an earlier transaction can arrive.
async fn end(emitter: &Emitter, client: &TestClient) {
    emitter.emit("end", ()).await.unwrap();
    client.next::<()>("end").await;
}

#[tokio::test]
#[ignore = "starts PostgreSQL: tests/run cluster runs it"]
async fn an_event_in_a_transaction_is_sent_when_it_commits() {
    let engine = Engine::start().await;
    let postgres = engine.postgres().await;
    let emitter = postgres.emitter();
    let (one, two) = (two_servers::server(postgres), server(&engine).await);
    let (ann, bob) = (connect(&one).await, connect(&two).await);
    reaches(one.of("/").broadcast(), &bob).await;
    reaches(two.of("/").broadcast(), &ann).await;
    let mut client = engine.client().await;
    let detached = Emitter::detached();

    let transaction = client.transaction().await.unwrap();
    detached
        .emit_in(&transaction, "committed", 1)
        .await
        .unwrap();
    detached
        .emit_in(&transaction, "committed", 1)
        .await
        .unwrap();
    emitter
        .emit_in(&transaction, "committed", "x".repeat(9_000))
        .await
        .unwrap();
    emitter
        .emit_in(&transaction, "committed", Bytes::from_static(b"b"))
        .await
        .unwrap();
    emitter
        .emit_in(&transaction, "committed", Bytes::from_static(b"b"))
        .await
        .unwrap();
    detached
        .to("nowhere")
        .emit_in(&transaction, "committed", 2)
        .await
        .unwrap();
    detached
        .emit_in(&transaction, "committed", 3)
        .await
        .unwrap();
    assert!(detached.emit_in(&transaction, "connect", 1).await.is_err());
    end(&emitter, &ann).await;
    ann.expect_no("committed").await;
    transaction.commit().await.unwrap();
    for client in [&ann, &bob] {
        assert_eq!(client.next::<u8>("committed").await, 1);
        assert_eq!(client.next::<u8>("committed").await, 1);
        assert_eq!(client.next::<String>("committed").await.len(), 9_000);
        assert_eq!(client.next::<Bytes>("committed").await, "b");
        assert_eq!(client.next::<Bytes>("committed").await, "b");
        assert_eq!(client.next::<u8>("committed").await, 3);
    }

    let transaction = client.transaction().await.unwrap();
    detached
        .emit_in(&transaction, "rolled back", 1)
        .await
        .unwrap();
    detached
        .emit_in(&transaction, "rolled back", "x".repeat(9_000))
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
    let mut transaction = client.transaction().await.unwrap();
    detached.emit_in(&transaction, "outside", 1).await.unwrap();
    let savepoint = transaction.savepoint("s").await.unwrap();
    detached
        .emit_in(&savepoint, "rolled back", 2)
        .await
        .unwrap();
    savepoint.rollback().await.unwrap();
    let savepoint = transaction.savepoint("s").await.unwrap();
    detached.emit_in(&savepoint, "outside", 1).await.unwrap();
    savepoint.commit().await.unwrap();
    transaction.commit().await.unwrap();
    end(&emitter, &bob).await;
    for _ in 0..2 {
        assert_eq!(bob.next::<u8>("outside").await, 1);
    }
    bob.expect_no("rolled back").await;
    assert_eq!(
        engine
            .value("SELECT count(*) FROM socket_io_attachments")
            .await,
        "3"
    );
}

#[tokio::test]
#[ignore = "starts PostgreSQL: tests/run cluster runs it"]
async fn statements_for_other_libraries_do_the_same() {
    let engine = Engine::start().await;
    let io = server(&engine).await;
    let ann = connect(&io).await;
    reaches_here(&engine, &ann).await;
    let mut client = engine.client().await;
    let transaction = client.transaction().await.unwrap();
    let emitter = Emitter::detached();
    for len in [10, 10_000] {
        let statement = emitter.statement("news", "x".repeat(len)).unwrap().unwrap();
        let Statement {
            sql,
            channel,
            payload,
            ..
        } = statement;
        transaction
            .execute(&sql, &[&channel, &payload])
            .await
            .unwrap();
    }
    transaction.commit().await.unwrap();
    for len in [10, 10_000] {
        assert_eq!(ann.next::<String>("news").await.len(), len);
    }
}

/// Emits until a client has an event: its server may not listen yet.
async fn reaches_here(engine: &Engine, client: &TestClient) -> Emitter {
    let emitter = Emitter::connect(&engine.url()).await.unwrap();
    let reached = async {
        loop {
            emitter.emit("probe", ()).await.unwrap();
            let probe = client.next::<()>("probe");
            if timeout(Duration::from_millis(100), probe).await.is_ok() {
                break;
            }
        }
    };
    timeout(SOON, reached).await.expect("the client is reached");
    emitter
}

#[tokio::test]
#[ignore = "starts PostgreSQL: tests/run cluster runs it"]
async fn a_program_without_a_server_reaches_clients_and_servers() {
    let engine = Engine::start().await;
    let (sender, mut heard) = mpsc::unbounded_channel();
    let hello = move |Data(said): Data<String>| {
        let _ = sender.send(said);
        std::future::ready(())
    };
    let io = SocketIo::builder()
        .cluster(engine.postgres().await)
        .namespace("/chat", Namespace::new().on_server("hello", hello))
        .namespace("/", Namespace::new())
        .build();
    let (ann, bob) = (connect(&io).await, connect(&io).await);
    let eve = connect_to(&io, "/chat").await;
    let emitter = reaches_here(&engine, &ann).await;
    emitter.to(ann.id()).join("x").await.unwrap();
    emitter.to(bob.id()).join("x").await.unwrap();
    emitter
        .to("x")
        .except(bob.id())
        .volatile()
        .emit("news", (1, "a"))
        .await
        .unwrap();
    assert_eq!(ann.next::<(u8, String)>("news").await, (1, "a".to_owned()));
    emitter.to(ann.id()).leave("x").await.unwrap();
    emitter.to("x").emit("news", 2).await.unwrap();
    assert_eq!(bob.next::<u8>("news").await, 2);
    ann.expect_no("news").await;
    let chat = emitter.of("chat");
    chat.emit("news", 3).await.unwrap();
    assert_eq!(eve.next::<u8>("news").await, 3);
    chat.server_side_emit("hello", "servers").await.unwrap();
    assert_eq!(heard.recv().await.as_deref(), Some("servers"));
    // A session that has ended is replaced.
    let all = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%pg_notify%' AND pid <> pg_backend_pid()";
    engine.value(all).await;
    sleep(Duration::from_millis(300)).await;
    emitter.to("x").disconnect().await.unwrap();
    bob.disconnected().await;
    let client = engine.client().await;
    chat.within(&client).disconnect_all().await.unwrap();
    eve.disconnected().await;
}

#[tokio::test]
#[ignore = "starts PostgreSQL: tests/run cluster runs it"]
async fn the_emitter_of_node_which_names_no_namespace_is_understood() {
    let engine = Engine::start().await;
    let io = SocketIo::builder()
        .cluster(engine.postgres().await)
        .namespace("/", Namespace::new())
        .namespace("/chat", Namespace::new())
        .build();
    let (ann, eve) = (connect(&io).await, connect_to(&io, "/chat").await);
    let emitter = reaches_here(&engine, &ann).await;
    emitter.of("chat").emit("probe", ()).await.unwrap();
    eve.next::<()>("probe").await;
    let text = r#"{"type":3,"data":{"packet":{"type":2,"data":["n",1],"nsp":"/chat"},"opts":{"rooms":[],"flags":{},"except":[]}},"uid":"emitter"}"#;
    let client = engine.client().await;
    let sql = "SELECT pg_notify('socket.io#/chat', $1)";
    client.execute(sql, &[&text]).await.unwrap();
    assert_eq!(eve.next::<u8>("n").await, 1);
    ann.expect_no("n").await;
}

#[tokio::test]
#[ignore = "starts PostgreSQL: tests/run cluster runs it"]
async fn events_of_one_moment_do_not_wait_for_postgresql_one_after_the_other() {
    let mut engine = Engine::start().await;
    let emitter = engine.postgres().await.emitter();
    engine.kill();
    // A server that accepts connections, and never answers.
    let silent = TcpListener::bind(("127.0.0.1", engine.port)).await.unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok((connection, _)) = silent.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            connections.push(connection);
        }
    });
    let events = (0..20).map(|number| emitter.emit("lost", number));
    let sent = timeout(SOON, futures_util::future::join_all(events)).await;
    for error in sent.expect("all events end") {
        let error = error.unwrap_err();
        assert!(matches!(error, EmitError::Connect(_)), "{error}");
        assert!(
            error.to_string().contains(&engine.port.to_string()),
            "{error}"
        );
    }
    assert_eq!(accepted.load(Ordering::Relaxed), 1);
}
