//! Failing networks, heartbeats, and a clock that advances at once.

use std::time::Duration;

use axum::Json;
use axum_socketio::testing::Disconnected;
use axum_socketio::{Data, Namespace, Socket};
use tokio::time::{Instant, sleep};

use super::{BOTH, clients, leaving, serve};

#[tokio::test(start_paused = true)]
async fn a_client_answers_pings_for_as_long_as_it_lives() {
    let (namespace, mut reasons) = leaving();
    let (app, _io) = serve(namespace.on("ping", async || Json("pong")));
    let clients = clients(&app).await;
    for client in &clients {
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(client.emit_with_ack::<String>("ping", ()).await, "pong");
    }
    assert!(reasons.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_ignores_pings_is_closed_after_45_seconds() {
    for transport in BOTH {
        let (namespace, mut reasons) = leaving();
        let (app, _io) = serve(namespace);
        let app = app.limit(Duration::from_secs(60));
        let client = app.connect("/").transport(transport).await.unwrap();
        let start = Instant::now();
        client.ignore_pings();
        sleep(Duration::from_secs(44)).await;
        assert!(client.is_connected());
        assert_eq!(client.disconnected().await, Disconnected::TransportClose);
        assert_eq!(reasons.recv().await.unwrap().as_str(), "ping timeout");
        let waited = start.elapsed();
        assert!(waited < Duration::from_secs(46), "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_server_notices_at_once_that_a_client_was_cut() {
    let (namespace, mut reasons) = leaving();
    let (app, io) = serve(namespace);
    let start = Instant::now();
    for (client, reason) in clients(&app)
        .await
        .iter()
        .zip(["transport close", "transport error"])
    {
        client.cut().await;
        assert_eq!(client.disconnected().await, Disconnected::TransportClose);
        assert_eq!(reasons.recv().await.unwrap().as_str(), reason);
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(io.client_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_dropped_is_gone() {
    let (namespace, mut reasons) = leaving();
    let (app, _io) = serve(namespace);
    drop(app.connect("/").await.unwrap());
    assert_eq!(reasons.recv().await.unwrap().as_str(), "transport close");
}

#[tokio::test(start_paused = true)]
async fn delays_of_handlers_take_no_real_time() {
    let namespace = Namespace::new().on("remind", async |socket: Socket| {
        sleep(Duration::from_secs(3)).await;
        socket.emit("reminder", ());
    });
    let (app, _io) = serve(namespace);
    for client in clients(&app).await {
        let start = Instant::now();
        client.emit("remind", ()).await;
        client.expect_no("reminder").await;
        client.next::<()>("reminder").await;
        let waited = start.elapsed();
        let expected = Duration::from_secs(3);
        assert!(waited >= expected && waited < expected * 2, "{waited:?}");
    }
}

#[tokio::test]
async fn the_clock_may_run() {
    let (app, _io) = serve(Namespace::new().on("ping", async || Json("pong")));
    for client in clients(&app).await {
        assert_eq!(client.emit_with_ack::<String>("ping", ()).await, "pong");
        client.expect_no("pong").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_runtime_may_have_several_threads() {
    let (app, io) = serve(Namespace::new().on("ping", async || Json("pong")));
    for client in clients(&app).await {
        client.emit("ping", ()).await;
        io.emit("news", 1);
        assert_eq!(client.next::<u8>("news").await, 1);
    }
}

/// A test with default options, which continues long after the server has paused reading.
#[tokio::test(start_paused = true)]
async fn two_thousand_events_for_slow_handlers_are_acknowledged() {
    for transport in BOTH {
        let (namespace, mut reasons) = leaving();
        let slow = async |Data(n): Data<usize>| {
            sleep(Duration::from_secs(30)).await;
            Json(n)
        };
        let (app, _io) = serve(namespace.on("slow", slow));
        let app = app.limit(Duration::from_secs(1200));
        let client = app.connect("/").transport(transport).await.unwrap();
        let answers = (0..2000).map(|n| client.emit_with_ack::<usize>("slow", n));
        let answers = futures_util::future::join_all(answers).await;
        assert!(answers.into_iter().eq(0..2000));
        assert!(reasons.try_recv().is_err());
    }
}
