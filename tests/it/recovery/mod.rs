//! Connection state recovery: a client that has lost its connection recovers its socket, and the events that it has
//! missed.

mod away;
mod limits;
mod refused;
mod stolen;
mod wire;

use std::time::Duration;

use axum::Router;
use axum_socketio::config::{Recovery, Transport};
use axum_socketio::testing::{TestApp, TestClient};
use axum_socketio::{Data, Limits, Namespace, Socket, SocketIo, SocketIoBuilder};
use tokio::time::{sleep, timeout};

const BOTH: [Transport; 2] = [Transport::WebSocket, Transport::Polling];

fn app(builder: SocketIoBuilder) -> (TestApp, SocketIo) {
    let io = builder.build();
    (TestApp::new(Router::new().layer(io.layer())), io)
}

/// Starts a server whose clients can join and leave rooms.
fn serve(recovery: Recovery) -> (TestApp, SocketIo) {
    app(SocketIo::builder()
        .recovery(recovery)
        .namespace("/", rooms()))
}

fn rooms() -> Namespace {
    Namespace::new()
        .on("join", async |socket: Socket, Data(room): Data<String>| {
            socket.join(room);
        })
        .on("leave", async |socket: Socket, Data(room): Data<String>| {
            socket.leave(room);
        })
}

/// Returns the numbers that arrived with the event `n`, up to a marker for the end.
async fn numbers(client: &TestClient, io: &SocketIo) -> Vec<u32> {
    io.to(client.id()).emit("n", u32::MAX);
    let mut numbers = Vec::new();
    loop {
        match client.next::<u32>("n").await {
            u32::MAX => return numbers,
            number => numbers.push(number),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_comes_once_and_in_order() {
    for transport in BOTH {
        let (app, io) = serve(Recovery::new());
        let first = app.connect("/").transport(transport).await.unwrap();
        io.emit("n", 0);
        assert_eq!(first.next::<u32>("n").await, 0);
        first.cut().await;
        io.emit("n", 1);
        io.to(first.id()).emit("n", 2);
        io.except("nobody").emit("n", 3);
        let again = app
            .connect("/")
            .transport(transport)
            .coming_back_as(&first)
            .await
            .unwrap();
        assert!(again.recovered());
        assert_eq!(again.id(), first.id());
        io.emit("n", 4);
        assert_eq!(numbers(&again, &io).await, [1, 2, 3, 4]);
    }
}

#[tokio::test(start_paused = true)]
async fn rooms_and_values_are_there_again() {
    let namespace = rooms().on_connect(async |socket: Socket| {
        if socket.recovered() {
            let (rooms, name) = (socket.rooms(), socket.get::<String>());
            socket.emit("back", (rooms, name));
        } else {
            socket.insert("Ada".to_owned());
            socket.join(["a", "b"]);
        }
    });
    let recovery = Recovery::new();
    let (app, io) = app(SocketIo::builder()
        .recovery(recovery)
        .namespace("/", namespace));
    let first = app.connect("/").await.unwrap();
    first.emit("leave", "a").await;
    first.emit("join", "c").await;
    first.cut().await;
    io.to("a").emit("n", 1);
    io.to("b").emit("n", 2);
    io.to(["a", "c"]).emit("n", 3);
    io.to("b").except("c").emit("n", 4);
    assert_eq!(io.local().count().await.unwrap(), 0);
    let again = app.connect("/").coming_back_as(&first).await.unwrap();
    let (rooms, name): (Vec<String>, String) = again.next("back").await;
    assert_eq!(rooms, [first.id().as_str(), "b", "c"]);
    assert_eq!(name, "Ada");
    assert_eq!(io.to("b").count().await.unwrap(), 1);
    assert_eq!(io.to("a").count().await.unwrap(), 0);
    assert_eq!(numbers(&again, &io).await, [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_seen_no_event_comes_back_too() {
    let (app, io) = serve(Recovery::new());
    io.emit("n", 1);
    let first = app.connect("/").await.unwrap();
    first.cut().await;
    io.emit("n", 2);
    let again = app.connect("/").coming_back_as(&first).await.unwrap();
    assert!(again.recovered());
    assert_eq!(numbers(&again, &io).await, [2]);
}

#[tokio::test(start_paused = true)]
async fn who_was_not_known_to_be_gone_is_superseded() {
    let (namespace, mut reasons) = super::testing::leaving();
    let recovery = Recovery::new();
    let (app, io) = app(SocketIo::builder()
        .recovery(recovery)
        .namespace("/", namespace));
    for transport in BOTH {
        let first = app.connect("/").transport(transport).await.unwrap();
        // The client is still connected, and it loses the events from now on.
        let again = app.connect("/").coming_back_as(&first).await.unwrap();
        io.emit("n", 1);
        assert!(again.recovered());
        assert_eq!(again.id(), first.id());
        assert_eq!(reasons.recv().await.unwrap().to_string(), "transport close");
        first.disconnected().await;
        assert_eq!(numbers(&again, &io).await, [1]);
        assert_eq!(io.local().count().await.unwrap(), 1);
        again.disconnect().await;
        assert_eq!(
            reasons.recv().await.unwrap().to_string(),
            "client namespace disconnect"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn it_comes_back_as_often_as_it_is_cut_off() {
    let (app, io) = serve(Recovery::new());
    let mut client = app.connect("/").await.unwrap();
    let mut got = Vec::new();
    for round in 0..20 {
        io.emit("n", 2 * round);
        if round % 3 > 0 {
            got.extend(numbers(&client, &io).await);
        }
        client.cut().await;
        io.emit("n", 2 * round + 1);
        let transport = BOTH[round as usize % 2];
        let again = app
            .connect("/")
            .transport(transport)
            .coming_back_as(&client);
        let again = again.await.unwrap();
        assert!(again.recovered());
        if round % 3 == 0 {
            // These events had arrived before the connection was cut, but had not been read.
            while client.has("n") {
                got.push(client.next("n").await);
            }
        }
        client = again;
    }
    got.extend(numbers(&client, &io).await);
    assert_eq!(got, (0..40).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_was_emitted_before_a_room_was_joined_is_not_missed() {
    let (app, io) = serve(Recovery::new());
    let first = app.connect("/").await.unwrap();
    let socket = io.socket(first.id()).unwrap();
    // The client receives none of these.
    first.stop_reading();
    io.to("late").emit("n", 1);
    socket.join("late");
    io.to("late").emit("n", 2);
    socket.leave("late");
    io.to("late").emit("n", 3);
    io.to(first.id()).join("late");
    io.to("late").emit("n", 4);
    first.cut().await;
    socket.closed().await;
    io.to("late").emit("n", 5);
    let again = app.connect("/").coming_back_as(&first).await.unwrap();
    assert_eq!(numbers(&again, &io).await, [2, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_may_do_without_or_alone_have_it() {
    let without = SocketIo::builder()
        .recovery(Recovery::new())
        .namespace("/", rooms())
        .namespace("/plain", rooms().recovery(None));
    let (app, io) = self::app(without);
    let client = app.connect("/plain").await.unwrap();
    io.of("/plain").emit("n", 1);
    assert_eq!(client.next::<u32>("n").await, 1);
    client.cut().await;
    let again = app.connect("/plain").coming_back_as(&client).await.unwrap();
    assert!(!again.recovered());

    let alone = SocketIo::builder().namespace("/", rooms().recovery(Recovery::new()));
    let (app, io) = self::app(alone);
    let client = app.connect("/").await.unwrap();
    client.cut().await;
    io.emit("n", 1);
    let again = app.connect("/").coming_back_as(&client).await.unwrap();
    assert_eq!(numbers(&again, &io).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_of_a_pattern_waits_for_its_clients() {
    let builder = SocketIo::builder()
        .recovery(Recovery::new())
        .namespace("/game-{id}", rooms());
    let (app, io) = self::app(builder);
    let first = app.connect("/game-1").await.unwrap();
    first.cut().await;
    io.of("/game-1").emit("n", 1);
    io.of("/game-{id}").emit("n", 2);
    io.of("/game-2").emit("n", 3);
    let again = app.connect("/game-1").coming_back_as(&first).await.unwrap();
    assert!(again.recovered());
    assert_eq!(again.next::<u32>("n").await, 1);
    assert_eq!(again.next::<u32>("n").await, 2);
    again.expect_no("n").await;
}

#[tokio::test(start_paused = true)]
async fn a_namespace_of_a_pattern_goes_when_nobody_may_come_back() {
    let builder = SocketIo::builder()
        .recovery(Recovery::new())
        .limits(Limits::new().max_dynamic_namespaces(1))
        .namespace("/game-{id}", rooms());
    let (app, io) = self::app(builder);
    let first = app.connect("/game-1").await.unwrap();
    first.disconnect().await;
    // An event without recipients is not logged.
    io.of("/game-{id}").emit("n", 1);
    let second = app.connect("/game-2").await.unwrap();
    // The events of rooms end with their namespace.
    let mut events = io.of("/game-2").room_events();
    second.cut().await;
    let second = Duration::from_secs(1);
    timeout(second, events.next()).await.unwrap_err();
    for _ in 0..130 {
        sleep(second).await;
        io.of("/game-{id}").emit("n", 1);
    }
    assert!(timeout(second, events.next()).await.unwrap().is_none());
}
