//! Attacks by a client that knows the private id of another's socket.

use std::future::{Future, IntoFuture};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use axum_socketio::config::Recovery;
use axum_socketio::emit::EmitError;
use axum_socketio::testing::{ConnectError, TestApp, TestClient};
use axum_socketio::{Auth, Namespace, Refused, Socket, SocketIo};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{app, numbers};

#[derive(Deserialize)]
struct Token {
    token: String,
}

/// Creates a server that admits clients with the right token.
fn guarded() -> (TestApp, SocketIo) {
    let namespace = Namespace::new()
        .middleware(async |Auth(Token { token }): Auth<Token>, socket: Socket| {
            if token == "disconnects" {
                socket.disconnect();
            }
            if token != "right" {
                return Err(Refused::new("wrong token"));
            }
            Ok(())
        })
        .on_connect(async |socket: Socket| {
            if !socket.recovered() {
                socket.join("room");
            }
        });
    app(SocketIo::builder()
        .recovery(Recovery::new())
        .namespace("/", namespace))
}

fn token(token: &str) -> serde_json::Value {
    json!({ "token": token })
}

/// Resumes the session of a client, and returns the new one.
async fn resume(app: &TestApp, owner: &TestClient, as_token: &str) -> TestClient {
    let coming = app.connect("/").coming_back_as(owner);
    let again = coming.auth(token(as_token)).await.unwrap();
    assert!(again.recovered());
    assert_eq!(again.id(), owner.id());
    again
}

#[tokio::test(start_paused = true)]
async fn a_refused_socket_with_a_stolen_id_disconnects_nobody() {
    let (app, io) = guarded();
    let owner = app.connect("/").auth(token("right")).await.unwrap();
    let socket = io.socket(owner.id()).unwrap();
    for wrong in ["wrong", "disconnects"] {
        let thief = app.connect("/").coming_back_as(&owner).auth(token(wrong));
        let refused = thief.await.unwrap_err();
        assert!(
            matches!(refused, ConnectError::Refused { message, .. } if message == "wrong token")
        );
        assert!(socket.connected());
        assert_eq!(io.socket(owner.id()).unwrap(), socket);
    }
    io.to("room").emit("n", 1);
    assert_eq!(numbers(&owner, &io).await, [1]);
    // The owner can recover too, and gets the events that it has missed.
    owner.cut().await;
    io.to("room").emit("n", 2);
    let thief = app
        .connect("/")
        .coming_back_as(&owner)
        .auth(token("disconnects"));
    thief.await.unwrap_err();
    let again = resume(&app, &owner, "right").await;
    assert_eq!(numbers(&again, &io).await, [2]);
}

#[tokio::test(start_paused = true)]
async fn an_admitted_newcomer_takes_over_from_a_connection_that_is_still_there() {
    let (app, io) = guarded();
    let owner = app.connect("/").auth(token("right")).await.unwrap();
    let socket = io.socket(owner.id()).unwrap();
    io.to("room").emit("n", 1);
    let again = resume(&app, &owner, "right").await;
    assert!(!socket.connected());
    assert_eq!(numbers(&again, &io).await, [1]);
    assert_eq!(io.local().count().await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_to_a_refused_socket_does_not_reach_the_owner() {
    let (sender, mut emitted) = unbounded_channel();
    let namespace = Namespace::new().middleware(
        async move |Auth(Token { token }): Auth<Token>, socket: Socket| {
            if token == "right" {
                return Ok(());
            }
            sender.send(socket.emit("n", 7).into_result()).unwrap();
            let later = socket.emit_when_writable("n", 8).await;
            sender.send(later).unwrap();
            Err(Refused::new("wrong token"))
        },
    );
    let (app, io) = app(SocketIo::builder()
        .recovery(Recovery::new())
        .namespace("/", namespace));
    let mut owner = app.connect("/").auth(token("right")).await.unwrap();
    for away in [false, true] {
        if away {
            owner.cut().await;
        }
        let thief = app.connect("/").coming_back_as(&owner).auth(token("wrong"));
        thief.await.unwrap_err();
        for _ in 0..2 {
            let emitted = emitted.recv().await.unwrap();
            assert!(matches!(emitted, Err(EmitError::Closed)), "{emitted:?}");
        }
        let coming = app.connect("/").coming_back_as(&owner);
        owner = coming.auth(token("right")).await.unwrap();
        assert!(owner.recovered());
        assert!(numbers(&owner, &io).await.is_empty());
    }
}

/// Creates a server whose middleware waits if the client's token requests it.
fn slow() -> (TestApp, SocketIo, Arc<Notify>, Arc<Notify>) {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begins, goes_on) = (Arc::clone(&begun), Arc::clone(&go_on));
    let namespace = Namespace::new().middleware(
        async move |Auth(Token { token }): Auth<Token>, socket: Socket| {
            if token == "slow" {
                begins.notify_one();
                goes_on.notified().await;
                socket.leave("left by the middleware");
                socket.join("joined by the middleware");
                socket.insert("by the middleware");
            }
        },
    );
    let (app, io) = app(SocketIo::builder()
        .recovery(Recovery::new())
        .namespace("/", namespace));
    (app, io, begun, go_on)
}

#[tokio::test(start_paused = true)]
async fn what_happens_to_the_owner_while_middleware_decide_is_not_lost() {
    let (app, io, begun, go_on) = slow();
    let owner = app.connect("/").auth(token("quick")).await.unwrap();
    let socket = io.socket(owner.id()).unwrap();
    socket.join(["left by the owner", "left by the middleware", "stays"]);
    socket.insert(1_u16);
    socket.insert(1_u32);
    let coming = app.connect("/").coming_back_as(&owner).auth(token("slow"));
    let coming = tokio::spawn(coming.into_future());
    begun.notified().await;
    assert!(socket.connected());
    io.to("left by the owner").emit("n", 1);
    socket.leave("left by the owner");
    socket.join("joined by the owner");
    io.to("left by the owner").emit("n", 0);
    io.to("joined by the owner").emit("n", 2);
    socket.insert(7_u8);
    socket.insert(7_u16);
    socket.insert("by the owner");
    assert_eq!(numbers(&owner, &io).await, [1, 2]);
    io.emit("n", 3);
    go_on.notify_one();
    let again = coming.await.unwrap().unwrap();
    assert!(again.recovered());
    let socket = io.socket(again.id()).unwrap();
    let mut rooms: Vec<_> = socket
        .rooms()
        .iter()
        .skip(1)
        .map(ToString::to_string)
        .collect();
    rooms.sort();
    assert_eq!(
        rooms,
        ["joined by the middleware", "joined by the owner", "stays"]
    );
    assert_eq!(
        (socket.get(), socket.get(), socket.get(), socket.get()),
        (
            Some(7_u8),
            Some(7_u16),
            Some(1_u32),
            Some("by the middleware")
        )
    );
    io.to("joined by the owner").emit("n", 4);
    io.to("left by the middleware").emit("n", 0);
    // The recovery was requested before the client had read the first two, which end with a marker of `numbers`.
    assert_eq!(numbers(&again, &io).await, [1, 2]);
    assert_eq!(numbers(&again, &io).await, [3, 4]);
}

/// The middleware changes rooms before others emit to them.
#[tokio::test(start_paused = true)]
async fn a_room_that_middleware_left_is_left_from_that_event_on() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begins, goes_on) = (Arc::clone(&begun), Arc::clone(&go_on));
    let namespace = Namespace::new().middleware(
        async move |Auth(Token { token }): Auth<Token>, socket: Socket| {
            if token == "slow" {
                socket.leave(["left", "left for a while", "joined again by the owner"]);
                begins.notify_one();
                goes_on.notified().await;
                socket.join("left for a while");
                begins.notify_one();
                goes_on.notified().await;
            }
        },
    );
    let (app, io) = app(SocketIo::builder()
        .recovery(Recovery::new())
        .namespace("/", namespace));
    let owner = app.connect("/").auth(token("quick")).await.unwrap();
    let socket = io.socket(owner.id()).unwrap();
    socket.join(["left", "left for a while", "joined again by the owner"]);
    io.to("left").emit("n", 1);
    let coming = app.connect("/").coming_back_as(&owner).auth(token("slow"));
    let coming = tokio::spawn(coming.into_future());
    begun.notified().await;
    io.to("left").emit("n", 0);
    io.to("left for a while").emit("n", 0);
    socket.leave("joined again by the owner");
    io.to("joined again by the owner").emit("n", 0);
    socket.join("joined again by the owner");
    io.to("joined again by the owner").emit("n", 0);
    go_on.notify_one();
    begun.notified().await;
    io.to("left for a while").emit("n", 2);
    go_on.notify_one();
    let again = coming.await.unwrap().unwrap();
    assert!(again.recovered());
    assert_eq!(numbers(&again, &io).await, [1, 2]);
    let rooms = io.socket(again.id()).unwrap().rooms();
    let rooms: Vec<_> = rooms.iter().skip(1).map(|room| &**room).collect();
    assert_eq!(rooms, ["left for a while"]);
    assert_eq!(io.of("/").rooms().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_whose_middleware_waits_does_not_keep_the_owner_out() {
    let (app, io, begun, go_on) = slow();
    let owner = app.connect("/").auth(token("quick")).await.unwrap();
    owner.cut().await;
    io.emit("n", 1);
    let thief = app.connect("/").coming_back_as(&owner).auth(token("slow"));
    let thief = tokio::spawn(thief.into_future());
    begun.notified().await;
    let again = resume(&app, &owner, "quick").await;
    assert_eq!(numbers(&again, &io).await, [1]);
    // The connection of the earlier attempt is closed, and the owner stays connected.
    go_on.notify_one();
    assert!(thief.await.unwrap().is_err());
    assert!(io.socket(again.id()).unwrap().connected());
    io.emit("n", 2);
    assert_eq!(numbers(&again, &io).await, [2]);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_that_is_refused_leaves_an_earlier_attempt_alone() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begins, goes_on) = (Arc::clone(&begun), Arc::clone(&go_on));
    let namespace = Namespace::new().middleware(async move |Auth(Token { token }): Auth<Token>| {
        if token != "first" {
            begins.notify_one();
            goes_on.notified().await;
        }
        if token == "wrong" {
            return Err(Refused::new("wrong token"));
        }
        Ok(())
    });
    let (app, io) = app(SocketIo::builder()
        .recovery(Recovery::new())
        .namespace("/", namespace));
    let owner = app.connect("/").auth(token("first")).await.unwrap();
    owner.cut().await;
    io.emit("n", 1);
    let coming = app.connect("/").coming_back_as(&owner).auth(token("right"));
    let coming = tokio::spawn(coming.into_future());
    begun.notified().await;
    let thief = app.connect("/").coming_back_as(&owner).auth(token("wrong"));
    let thief = tokio::spawn(thief.into_future());
    begun.notified().await;
    go_on.notify_one();
    go_on.notify_one();
    let again = coming.await.unwrap().unwrap();
    assert!(thief.await.unwrap().is_err());
    assert!(again.recovered());
    assert_eq!(numbers(&again, &io).await, [1]);
}

/// A waker that blocks its caller.
struct Busy {
    woken: UnboundedSender<()>,
    go_on: Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Wake for Busy {
    fn wake(self: Arc<Self>) {
        self.woken.send(()).unwrap();
        self.go_on.lock().unwrap().recv().unwrap();
    }
}

/// A test in which the first newcomer is admitted, and blocked while it ends the connection that has the socket.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_newcomer_that_asks_while_another_is_being_admitted_is_not_cut_off() {
    let (app, io, begun, go_on) = slow();
    let owner = app.connect("/").auth(token("quick")).await.unwrap();
    let socket = io.socket(owner.id()).unwrap();
    let (woken, mut wakes) = unbounded_channel();
    let (let_go, gate) = std::sync::mpsc::channel();
    let busy = Busy {
        woken,
        go_on: Mutex::new(gate),
    };
    let mut closed = Box::pin(socket.closed());
    let waker = Waker::from(Arc::new(busy));
    assert!(
        closed
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    let coming = |as_token| {
        let coming = app.connect("/").coming_back_as(&owner);
        tokio::spawn(coming.auth(token(as_token)).into_future())
    };
    let first = coming("quick");
    wakes.recv().await.unwrap();
    io.emit("n", 1);
    let second = coming("slow");
    begun.notified().await;
    let_go.send(()).unwrap();
    assert!(first.await.unwrap().unwrap().recovered());
    go_on.notify_one();
    let again = second.await.unwrap().unwrap();
    assert!(again.recovered());
    assert_eq!(numbers(&again, &io).await, [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_those_that_come_back_at_once_one_stays_and_none_begins_anew() {
    let namespace = Namespace::new();
    let builder = SocketIo::builder().recovery(Recovery::new());
    let (app, io) = app(builder.namespace("/", namespace));
    let mut owner = app.connect("/").await.unwrap();
    for round in 0..300 {
        if round % 2 == 0 {
            owner.cut().await;
        }
        let coming = || tokio::spawn(app.connect("/").coming_back_as(&owner).into_future());
        let attempts = [coming(), coming(), coming()];
        let mut admitted = Vec::new();
        for attempt in attempts {
            if let Ok(client) = attempt.await.unwrap() {
                assert!(client.recovered(), "round {round}");
                admitted.push(client);
            }
        }
        assert_eq!(io.local().count().await.unwrap(), 1, "round {round}");
        owner = admitted.pop().unwrap();
    }
}
