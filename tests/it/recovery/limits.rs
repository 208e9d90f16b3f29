//! Limits for the events and sockets that are kept for recovery.

use std::time::Duration;

use axum_socketio::config::Recovery;
use axum_socketio::testing::{TestApp, TestClient};
use axum_socketio::{Limits, Namespace, SocketIo};
use tokio::time::sleep;

use super::{app, numbers, serve};

/// Connects a client and cuts its connection after it has received one event.
async fn cut_off(app: &TestApp, io: &SocketIo) -> TestClient {
    let client = app.connect("/").await.unwrap();
    io.emit("n", 0);
    client.next::<u32>("n").await;
    client.cut().await;
    client
}

async fn comes_back(app: &TestApp, client: &TestClient) -> bool {
    let again = app.connect("/").coming_back_as(client).await.unwrap();
    let recovered = again.recovered();
    // Otherwise this client would be kept for recovery itself.
    again.disconnect().await;
    recovered
}

#[tokio::test(start_paused = true)]
async fn so_many_events_are_kept() {
    for (missed, recovered) in [(3, true), (4, false)] {
        let (app, io) = serve(Recovery::new().max_packets(3));
        let client = cut_off(&app, &io).await;
        for number in 0..missed {
            io.emit("n", number);
        }
        assert_eq!(comes_back(&app, &client).await, recovered, "{missed}");
    }
}

#[tokio::test(start_paused = true)]
async fn so_many_bytes_are_kept() {
    for (bytes, recovered) in [(7000, true), (15_000, false)] {
        let (app, io) = serve(Recovery::new().max_bytes(10_000));
        let client = cut_off(&app, &io).await;
        io.emit("n", "x".repeat(bytes));
        io.emit("n", 1);
        assert_eq!(comes_back(&app, &client).await, recovered, "{bytes}");
    }
    // The names of rooms count as well.
    let (app, io) = serve(Recovery::new().max_bytes(10_000));
    let client = cut_off(&app, &io).await;
    io.to("x".repeat(11_000)).emit("n", 1);
    assert!(!comes_back(&app, &client).await);
}

#[tokio::test(start_paused = true)]
async fn so_many_sockets_are_remembered() {
    let (app, io) = serve(Recovery::new().max_sessions(2));
    let first = cut_off(&app, &io).await;
    sleep(Duration::from_millis(1)).await;
    let second = cut_off(&app, &io).await;
    sleep(Duration::from_millis(1)).await;
    let third = cut_off(&app, &io).await;
    assert!(!comes_back(&app, &first).await);
    assert!(comes_back(&app, &second).await);
    assert!(comes_back(&app, &third).await);
}

#[tokio::test(start_paused = true)]
async fn a_client_may_stay_away_for_so_long() {
    for (seconds, recovered) in [(59, true), (61, false)] {
        let (app, io) = serve(Recovery::new().max_duration(Duration::from_secs(60)));
        let client = cut_off(&app, &io).await;
        io.emit("n", 1);
        sleep(Duration::from_secs(seconds)).await;
        io.emit("n", 2);
        let again = app.connect("/").coming_back_as(&client).await.unwrap();
        assert_eq!(again.recovered(), recovered, "{seconds}");
        let missed: &[u32] = if recovered { &[1, 2] } else { &[] };
        assert_eq!(numbers(&again, &io).await, missed);
    }
}

/// A test of the time in which events are sent to a lost connection, until the server notices the loss.
#[tokio::test(start_paused = true)]
async fn the_time_until_a_loss_is_noticed_does_not_count() {
    let (app, io) = serve(Recovery::new().max_duration(Duration::from_secs(60)));
    let client = app.connect("/").await.unwrap();
    client.stop_reading();
    io.emit("n", 1);
    let socket = io.socket(client.id()).unwrap();
    assert_eq!(socket.closed().await.to_string(), "ping timeout");
    sleep(Duration::from_secs(59)).await;
    let again = app.connect("/").coming_back_as(&client).await.unwrap();
    assert!(again.recovered());
    assert_eq!(numbers(&again, &io).await, [1]);
}

/// Extreme values of the options must not panic.
#[tokio::test(start_paused = true)]
async fn any_limit_is_taken() {
    let (app, io) = serve(
        Recovery::new()
            .max_duration(Duration::MAX)
            .max_packets(usize::MAX)
            .max_bytes(usize::MAX)
            .max_sessions(usize::MAX),
    );
    let client = cut_off(&app, &io).await;
    io.emit("n", 1);
    assert!(comes_back(&app, &client).await);
    let (app, io) = serve(
        Recovery::new()
            .max_duration(Duration::ZERO)
            .max_packets(0)
            .max_bytes(0)
            .max_sessions(0),
    );
    let client = cut_off(&app, &io).await;
    assert!(!comes_back(&app, &client).await);
}

#[tokio::test(start_paused = true)]
async fn namespaces_that_are_only_kept_make_room() {
    let (app, io) = app(SocketIo::builder()
        .recovery(Recovery::new())
        .limits(Limits::new().max_dynamic_namespaces(2))
        .namespace("/n-{id}", Namespace::new()));
    let stays = app.connect("/n-1").await.unwrap();
    let away = app.connect("/n-2").await.unwrap();
    away.cut().await;
    let new = app.connect("/n-3").await.unwrap();
    io.of("/n-{id}").emit("hey", ());
    stays.next::<()>("hey").await;
    new.next::<()>("hey").await;
    let refused = app.connect("/n-2").coming_back_as(&away).await;
    assert!(refused.is_err(), "two are in use");
}
